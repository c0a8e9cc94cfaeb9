/* config/: the syntax of opendkim.conf, values, messages, the printed configuration, the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "config/settings.h"
#include "config/settings_priv.h"

/* An in-memory file system for Include. */
struct memory_file {
	const char *path;
	const char *text;
};

static enum err read_memory(void *ctx, const char *path, char **ret_text, size_t *ret_len,
			    struct err_detail *detail)
{
	for (const struct memory_file *f = ctx; f->path != NULL; f++) {
		if (strcmp(f->path, path) == 0) {
			*ret_text = slice_dup(slice_str(f->text));
			*ret_len = strlen(f->text);
			return ERR_OK;
		}
	}
	err_detail_set(detail, "%s: cannot read the file: No such file or directory", path);
	return ERR_IO;
}

struct fixture {
	struct settings *s;
	struct settings_warnings warnings;
	struct err_detail detail;
};

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->s = settings_new();
	assert_non_null(f->s);
}

static void fixture_done(struct fixture *f)
{
	settings_free(&f->s);
	settings_warnings_done(&f->warnings);
}

static enum err load(struct fixture *f, struct slice text, const struct memory_file *files)
{
	struct settings_reader reader = { read_memory, (void *)files };

	return settings_load_text(f->s, text, "t.conf", &reader, &f->warnings, &f->detail);
}

static void assert_contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' does not hold '%s'", text, part);
}

static void defaults_are_those_of_the_manual(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(f.s->minimum_key_bits, 1024);
	assert_int_equal(f.s->maximum_signatures_to_verify, 8);
	assert_int_equal(f.s->canonicalization, 0);
	assert_int_equal(f.s->mode, MODE_SIGN | MODE_VERIFY);
	assert_int_equal(f.s->on_signature_error, ACTION_REJECT);
	assert_int_equal(f.s->on_token_failure, ACTION_TEMPFAIL);
	assert_int_equal(f.s->on_bad_signature, ACTION_ACCEPT);
	assert_int_equal(f.s->token_timeout_ms, 20000);
	assert_int_equal(f.s->dns_timeout_ms, 5000);
	assert_int_equal(f.s->clock_drift_s, 300);
	assert_int_equal(f.s->syslog_facility, LOG_MAIL);
	assert_int_equal(f.s->umask, -1);
	assert_string_equal(f.s->oversign_headers, "From");
	assert_string_equal(f.s->internal_hosts, "127.0.0.1,::1");
	assert_null(f.s->key_table);
	assert_true(f.s->require_safe_keys);
	assert_false(f.s->is_set[SETTING_ID_mode]);
	fixture_done(&f);
}

static void lines_are_read_as_opendkim_reads_them(void **state)
{
	struct fixture f;

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
		struct fixture f;
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
		struct fixture f;
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
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;

		fixture_init(&f);
		assert_int_not_equal(load(&f, slice_str(cases[i].text), files), ERR_OK);
		assert_contains(f.detail.text, cases[i].part);
		assert_null(strstr(strstr(f.detail.text, "configuration error") + 1,
				   "configuration error"));
		fixture_done(&f);
	}
}

static void a_nul_byte_is_an_error_and_not_the_end_of_the_line(void **state)
{
	struct fixture f;

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
	struct fixture f;

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
	struct fixture f;

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
		struct fixture f;

		fixture_init(&f);
		assert_int_equal(load(&f, slice_str(texts[i]), NULL), ERR_OK);
		assert_int_equal(settings_finish(f.s, &f.warnings, &f.detail), ERR_OK);
		fixture_done(&f);
	}
}

