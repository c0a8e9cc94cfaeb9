/* config/: defaults, what finishing and reloading do, the printed configuration, the files, the
 * manual. */
#include "tests/unit/settings_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "config/settings_priv.h"

static void defaults_are_those_of_the_manual(void **state)
{
	struct settings_fixture f;

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
		struct settings_fixture f;
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

static void errors_between_settings_say_where_they_stand(void **state)
{
	static const struct memory_file files[] = { { "/inc", "\nSelector a\n" }, { NULL, NULL } };
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{ "Mode s\nKeyTable /k\n", "t.conf:2: KeyTable requires SigningTable" },
		{ "Include /inc\n",
		  "/inc:2: KeyFile and Selector must both be set or both be unset" },
		{ "Domain a\nSelector b\nDomain b\nSelector -\n",
		  "t.conf:4: KeyFile and Selector must both be set or both be unset" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings_fixture f;

		fixture_init(&f);
		assert_int_equal(load(&f, slice_str(cases[i].text), files), ERR_OK);
		assert_int_equal(settings_finish(f.s, &f.warnings, &f.detail), ERR_CONFIG);
		assert_string_equal(f.detail.text, cases[i].error);
		fixture_done(&f);
	}
}

static void assert_placed(const struct settings *s, const char *text, const char *placed)
{
	struct err_detail detail;

	err_detail_set(&detail, "%s", text);
	settings_place_error(s, &detail);
	assert_string_equal(detail.text, placed);
}

static void an_error_gets_the_place_of_the_setting_that_it_names(void **state)
{
	struct settings_fixture f;
	struct settings *copy = settings_new();

	(void)state;
	fixture_init(&f);
	assert_int_equal(load(&f, SLICE_LIT("Mode s\nInternalHosts 1.2.3.4\nUserID a\n"), NULL),
			 ERR_OK);
	assert_int_equal(settings_set(f.s, SLICE_LIT("UserID"), SLICE_LIT("b"), NULL, NULL),
			 ERR_OK);
	assert_placed(f.s, "UserID: no user \"b\"", "UserID: no user \"b\"");
	assert_int_equal(settings_remember(f.s, SLICE_LIT("UserID"), "command line", 0), ERR_OK);
	assert_placed(f.s, "UserID: no user \"b\"", "command line: UserID: no user \"b\"");
	assert_placed(f.s, "entry 1 of InternalHosts: x", "t.conf:2: entry 1 of InternalHosts: x");
	assert_placed(f.s, "/a/Mode:3: Mode", "/a/Mode:3: Mode");
	assert_placed(f.s, "t.conf:1: Mode", "t.conf:1: Mode");
	assert_placed(f.s, "Socket x: unknown form", "Socket x: unknown form");
	assert_non_null(copy);
	assert_int_equal(settings_copy_origins(copy, f.s), ERR_OK);
	assert_placed(copy, "Mode x", "t.conf:1: Mode x");
	settings_free(&copy);
	fixture_done(&f);
}

static void on_default_comes_first_wherever_it_stands(void **state)
{
	struct settings_fixture f;

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
			struct settings_fixture a;
			struct settings_fixture b;
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
	struct settings_fixture running;
	struct settings_fixture next;

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
	struct settings_fixture f;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(finish_finds_what_no_line_shows),
		cmocka_unit_test(errors_between_settings_say_where_they_stand),
		cmocka_unit_test(an_error_gets_the_place_of_the_setting_that_it_names),
		cmocka_unit_test(on_default_comes_first_wherever_it_stands),
		cmocka_unit_test(what_is_printed_loads_to_the_same_settings),
		cmocka_unit_test(a_reload_keeps_what_is_read_at_start),
		cmocka_unit_test(each_file_gives_what_the_supervisor_must_read),
		cmocka_unit_test(the_manual_names_every_setting_and_lints),
		cmocka_unit_test(every_row_has_a_default_that_it_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
