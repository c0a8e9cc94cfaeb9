/* config/files: what a generation keeps is what was read, whatever happens to the file afterwards.
 */
#define _GNU_SOURCE /* F_GET_SEALS */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/files.h"

static char dir[] = "/tmp/hsmdkim-test.XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/table", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	(void)fclose(out);
}

static void a_file_that_was_read_is_not_changed_by_the_disk(void **state)
{
	AUTO(files_free) struct files *f = files_new_closed();
	struct slice text;

	(void)state;
	write_file("first\n");
	assert_int_equal(files_read(f, path, NULL), ERR_OK);
	write_file("second version\n");
	assert_int_equal(files_map(f, path, &text, NULL), ERR_OK);
	assert_true(slice_eq(text, SLICE_LIT("first\n")));
	assert_int_equal(files_read(f, path, NULL), ERR_OK); /* once a generation */
	assert_int_equal(files_count(f), 1);
	assert_int_equal(fcntl(files_fd(f, 0), F_GET_SEALS),
			 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(write(files_fd(f, 0), "x", 1), -1);
	assert_int_equal(ftruncate(files_fd(f, 0), 0), -1);
}

/* "VmFlags" of the mapping: "lo" is locked, "dd" is not dumped. */
static bool mapping_has(const void *at, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512];
	bool here = false;
	bool found = false;

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		char *end;
		unsigned long from = strtoul(line, &end, 16);

		if (end != line && *end == '-') /* FROM-TO */
			here = (uintptr_t)at >= from && (uintptr_t)at < strtoul(end + 1, NULL, 16);
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	(void)fclose(smaps);
	return found;
}

static void a_secret_is_not_swapped_and_not_dumped(void **state)
{
	AUTO(files_free) struct files *f = files_new_real();
	struct slice text;

	(void)state;
	write_file("1234\n");
	assert_int_equal(files_map(f, path, &text, NULL), ERR_OK);
	assert_false(mapping_has(text.ptr, " dd"));
	assert_int_equal(files_map_secret(f, path, &text, NULL), ERR_OK);
	assert_true(slice_eq(text, SLICE_LIT("1234\n")));
	assert_true(mapping_has(text.ptr, " dd"));
	/* Where memory can be locked at all: not by everybody, and not under a sanitizer. */
	if (mlock(&text, sizeof(text)) == 0 && mapping_has((const char *)&text, " lo"))
		assert_true(mapping_has(text.ptr, " lo"));
}

static void an_empty_file_is_an_empty_text(void **state)
{
	AUTO(files_free) struct files *f = files_new_real();
	struct slice text = SLICE_LIT("x");

	(void)state;
	write_file("");
	assert_int_equal(files_map(f, path, &text, NULL), ERR_OK);
	assert_int_equal(text.len, 0);
	assert_non_null(text.ptr);
}

static void a_closed_set_opens_nothing(void **state)
{
	AUTO(files_free) struct files *f = files_new_closed();
	struct slice text;
	struct err_detail detail;

	(void)state;
	write_file("x");
	assert_int_equal(files_map(f, path, &text, &detail), ERR_NOT_FOUND);
	assert_non_null(strstr(detail.text, path));
}

static void errors_name_the_path_and_the_reason(void **state)
{
	AUTO(files_free) struct files *f = files_new_real();
	struct slice text;
	struct err_detail detail;
	char fifo[80];

	(void)state;
	assert_int_equal(files_map(f, "/nonexistent/t", &text, &detail), ERR_IO);
	assert_string_equal(detail.text,
			    "/nonexistent/t: cannot read the file: No such file or directory");
	assert_int_equal(files_read(f, dir, &detail), ERR_IO);
	assert_non_null(strstr(detail.text, "not a regular file"));
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir); /* must not wait for a writer */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(files_read(f, fifo, &detail), ERR_IO);
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(files_count(f), 0);
}

static void specs_name_their_files(void **state)
{
	(void)state;
	assert_string_equal(files_spec_path("file:/a"), "/a");
	assert_string_equal(files_spec_path("FILE:a b"), "a b");
	assert_string_equal(files_spec_path("refile:/a:b"), "/a:b");
	assert_string_equal(files_spec_path("/a/b"), "/a/b");
	assert_string_equal(files_spec_path("/a,b:c"), "/a,b:c");
	assert_null(files_spec_path("/a:b"));
	assert_null(files_spec_path("csl:/a"));
	assert_null(files_spec_path("a,b"));
	assert_string_equal(files_spec_path("lmdb:/a"), "/a");
	assert_string_equal(files_spec_path("MDB:/a"), "/a");
	assert_true(files_spec_is_live("mdb:/a"));
	assert_false(files_spec_is_live("/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_was_read_is_not_changed_by_the_disk),
		cmocka_unit_test(a_secret_is_not_swapped_and_not_dumped),
		cmocka_unit_test(an_empty_file_is_an_empty_text),
		cmocka_unit_test(a_closed_set_opens_nothing),
		cmocka_unit_test(errors_name_the_path_and_the_reason),
		cmocka_unit_test(specs_name_their_files),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