static void finish_finds_what_no_line_shows(void **state)
{
	static const struct {
		const char *text;
		const char *part; /* NULL: good */
	} cases[] = {
		{ "", NULL },
		{ "SigningTable /s\n", "SigningTable requires KeyTable" },
		{ "KeyTable /k\n", "KeyTable requires SigningTable" },
		{ "Mode v\nKeyTable /k\n", NULL },
		{ "Selector a\n", "KeyFile and Selector must both" },
		{ "Domain a.example\n", "Domain requires KeyFile and Selector" },
		{ "KeyFile /k\nSelector a\n", "KeyFile requires Domain" },
		{ "Domain a.example\nKeyFile /k\nSelector a\n", NULL },
		{ "KeyTable /k\nSigningTable /s\nKeyFile /k\n", NULL },
		{ "PKCS11Module x.so\n", "absolute path" },
		{ "PKCS11Module /x.so\nTokenTable /t\n", "exclude each other" },
		{ "PKCS11Module /x.so\nPKCS11PinSource 1234\n", "never the PIN itself" },
		{ "PKCS11Module /x.so\nPKCS11PinSource file:/p\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;
		enum err e;

		fixture_init(&f);
		assert_int_equal(load(&f, slice_str(cases[i].text), NULL), ERR_OK);
		e = settings_finish(f.s, &f.warnings, &f.detail);
		if (cases[i].part == NULL) {
			assert_int_equal(e, ERR_OK);
		} else {
			assert_int_equal(e, ERR_CONFIG);
			assert_contains(f.detail.text, cases[i].part);
			assert_null(strstr(f.detail.text, "1234"));
		}
		fixture_done(&f);
	}
}

static void on_default_comes_first_wherever_it_stands(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(load(&f, SLICE_LIT("On-BadSignature reject\nOn-Default accept\n"), NULL),
			 ERR_OK);
	assert_int_equal(settings_finish(f.s, &f.warnings, &f.detail), ERR_OK);
	assert_int_equal(f.s->on_bad_signature, ACTION_REJECT);
	assert_int_equal(f.s->on_dns_error, ACTION_ACCEPT);
	assert_int_equal(f.s->on_signature_error, ACTION_ACCEPT);
	assert_int_equal(f.s->on_token_failure, ACTION_TEMPFAIL);
	fixture_done(&f);
}

static char *printed(const struct settings *s, bool all)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(settings_print(s, all, out), ERR_OK);
	(void)fclose(out);
	return text;
}

static void what_is_printed_loads_to_the_same_settings(void **state)
{
	static const char *const texts[] = {
		"",
		"On-Default discard\nOn-BadSignature accept\nOn-SignatureError reject\n",
		"TokenTimeout 1500ms\nSignatureTTL 3600\nUMask 027\nAutoRestartRate 7/90s\n"
		"Canonicalization relaxed/relaxed\nMode s\nMaximumSignedBytes 0x10\n"
		"OversignHeaders .\nSyslogFacility local7\nSocket inet:1@x\nBackground 0\n"
		"DNSTimeout 0\nKeyFile /a b\nSelector s\nDomain d\nTokenRateLimit 100/1m\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		for (int all = 0; all <= 1; all++) {
			struct fixture a;
			struct fixture b;
			char *first;
			char *second;

			fixture_init(&a);
			fixture_init(&b);
			assert_int_equal(load(&a, slice_str(texts[i]), NULL), ERR_OK);
			assert_int_equal(settings_finish(a.s, NULL, NULL), ERR_OK);
			first = printed(a.s, all != 0);
			assert_int_equal(load(&b, slice_str(first), NULL), ERR_OK);
			for (size_t r = 0; r < SETTING_ID_COUNT; r++) {
				const struct setting_row *row = &settings_rows[r];

				if (!setting_is_text(row))
					continue;
				char *const *fa = setting_field_const(a.s, row);
				char *const *fb = setting_field_const(b.s, row);

				assert_true((*fa == NULL) == (*fb == NULL));
				if (*fa != NULL)
					assert_string_equal(*fa, *fb);
			}
			second = printed(b.s, true);
			free(first);
			first = printed(a.s, true);
			assert_string_equal(first, second);
			free(first);
			free(second);
			fixture_done(&a);
			fixture_done(&b);
		}
	}
}

static void a_reload_keeps_what_is_read_at_start(void **state)
{
	struct fixture running;
	struct fixture next;

	(void)state;
	fixture_init(&running);
	fixture_init(&next);
	assert_int_equal(load(&running,
			      SLICE_LIT("Socket inet:1@x\nUMask 007\nPidFile /p\nLogWhy no\n"),
			      NULL),
			 ERR_OK);
	assert_int_equal(load(&next,
			      SLICE_LIT("Socket inet:2@x\nUMask 027\nUserID u\nLogWhy yes\n"
					"AutoRestartRate 10/1h\n"),
			      NULL),
			 ERR_OK);
	assert_int_equal(settings_keep_start(next.s, running.s, &next.warnings), ERR_OK);
	assert_string_equal(next.s->socket, "inet:1@x");
	assert_int_equal(next.s->umask, 7);
	assert_string_equal(next.s->pid_file, "/p");
	assert_null(next.s->user_id);
	assert_int_equal(next.s->auto_restart_rate.count, 0);
	assert_true(next.s->log_why);
	assert_int_equal(next.warnings.count, 5);
	assert_contains(next.warnings.texts[0],
			"Socket: the change takes effect at the next start");
	fixture_done(&running);
	fixture_done(&next);
}

