/* config/logsetup: each line once when standard error is the journal. */
#define _GNU_SOURCE /* memfd_create */
#include "config/logsetup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Log one line with standard error going to a file. @return the bytes that came there */
static off_t bytes_on_stderr(const char *journal, const char *syslog_value)
{
	struct settings *s = settings_new();
	int real = dup(STDERR_FILENO);
	int file = memfd_create("stderr", MFD_CLOEXEC);
	struct stat st;
	char own[64];
	off_t size;

	assert_non_null(s);
	assert_true(real >= 0 && file >= 0);
	assert_int_equal(settings_set(s, SLICE_LIT("Syslog"), slice_str(syslog_value), NULL, NULL),
			 ERR_OK);
	assert_int_equal(fstat(file, &st), 0);
	(void)snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	(void)unsetenv("JOURNAL_STREAM");
	if (journal != NULL)
		(void)setenv("JOURNAL_STREAM", journal[0] != '\0' ? journal : own, 1);
	(void)dup2(file, STDERR_FILENO);
	logsetup_find_journal();
	logsetup_apply(s);
	log_line(LOG_LEVEL_INFO, "a line");
	size = lseek(file, 0, SEEK_END);
	(void)dup2(real, STDERR_FILENO);
	(void)close(real);
	(void)close(file);
	settings_free(&s);
	return size;
}

static void lines_go_to_the_journal_once(void **state)
{
	(void)state;
	assert_int_equal(bytes_on_stderr("", "yes"), 0);
}

static void in_all_other_cases_standard_error_has_them(void **state)
{
	(void)state;
	assert_true(bytes_on_stderr("", "no") > 0);
	assert_true(bytes_on_stderr(NULL, "yes") > 0);
	assert_true(bytes_on_stderr("0:1", "yes") > 0);
	assert_true(bytes_on_stderr("nonsense", "yes") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_to_the_journal_once),
		cmocka_unit_test(in_all_other_cases_standard_error_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
