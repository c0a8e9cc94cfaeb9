/* base/safefile, config/pinsource, daemon/pins: where PINs come from and who may read them. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "base/safefile.h"
#include "config/faults.h"
#include "config/pinsource.h"
#include "daemon/pins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static char file[96];
static struct pinsource_rules safe = { .safe_only = true };
static const struct slice token_a = SLICE_INIT("a");
static const struct pinsource_rules any = { .safe_only = false };

static int make_dir(void **state)
{
	(void)state;
	safe.owner = geteuid();
	(void)snprintf(dir, sizeof(dir), "/tmp/hsmdkim-pins.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/pin", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(file);
	return rmdir(dir);
}

static void write_file(const char *text, mode_t mode)
{
	int fd = open(file, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void files_that_others_can_reach_are_refused(void **state)
{
	static const struct {
		mode_t file;
		mode_t directory;
		bool good;
	} cases[] = {
		{ 0600, 0700, true },  { 0400, 0755, true },  { 0640, 0700, true },
		{ 0604, 0700, false }, { 0602, 0700, false }, { 0620, 0700, false },
		{ 0600, 0777, false }, { 0600, 01777, true }, { 0600, 0702, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err_detail detail = { "" };
		enum err err;

		write_file("x", cases[i].file);
		assert_int_equal(chmod(dir, cases[i].directory), 0);
		err = safefile_check(file, geteuid(), &detail);
		assert_int_equal(chmod(dir, 0700), 0);
		assert_int_equal(err, cases[i].good ? ERR_OK : ERR_FILE_UNSAFE);
		if (!cases[i].good)
			assert_non_null(strstr(detail.text, "chmod "));
	}
	assert_int_equal(unlink(file), 0);
	assert_int_equal(safefile_check(file, geteuid(), NULL), ERR_IO);
}

static void what_is_out_of_reach_is_explained(void **state)
{
	struct err_detail detail = { "" };
	char text[256];

	(void)state;
	assert_int_equal(safefile_check(file, geteuid(), &detail), ERR_IO); /* not there */
	(void)snprintf(text, sizeof(text), "%s: No such file or directory", file);
	assert_string_equal(detail.text, text);
	safefile_explain(file, EACCES, &detail);
	(void)snprintf(text, sizeof(text), "%s: cannot be read by user ", file);
	assert_ptr_equal(strstr(detail.text, text), detail.text);
	assert_non_null(strstr(detail.text, "let it enter the folders above"));
}

static void only_root_and_the_user_s_own_files_are_good(void **state)
{
	struct err_detail detail = { "" };

	(void)state;
	write_file("x", 0600);
	if (geteuid() != 0 || chown(file, 12345, (gid_t)-1) != 0)
		return; /* only root can give a file away */
	assert_int_equal(safefile_check(file, geteuid(), &detail), ERR_FILE_UNSAFE);
	assert_non_null(strstr(detail.text, "belongs to user 12345"));
	assert_int_equal(safefile_check(file, 12345, NULL), ERR_OK);
	assert_int_equal(unlink(file), 0);
}

static void a_link_is_judged_by_what_it_points_to(void **state)
{
	char link[128];

	(void)state;
	(void)snprintf(link, sizeof(link), "%s/link", dir);
	write_file("x", 0604);
	assert_int_equal(symlink(file, link), 0);
	assert_int_equal(safefile_check(link, geteuid(), NULL), ERR_FILE_UNSAFE);
	assert_int_equal(unlink(link), 0);
}

static struct slice content(struct files *files, const char *name)
{
	struct slice text = { NULL, 0 };

	assert_int_equal(files_map(files, name, &text, NULL), ERR_OK);
	return text;
}

