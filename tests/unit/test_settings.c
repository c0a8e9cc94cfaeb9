/* config/: the syntax of opendkim.conf, values, messages. */
#include "tests/unit/settings_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "config/settings_priv.h"

static void lines_are_read_as_opendkim_reads_them(void **state)
{
	struct settings_fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(load(&f,
			      SLICE_LIT("# comment\n"
					"\n"
					"   \t \r\n"
					"  selector \t first\n"
					"SELECTOR second # comment\n"
					"Domain a.example,b#.example\n"
					"KeyFile /a b/k.pem  \t\r\n"
					"Syslog Yes\rNo\n"
					"UMask 007\n"
					"MinimumKeyBits 0x800"),
			      NULL),
			 ERR_OK);
	assert_string_equal(f.s->selector, "second");
	assert_string_equal(f.s->domain, "a.example,b");
	assert_string_equal(f.s->key_file, "/a b/k.pem");
	assert_true(f.s->syslog);
	assert_int_equal(f.s->umask, 7);
	assert_int_equal(f.s->minimum_key_bits, 2048);
	assert_true(f.s->is_set[SETTING_ID_syslog]);
	assert_int_equal(f.warnings.count, 0);
	fixture_done(&f);
}

static void booleans_go_by_their_first_character(void **state)
{
	static const struct {
		const char *word;
		int want; /* -1: an error */
	} cases[] = {
		{ "true", 1 }, { "T", 1 },    { "yes", 1 },   { "Y", 1 },    { "1", 1 },
		{ "10", 1 },   { "tuna", 1 }, { "false", 0 }, { "F", 0 },    { "no", 0 },
		{ "Nyet", 0 }, { "0", 0 },    { "on", -1 },   { "off", -1 }, { "2", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings_fixture f;
		enum err e;

		fixture_init(&f);
		f.s->log_why = cases[i].want == 0;
		e = settings_set(f.s, SLICE_LIT("LogWhy"), slice_str(cases[i].word), NULL,
				 &f.detail);
		if (cases[i].want < 0) {
			assert_int_equal(e, ERR_CONFIG);
			assert_contains(f.detail.text, "yes or no");
		} else {
			assert_int_equal(e, ERR_OK);
			assert_int_equal(f.s->log_why, cases[i].want);
		}
		fixture_done(&f);
	}
}

static void values_are_checked_and_the_message_lists_what_is_allowed(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		const char *part; /* NULL: good */
	} cases[] = {
		{ "TokenTimeout", "20s", NULL },
		{ "TokenTimeout", "10ms", NULL },
		{ "TokenTimeout", "2m", NULL },
		{ "TokenTimeout", "9ms", "a time from 10ms to 120s" },
		{ "TokenTimeout", "121", "a time from 10ms to 120s" },
		{ "TokenTimeout", "-1s", "a time from 10ms to 120s" },
		{ "TokenTimeout", "20 s", "a time from 10ms to 120s" },
		{ "TokenTimeout", "s", "a time from" },
		{ "TokenTimeout", "9223372036854775807d", "a time from" },
		{ "MinimumKeyBits", "08", "a number from 0 to 16384" },
		{ "MinimumKeyBits", "1024x", "a number from 0 to 16384" },
		{ "MinimumKeyBits", "99999999999999999999999", "a number from 0 to 16384" },
		{ "MinimumKeyBits", "-1", "a number from 0 to 16384" },
		{ "SignatureTTL", "7d", NULL },
		{ "SignatureTTL", "500ms", "a time from" },
		{ "On-BadSignature", "bogus", "accept, a, discard, d, quarantine, q, reject" },
		{ "On-BadSignature", "T", NULL },
		{ "SyslogFacility", "nosuch", "mail, daemon" },
		{ "SyslogFacility", "LOCAL3", NULL },
		{ "Canonicalization", "relaxed/sloppy", "simple/simple" },
		{ "Canonicalization", "relaxed", NULL },
		{ "Mode", "vs", NULL },
		{ "Mode", "x", "sv, vs, s, v" },
		{ "AutoRestartRate", "10/1h", NULL },
		{ "AutoRestartRate", "10", "10/1h" },
		{ "AutoRestartRate", "0/1h", "10/1h" },
		{ "AutoRestartRate", "10/0", "10/1h" },
		{ "AutoRestartRate", "10/1y", "10/1h" },
		{ "Selector", "", "missing value" },
		{ "Selector", "a#b", "'#'" },
		{ "Selector", "a\nb", "line end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings_fixture f;
		enum err e;

		fixture_init(&f);
		e = settings_set(f.s, slice_str(cases[i].name), slice_str(cases[i].value), NULL,
				 &f.detail);
		if (cases[i].part == NULL) {
			assert_int_equal(e, ERR_OK);
		} else {
			assert_int_equal(e, ERR_CONFIG);
			assert_contains(f.detail.text, cases[i].name);
			assert_contains(f.detail.text, cases[i].part);
		}
		fixture_done(&f);
	}
}

static void errors_name_file_and_line(void **state)
{
	static const struct memory_file files[] = {
		{ "good.conf", "LogWhy yes\n" },
		{ "bad.conf", "# one\n# two\nMode z\n" },
		{ NULL, NULL },
	};
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
		{ "Syslog yes\nSelctor x\n",
		  "t.conf: configuration error at line 2: unrecognized parameter 'Selctor'; did "
		  "you mean 'Selector'?" },
		{ "Frobnicate\n", "t.conf: configuration error at line 1: unrecognized parameter "
				  "'Frobnicate'; remove the line" },
		{ "\n\nLogWhy\n", "t.conf: configuration error at line 3: LogWhy: missing value" },
		{ "LogWhy # yes\n", "at line 1: LogWhy: missing value" },
		{ "Include good.conf\nInclude bad.conf\n",
		  "bad.conf: configuration error at line 3: Mode: 'z' is not allowed" },
		{ "Include none.conf\n", "t.conf: configuration error at line 1: none.conf: cannot "
					 "read the file: No such" },
		{ "Include\n", "at line 1: Include: missing file name" },
		{ "Stat\x01stics x\n", "'Stat\\x01stics'" },
		{ "Statistics\n", "Statistics: missing value" },
		{ "Syslog=yes\n", "'Syslog=yes'; write 'Syslog', a blank and the value" },
		{ "Syslg=yes\n", "unrecognized parameter 'Syslg=yes'" },
		{ "\xef\xbb\xbfMode s\n", "at line 1: the file starts with a byte order mark" },
		{ "\xff\xfeM", "at line 1: the file is in UTF-16: save it in UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings_fixture f;

		fixture_init(&f);
		assert_int_not_equal(load(&f, slice_str(cases[i].text), files), ERR_OK);
		assert_contains(f.detail.text, cases[i].part);
		assert_null(strstr(strstr(f.detail.text, "configuration error") + 1,
				   "configuration error"));
		fixture_done(&f);
	}
}

static void all_errors_are_told_but_not_more_than_twenty(void **state)
{
	static const struct memory_file files[] = { { "inc", "Mode z\nLogWhy yes\n" },
						    { NULL, NULL } };
	struct settings_fixture f;
	char many[2000] = "";

	(void)state;
	fixture_init(&f);
	assert_int_equal(
		load(&f, SLICE_LIT("Nosuch x\nStatistics y\nInclude inc\nInclude none\nMode z\n"),
		     files),
		ERR_CONFIG);
	assert_contains(f.detail.text, "t.conf: configuration error at line 1: unrecognized");
	assert_int_equal(f.warnings.count, 4);
	assert_contains(f.warnings.texts[0], "t.conf: line 2: known to OpenDKIM");
	assert_contains(f.warnings.texts[1],
			"also wrong: inc: configuration error at line 1: Mode");
	assert_contains(f.warnings.texts[2], "also wrong: t.conf: configuration error at line 4: ");
	assert_contains(f.warnings.texts[3], "also wrong: t.conf: configuration error at line 5: ");
	fixture_done(&f);

	for (size_t i = 0; i < 100; i++)
		(void)strncat(many, "Mode z\n", sizeof(many) - strlen(many) - 1);
	fixture_init(&f);
	assert_int_equal(load(&f, slice_str(many), files), ERR_CONFIG);
	assert_contains(f.detail.text, "at line 1: ");
	assert_int_equal(f.warnings.count, 19);
	fixture_done(&f);

	fixture_init(&f);
	assert_int_equal(load(&f, SLICE_LIT("\xff\xfeM\0o\0\n\0M\0o\0\n"), files), ERR_CONFIG);
	assert_int_equal(f.warnings.count, 0);
	fixture_done(&f);
}

static void a_nul_byte_is_an_error_and_not_the_end_of_the_line(void **state)
{
	struct settings_fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(load(&f, SLICE_LIT("Selector a\0b\n"), NULL), ERR_CONFIG);
	assert_contains(f.detail.text, "NUL");
	fixture_done(&f);
}

static void include_nests_five_deep_and_the_last_value_wins(void **state)
{
	static const struct memory_file files[] = {
		{ "1", "Selector one\nInclude 2\n" },
		{ "2", "Include 3\n" },
		{ "3", "Include 4\n" },
		{ "4", "Include 5\n" },
		{ "5", "Selector five\n" },
		{ "0", "Include 1\n" },
		{ "loop", "Include loop\n" },
		{ NULL, NULL },
	};
	struct settings_fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(load(&f, SLICE_LIT("INCLUDE 1\n"), files), ERR_OK);
	assert_string_equal(f.s->selector, "five");
	assert_int_equal(load(&f, SLICE_LIT("Include 0\n"), files), ERR_CONFIG);
	assert_contains(f.detail.text, "nested deeper than 5");
	assert_int_equal(load(&f, SLICE_LIT("Include loop\n"), files), ERR_CONFIG);
	fixture_done(&f);
}

static void known_but_dead_names_are_warnings_with_the_way_to_go(void **state)
{
	static const struct memory_file files[] = { { "inc", "\nLDAPUseTLS yes\n" },
						    { NULL, NULL } };
	struct settings_fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(load(&f,
			      SLICE_LIT("Statistics /x\nADSPAction continue\nInclude inc\n"
					"x-header no\nStrictHeaders no\nStrictHeaders yes\n"
					"ChangeRootDirectory /var/empty\n"),
			      files),
			 ERR_OK);
	assert_int_equal(f.warnings.count, 4);
	assert_contains(f.warnings.texts[0], "t.conf: line 1: known to OpenDKIM, ignored here: "
					     "Statistics (see MetricsListen)");
	assert_contains(f.warnings.texts[1], "t.conf: line 2: formerly known to OpenDKIM");
	assert_contains(f.warnings.texts[2], "inc: line 2: known to OpenDKIM");
	assert_null(strstr(f.warnings.texts[2], "t.conf"));
	assert_contains(f.warnings.texts[3],
			"t.conf: line 7: known to OpenDKIM, ignored here: ChangeRootDirectory (");
	fixture_done(&f);
}

/* The configuration files that Debian and EPEL install, and what tutorials add. */
static void stock_configurations_load(void **state)
{
	static const char *const texts[] = {
		"Syslog\t\t\tyes\nSyslogSuccess\t\tyes\nCanonicalization\trelaxed/simple\n"
		"OversignHeaders\t\tFrom\nUserID\t\t\topendkim\nUMask\t\t\t007\n"
		"Socket\t\t\tlocal:/run/opendkim/opendkim.sock\n"
		"PidFile\t\t\t/run/opendkim/opendkim.pid\n"
		"TrustAnchorFile\t\t/usr/share/dns/root.key\n",
		"PidFile /run/opendkim/opendkim.pid\nMode v\nSyslog yes\nSyslogSuccess yes\n"
		"LogWhy yes\nUserID opendkim:opendkim\nSocket inet:8891@localhost\nUmask 002\n"
		"SendReports yes\nSoftwareHeader yes\nCanonicalization relaxed/relaxed\n"
		"Selector default\nMinimumKeyBits 1024\n"
		"KeyFile /etc/opendkim/keys/default.private\nOversignHeaders From\n",
		"AutoRestart Yes\nAutoRestartRate 10/1h\nUMask 002\nSyslog yes\nMode sv\n"
		"KeyTable refile:/etc/opendkim/KeyTable\nSigningTable "
		"refile:/etc/opendkim/SigningTable\nExternalIgnoreList "
		"refile:/etc/opendkim/TrustedHosts\nInternalHosts "
		"refile:/etc/opendkim/TrustedHosts\n"
		"SignatureAlgorithm rsa-sha256\nUserID opendkim:opendkim\nSocket "
		"inet:12301@localhost\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct settings_fixture f;

		fixture_init(&f);
		assert_int_equal(load(&f, slice_str(texts[i]), NULL), ERR_OK);
		assert_int_equal(settings_finish(f.s, &f.warnings, &f.detail), ERR_OK);
		fixture_done(&f);
	}
}

static void files_are_read_from_the_disk(void **state)
{
	char dir[] = "/tmp/hsmdkim-test.XXXXXX";
	char path[64];
	struct settings_fixture f;
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/conf", dir);
	out = fopen(path, "w");
	assert_non_null(out);
	for (int i = 0; i < 3000; i++)
		(void)fprintf(out, "# padding %d\n", i);
	(void)fprintf(out, "Selector last");
	(void)fclose(out);
	fixture_init(&f);
	assert_int_equal(settings_load_file(f.s, path, &settings_reader_files, NULL, &f.detail),
			 ERR_OK);
	assert_string_equal(f.s->selector, "last");
	(void)unlink(path);
	assert_int_equal(settings_load_file(f.s, path, &settings_reader_files, NULL, &f.detail),
			 ERR_IO);
	assert_contains(f.detail.text, "No such file");
	assert_int_equal(settings_load_file(f.s, dir, &settings_reader_files, NULL, &f.detail),
			 ERR_IO);
	(void)rmdir(dir);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read_as_opendkim_reads_them),
		cmocka_unit_test(booleans_go_by_their_first_character),
		cmocka_unit_test(values_are_checked_and_the_message_lists_what_is_allowed),
		cmocka_unit_test(errors_name_file_and_line),
		cmocka_unit_test(all_errors_are_told_but_not_more_than_twenty),
		cmocka_unit_test(a_nul_byte_is_an_error_and_not_the_end_of_the_line),
		cmocka_unit_test(include_nests_five_deep_and_the_last_value_wins),
		cmocka_unit_test(known_but_dead_names_are_warnings_with_the_way_to_go),
		cmocka_unit_test(stock_configurations_load),
		cmocka_unit_test(files_are_read_from_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
