/* daemon/cmdline: every letter of the command line. */
#include "daemon/cmdline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

/* @param line words of the command line behind the program's name, separated by blanks; "@" is an
 * empty one. text gets them, options points into it */
static int parse(const char *line, char text[static 200], struct cmdline *options)
{
	static char program[] = "/usr/sbin/hsmdkim"; /* the options point into it */
	char *argv[16] = { program };
	char *rest = NULL;
	int argc = 1;

	(void)snprintf(text, 200, "%s", line);
	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		if (strcmp(word, "@") == 0)
			*word = '\0';
		argv[argc++] = word;
	}
	return cmdline_parse(argc, argv, options);
}

static void letters_of_a_setting_set_it(void **state)
{
	static const struct {
		const char *line;
		const char *setting;
		const char *value;
	} rows[] = {
		{ "-A", "AutoRestart", "yes" },
		{ "-b v", "Mode", "v" },
		{ "-c relaxed", "Canonicalization", "relaxed" },
		{ "-d a.example,b.example", "Domain", "a.example,b.example" },
		{ "-D", "SubDomains", "yes" },
		{ "-k pkcs11:object=x", "KeyFile", "pkcs11:object=x" },
		{ "-l", "Syslog", "yes" },
		{ "-L 5+", "Minimum", "5+" },
		{ "-o -", "OmitHeaders", "-" },
		{ "-p inet:1@h", "Socket", "inet:1@h" },
		{ "-P /pid", "PidFile", "/pid" },
		{ "-r", "RequiredHeaders", "yes" },
		{ "-s sel", "Selector", "sel" },
		{ "-S rsa-sha256", "SignatureAlgorithm", "rsa-sha256" },
		{ "-T 3", "DNSTimeout", "3" },
		{ "-u a:b", "UserID", "a:b" },
		{ "-W", "LogWhy", "yes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cmdline options;
		char text[200];

		assert_int_equal(parse(rows[i].line, text, &options), EX_OK);
		assert_int_equal(options.source.overrides_count, 1);
		assert_string_equal(options.source.overrides[0].name, rows[i].setting);
		assert_string_equal(options.source.overrides[0].value, rows[i].value);
	}
}

static void the_others_say_what_to_do(void **state)
{
	struct cmdline options;
	char text[200];

	(void)state;
	assert_int_equal(parse("-f -n -Q -V -e Mode -x /c", text, &options), EX_OK);
	assert_true(options.foreground && options.check && options.query && options.version);
	assert_string_equal(options.show, "Mode");
	assert_string_equal(options.source.path, "/c");
	assert_null(options.test.files);
	assert_int_equal(parse("-t a,b -F 1700000000 -v -v", text, &options), EX_OK);
	assert_string_equal(options.test.files, "a,b");
	assert_string_equal(options.test.program, "hsmdkim");
	assert_true(options.test.fixed && options.test.time_s == 1700000000);
	assert_int_equal(options.test.verbose, 2);
	assert_int_equal(parse("-t a -F 253402300799", text, &options), EX_OK); /* year 9999 */
	assert_true(options.test.time_s == 253402300799);
}

static void help_can_be_asked_for(void **state)
{
	struct cmdline options;
	char text[200];
	char *shown = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&shown, &len);

	(void)state;
	assert_int_equal(parse("-h", text, &options), EX_OK);
	assert_true(options.help);
	assert_int_equal(parse("--help", text, &options), EX_OK);
	assert_true(options.help);
	assert_int_equal(parse("-f", text, &options), EX_OK);
	assert_false(options.help);
	assert_non_null(out);
	cmdline_print_usage("hsmdkim", out);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(shown, "\n  -n               check the configuration and exit\n"));
	assert_non_null(strstr(shown, "\n  -x file"));
	free(shown);
}

static void what_does_nothing_is_accepted(void **state)
{
	static const char *const lines[] = { "-U /pop.db", "-X", "-v", "-F 5" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct cmdline options;
		char text[200];

		assert_int_equal(parse(lines[i], text, &options), EX_OK);
		assert_int_equal(options.source.overrides_count, 0);
	}
}

static void mistakes_are_refused(void **state)
{
	static const char *const lines[] = {
		"-z",	 "-q",	 "word", "-b",	 "-t",	   "-x",    "-b @",
		"-k @",	 "-t @", "-x @", "-F @", "-F now", "-F -5", "-F 253402300800",
		"-F 5x", "-T @", "-e @",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct cmdline options;
		char text[200];

		assert_int_equal(parse(lines[i], text, &options), EX_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_of_a_setting_set_it),
		cmocka_unit_test(the_others_say_what_to_do),
		cmocka_unit_test(help_can_be_asked_for),
		cmocka_unit_test(what_does_nothing_is_accepted),
		cmocka_unit_test(mistakes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