static void each_source_has_its_name(void **state)
{
	static const struct {
		const char *source;
		const char *name;
	} cases[] = {
		{ "file:/etc/pin", "/etc/pin" },
		{ "credential:a", "credential:a" },
		{ "prompt", "prompt:a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *name = pinsource_name(slice_str(cases[i].source), token_a);

		assert_string_equal(name, cases[i].name);
		free(name);
	}
}

static void a_pin_file_is_read_under_its_path(void **state)
{
	struct files *files = files_new_closed();
	char source[128];

	(void)state;
	assert_non_null(files);
	write_file("1234\n", 0600);
	(void)snprintf(source, sizeof(source), "file:%s", file);
	assert_int_equal(pinsource_read(slice_str(source), token_a, &safe, files, NULL), ERR_OK);
	assert_true(slice_eq(content(files, file), SLICE_LIT("1234\n")));
	/* once is enough */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(pinsource_read(slice_str(source), token_a, &safe, files, NULL), ERR_OK);
	assert_int_equal(files_count(files), 1);
	files_free(&files);
}

static void an_unsafe_pin_file_needs_require_safe_keys_no(void **state)
{
	struct files *files = files_new_closed();
	char source[128];

	(void)state;
	assert_non_null(files);
	write_file("1234\n", 0644);
	(void)snprintf(source, sizeof(source), "file:%s", file);
	assert_int_equal(pinsource_read(slice_str(source), token_a, &safe, files, NULL),
			 ERR_FILE_UNSAFE);
	assert_int_equal(files_count(files), 0);
	assert_int_equal(pinsource_read(slice_str(source), token_a, &any, files, NULL), ERR_OK);
	files_free(&files);
}

static void a_credential_comes_from_systemd_s_directory(void **state)
{
	struct files *files = files_new_closed();
	struct err_detail detail = { "" };

	(void)state;
	assert_non_null(files);
	write_file("5678", 0440);
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(
		pinsource_read(SLICE_LIT("credential:pin"), token_a, &safe, files, &detail),
		ERR_CONFIG);
	assert_non_null(strstr(detail.text, "LoadCredential=pin:"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	assert_int_equal(pinsource_read(SLICE_LIT("credential:../x"), token_a, &safe, files, NULL),
			 ERR_CONFIG);
	assert_int_equal(pinsource_read(SLICE_LIT("credential:pin"), token_a, &safe, files, NULL),
			 ERR_OK);
	assert_true(slice_eq(content(files, "credential:pin"), SLICE_LIT("5678")));
	files_free(&files);
}

static void a_pin_in_the_clear_is_refused_and_not_repeated(void **state)
{
	struct files *files = files_new_closed();
	struct err_detail detail = { "" };

	(void)state;
	assert_non_null(files);
	assert_int_equal(pinsource_read(SLICE_LIT("s3cret"), token_a, &safe, files, &detail),
			 ERR_CONFIG);
	assert_null(strstr(detail.text, "s3cret"));
	assert_int_equal(pinsource_read(SLICE_LIT("file:relative"), token_a, &safe, files, NULL),
			 ERR_CONFIG);
	files_free(&files);
}

static void what_was_asked_at_the_terminal_is_kept_for_a_reload(void **state)
{
	struct pinsource_rules rules = { .safe_only = true };
	struct files *old = files_new_closed();
	struct files *files = files_new_closed();
	struct err_detail detail = { "" };

	(void)state;
	rules.may_ask = true;
	assert_non_null(old);
	assert_non_null(files);
	write_file("9999", 0600);
	rules.old = old;
	assert_int_equal(files_read(old, file, NULL), ERR_OK);
	assert_int_equal(files_put(old, "prompt:a", dup(files_fd(old, 0))), ERR_OK);
	assert_int_equal(pinsource_read(SLICE_LIT("prompt"), token_a, &rules, files, NULL), ERR_OK);
	assert_true(slice_eq(content(files, "prompt:a"), SLICE_LIT("9999")));
	/* nobody is asked then, nor does another token get it */
	assert_int_equal(
		pinsource_read(SLICE_LIT("prompt"), SLICE_LIT("b"), &rules, files, &detail),
		ERR_CONFIG);
	assert_non_null(strstr(detail.text, "at start only"));
	assert_int_equal(files_count(files), 1);
	files_free(&old);
	files_free(&files);
}

/* In a session of its own, with the terminal as the one that /dev/tty is. @return exit status */
static int read_two_prompts(const char *terminal)
{
	static const struct pinsource_rules asks = { .may_ask = true };
	struct files *files = files_new_closed();
	const char *tokens[] = { "a", "b", "a" };

	if (setsid() < 0 || open(terminal, O_RDWR) < 0 || files == NULL)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		if (pinsource_read(SLICE_LIT("prompt"), slice_str(tokens[i]), &asks, files, NULL) !=
		    ERR_OK)
			return 2;
	}
	return slice_eq(content(files, "prompt:a"), SLICE_LIT("1111")) &&
			       slice_eq(content(files, "prompt:b"), SLICE_LIT("2222"))
		       ? 0
		       : 3;
}

/* What is shown up to the colon of the question, then the PIN is typed. */
static void answer_question(int terminal, const char *question, const char *pin)
{
	struct pollfd p = { .fd = terminal, .events = POLLIN };
	char shown[256] = "";
	size_t len = 0;

	while (strstr(shown, question) == NULL) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, 10000), 1);
		n = read(terminal, shown + len, sizeof(shown) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		shown[len] = '\0';
	}
	assert_int_equal(write(terminal, pin, strlen(pin)), strlen(pin));
}

static void each_token_is_asked_for_by_its_name_and_once(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	int status = -1;
	pid_t child;

	(void)state;
	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal) + unlockpt(terminal), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(read_two_prompts(ptsname(terminal)));
	answer_question(terminal, "PIN of token a: ", "1111\n");
	answer_question(terminal, "PIN of token b: ", "2222\n");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	(void)close(terminal);
}