struct seen {
	char text[512];
};

static void note_file(void *ctx, const char *name, const char *path, unsigned use)
{
	struct seen *seen = ctx;
	size_t len = strlen(seen->text);

	(void)snprintf(seen->text + len, sizeof(seen->text) - len, "%s=%s:%u ", name, path, use);
}

static void each_file_gives_what_the_supervisor_must_read(void **state)
{
	struct fixture f;
	struct seen seen = { "" };

	(void)state;
	fixture_init(&f);
	assert_int_equal(
		load(&f,
		     SLICE_LIT("KeyTable file:/k\nSigningTable refile:s t\n"
			       "InternalHosts /h\nPeerList 10.0.0.1,/x\n"
			       "MTA csl:/a\nKeyFile pkcs11:token=a\n"
			       "PKCS11PinSource file:/p\nTrustAnchorFile ta\nPidFile /pid\n"
			       "Domain d,/e\n"),
		     NULL),
		ERR_OK);
	settings_each_file(f.s, note_file, &seen);
	assert_string_equal(seen.text, "PKCS11PinSource=/p:2 KeyTable=/k:2 SigningTable=s t:1 "
				       "InternalHosts=/h:1 TrustAnchorFile=ta:1 ");
	fixture_done(&f);
}

static void the_manual_names_every_setting_and_lints(void **state)
{
	char dir[] = "/tmp/hsmdkim-test.XXXXXX";
	char path[64];
	char command[160];
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/x.5", dir);
	out = open_memstream(&text, &len);
	assert_non_null(out);
	settings_print_man(out);
	(void)fclose(out);
	for (size_t i = 0; i < SETTING_ID_COUNT; i++)
		assert_contains(text, settings_rows[i].name);
	out = fopen(path, "w");
	assert_non_null(out);
	(void)fprintf(out,
		      ".Dd $Mdocdate$\n.Dt HSMDKIM.CONF 5\n.Os\n.Sh NAME\n.Nm hsmdkim.conf\n"
		      ".Nd configuration\n.Sh DESCRIPTION\nText.\n%s",
		      text);
	(void)fclose(out);
	(void)snprintf(command, sizeof(command), "mandoc -T lint -W warning %s", path);
	if (system("command -v mandoc >/dev/null") == 0) /* NOLINT(cert-env33-c): a test */
		assert_int_equal(system(command), 0);	 /* NOLINT(cert-env33-c): a test */
	else
		assert_null(getenv("REQUIRE_ALL"));
	(void)unlink(path);
	(void)rmdir(dir);
	free(text);
}

static void every_row_has_a_default_that_it_accepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		struct settings *s = settings_new();
		const struct setting_row *row = &settings_rows[i];

		assert_non_null(s);
		assert_true(setting_is_default(row, setting_field_const(s, row)));
		assert_ptr_equal(settings_find_row(slice_str(row->name)), row);
		assert_null(settings_find_legacy(slice_str(row->name)));
		assert_true(strlen(row->man) > 10);
		settings_free(&s);
	}
}

static void files_are_read_from_the_disk(void **state)
{
	char dir[] = "/tmp/hsmdkim-test.XXXXXX";
	char path[64];
	struct fixture f;
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
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(lines_are_read_as_opendkim_reads_them),
		cmocka_unit_test(booleans_go_by_their_first_character),
		cmocka_unit_test(values_are_checked_and_the_message_lists_what_is_allowed),
		cmocka_unit_test(errors_name_file_and_line),
		cmocka_unit_test(a_nul_byte_is_an_error_and_not_the_end_of_the_line),
		cmocka_unit_test(include_nests_five_deep_and_the_last_value_wins),
		cmocka_unit_test(known_but_dead_names_are_warnings_with_the_way_to_go),
		cmocka_unit_test(stock_configurations_load),
		cmocka_unit_test(finish_finds_what_no_line_shows),
		cmocka_unit_test(on_default_comes_first_wherever_it_stands),
		cmocka_unit_test(what_is_printed_loads_to_the_same_settings),
		cmocka_unit_test(a_reload_keeps_what_is_read_at_start),
		cmocka_unit_test(each_file_gives_what_the_supervisor_must_read),
		cmocka_unit_test(the_manual_names_every_setting_and_lints),
		cmocka_unit_test(every_row_has_a_default_that_it_accepts),
		cmocka_unit_test(files_are_read_from_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