static enum err read_all(const char *lines, struct files *files, struct err_detail *detail)
{
	struct settings *s = settings_new();
	enum err err;

	assert_non_null(s);
	assert_int_equal(
		settings_load_text(s, slice_str(lines), "test", &settings_reader_files, NULL, NULL),
		ERR_OK);
	err = pins_read(s, &safe, files, detail);
	settings_free(&s);
	return err;
}

static void the_token_table_s_pins_are_found(void **state)
{
	struct files *files = files_new_closed();
	char lines[512];

	(void)state;
	assert_non_null(files);
	write_file("1", 0600);
	(void)snprintf(
		lines, sizeof(lines),
		"TokenTable csl:a=pkcs11:token=A?module-path=/m.so&pin-source=file%%3A%s "
		"sessions=2,b=pkcs11:token=B?module-path=/m.so,c=pkcs11:token=pin-source=x\n",
		file);
	assert_int_equal(read_all(lines, files, NULL), ERR_OK);
	assert_int_equal(files_count(files), 1);
	assert_string_equal(files_path(files, 0), file);
	/* -n never asks at the terminal */
	assert_int_equal(read_all("PKCS11Module /m.so\nPKCS11PinSource prompt\n", files, NULL),
			 ERR_OK);
	assert_int_equal(files_count(files), 1);
	files_free(&files);
}

static void a_bad_pin_source_names_its_setting(void **state)
{
	static const struct {
		const char *lines;
		const char *named;
	} cases[] = {
		{ "TokenTable csl:a=pkcs11:token=A?pin-source=file:/no/such/pin\n",
		  "/no/such/pin" },
		{ "PKCS11Module /m.so\nPKCS11PinSource file:/no/such/pin\n", "PKCS11PinSource: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct files *files = files_new_closed();
		struct err_detail detail = { "" };

		assert_non_null(files);
		assert_int_not_equal(read_all(cases[i].lines, files, &detail), ERR_OK);
		if (strstr(detail.text, cases[i].named) == NULL)
			fail_msg("%s: %s", cases[i].lines, detail.text);
		files_free(&files);
	}
}

/* tokentable_load() tells them, with all else that is wrong. */
static void rows_that_are_wrong_are_left_to_the_signer(void **state)
{
	static const char *const lines[] = {
		"TokenTable csl:a=pkcs11:token=A?pin-source=file%3\n",
		"TokenTable csl:a=pkcs11:token=A?pin-source=%00\n",
		"TokenTable csl:a,b\n",
		"TokenTable dsn:x\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct files *files = files_new_closed();

		assert_non_null(files);
		assert_int_equal(read_all(lines[i], files, NULL), ERR_OK);
		assert_int_equal(files_count(files), 0);
		files_free(&files);
	}
}

static void all_pins_that_cannot_be_read_are_told(void **state)
{
	struct files *files = files_new_closed();
	struct err_detail detail = { "" };
	struct faults faults;

	(void)state;
	assert_non_null(files);
	faults_init(&faults);
	files_gather(files, &faults);
	assert_int_equal(read_all("TokenTable csl:a=pkcs11:?pin-source=file:/no/such/pin,"
				  "b=pkcs11:token=B,c=pkcs11:?pin-source=4711\n",
				  files, &detail),
			 ERR_OK);
	assert_int_not_equal(files_gathered(files, &detail), ERR_OK);
	assert_non_null(strstr(detail.text, "entry 1 of TokenTable: "));
	assert_non_null(strstr(faults.text.data, "\nentry 3 of TokenTable: PIN: write file:/path"));
	assert_null(strstr(faults.text.data, "4711"));
	faults_done(&faults);
	files_free(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_others_can_reach_are_refused),
		cmocka_unit_test(what_is_out_of_reach_is_explained),
		cmocka_unit_test(only_root_and_the_user_s_own_files_are_good),
		cmocka_unit_test(a_link_is_judged_by_what_it_points_to),
		cmocka_unit_test(each_source_has_its_name),
		cmocka_unit_test(a_pin_file_is_read_under_its_path),
		cmocka_unit_test(an_unsafe_pin_file_needs_require_safe_keys_no),
		cmocka_unit_test(a_credential_comes_from_systemd_s_directory),
		cmocka_unit_test(a_pin_in_the_clear_is_refused_and_not_repeated),
		cmocka_unit_test(what_was_asked_at_the_terminal_is_kept_for_a_reload),
		cmocka_unit_test(each_token_is_asked_for_by_its_name_and_once),
		cmocka_unit_test(the_token_table_s_pins_are_found),
		cmocka_unit_test(a_bad_pin_source_names_its_setting),
		cmocka_unit_test(rows_that_are_wrong_are_left_to_the_signer),
		cmocka_unit_test(all_pins_that_cannot_be_read_are_told),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
