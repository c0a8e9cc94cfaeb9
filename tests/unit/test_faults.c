/* All that is wrong in a table is told at once: config/faults.h under each kind of table. */
#include "tests/unit/tables.h"

#include "config/faults.h"
#include "keytable/hostlist.h"
#include "keytable/keytable.h"
#include "keytable/signtable.h"
#include "keytable/tokentable.h"

static bool no_key(void *ctx, struct slice name)
{
	(void)ctx;
	return slice_eq(name, SLICE_LIT("k"));
}

static enum err open_keys(const char *spec, struct files *files, struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *t = NULL;

	return keytable_open(spec, files, &t, detail);
}

static enum err open_signers(const char *spec, struct files *files, struct err_detail *detail)
{
	AUTO(signtable_free) struct signtable *t = NULL;

	return signtable_open(spec, files, &t, detail);
}

static enum err check_names(const char *spec, struct files *files, struct err_detail *detail)
{
	return signtable_check_spec(spec, files, no_key, NULL, detail);
}

static enum err open_hosts(const char *spec, struct files *files, struct err_detail *detail)
{
	AUTO(hostlist_free) struct hostlist *l = NULL;

	return hostlist_open("InternalHosts", spec, files, &l, detail);
}

static enum err open_tokens(const char *spec, struct files *files, struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *t = NULL;
	struct settings s = { .token_table = (char *)spec };

	return tokentable_load(&s, files, &t, detail);
}

typedef enum err (*open_fn)(const char *spec, struct files *files, struct err_detail *detail);

/* "LINE what", as often as there are faults. */
static void assert_faults(open_fn open, const char *spec, const char *const *want)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct err_detail detail = { "" };
	struct faults faults;
	struct slice rest;
	struct slice line;

	faults_init(&faults);
	files_gather(files, &faults);
	assert_int_equal(open(spec, files, &detail), ERR_OK);
	assert_int_equal(files_gathered(files, &detail), want[0] != NULL ? ERR_CONFIG : ERR_OK);
	rest = buf_slice(&faults.text);
	for (; *want != NULL; want++) {
		char text[512];
		char place[128];
		int len = 0;

		assert_true(slice_next(&rest, '\n', &line));
		(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(line));
		assert_int_equal(sscanf(*want, "%*d%n", &len), 0);
		(void)snprintf(place, sizeof(place), "%s:%.*s: ", tables_path, len, *want);
		if (len > 0)
			assert_contains(text, place);
		assert_contains(text, *want + len + (len > 0));
	}
	assert_int_equal(rest.len, 0);
	faults_done(&faults);
}

static void each_bad_row_of_a_table_is_told(void **state)
{
	static const struct {
		open_fn open;
		const char *prefix;
		const char *text;
		const char *want[8];
	} cases[] = {
		{ open_keys,
		  "",
		  "a\nb b.example:s:/k\n# c\nd d.example\ne\nb b.example:t:/k\nf %:s:pkcs11:x\n"
		  "b nothing\n",
		  { "1 'a' has no value", "5 'e' has no value", "6 'b' stands on line 2 already",
		    "8 'b' stands on line 2 already",
		    "4 key 'd': ", "7 key 'f': ", "8 key 'b': " } },
		{ open_keys,
		  "refile:",
		  "(a %:s:/k\n* %:s:/k\nc\n",
		  { "1 ", "3 'c' has no value" } },
		{ open_keys, "", "a a.example:s:/k\n", { NULL } },
		{ open_signers,
		  "",
		  "a\nb.example :me@b.example\nc.example k:me\nd.example k\nd.example k\n",
		  { "1 'a' has no value", "2 'b.example' -> ':me@b.example' has no key name",
		    "3 'c.example' -> 'k:me' has a signer without '@'" } },
		{ open_signers, "refile:", "(a k\n*@b.example k\nc{1 k\n", { "1 ", "3 " } },
		{ check_names,
		  "",
		  "a k\nb\nc nosuch\nd :x@y\ne nosuch:x\n",
		  { "3 'c' -> 'nosuch' names a key that is not in the KeyTable",
		    "5 'e' -> 'nosuch:x' names a key that is not in the KeyTable" } },
		{ check_names, "refile:", "(a k\nb nosuch\n", { "2 'b' -> 'nosuch'" } },
		{ open_hosts,
		  "",
		  "10.0.0.1/8\nmail.example\n*.example\n!\n2001:db8::1/32\n",
		  { "1 InternalHosts: ", "3 InternalHosts: '*.example' is a wildcard",
		    "4 InternalHosts: '!' alone", "5 InternalHosts: " } },
		{ open_tokens,
		  "",
		  "a\nb pkcs11:token=T?module-path=/m.so sessions=0\nc http://x\n"
		  "d pkcs11:?module-path=/m.so\ne pkcs11:?module-path=/m.so&pin-source=|sh\n"
		  "d pkcs11:?module-path=/n.so\n",
		  { "1 'a' has no value", "6 'd' stands on line 4 already",
		    "2 token 'b': option \"sessions=0\"", "3 token 'c': a line is",
		    "5 token 'e': pin-source=|command" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_faults(cases[i].open, table(cases[i].prefix, cases[i].text), cases[i].want);
}

static void entries_of_a_list_are_told(void **state)
{
	static const char *const hosts[] = { "entry 1 of InternalHosts: ",
					     "entry 3 of InternalHosts: ", NULL };
	static const char *const keys[] = { "entry 2 of KeyTable: 'b' has no value",
					    "entry 1 of KeyTable: key 'a'", NULL };

	(void)state;
	assert_faults(open_hosts, "10.0.0.1/8,b.example,c d", hosts);
	assert_faults(open_keys, "csl:a=x,b", keys);
}

static void what_is_no_table_is_one_fault(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct err_detail detail = { "" };
	struct faults faults;
	enum err e;

	(void)state;
	faults_init(&faults);
	files_gather(files, &faults);
	e = open_keys("/nonexistent/t", files, &detail);
	assert_int_equal(files_fault(files, "KeyTable", e, &detail), ERR_OK);
	e = open_hosts("dsn:x", files, &detail);
	assert_int_equal(files_fault(files, "InternalHosts", e, &detail), ERR_OK);
	/* the next error does not say what this one said */
	assert_string_equal(detail.text, "");
	assert_int_equal(files_fault(files, "PeerList", ERR_LIMIT, &detail), ERR_OK);
	/* no error of a table ends the work */
	assert_int_equal(files_fault(files, "InternalHosts", ERR_NOMEM, &detail), ERR_NOMEM);
	assert_int_equal(files_gathered(files, &detail), ERR_IO);
	assert_contains(detail.text, "KeyTable: /nonexistent/t: cannot read the file");
	assert_contains(faults.text.data, "\nInternalHosts: dsn: data set: SQL");
	faults_done(&faults);
}

static void of_very_many_some_are_told_and_the_others_counted(void **state)
{
	static const char *const rows[] = { "k%u\n", "k%u x\n", "k x.example:s:/k\n" };
	static const size_t more[] = { 980, 980, 979 }; /* the first k is right */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		struct err_detail detail = { "" };
		struct faults faults;
		struct buf text;
		char last[64];
		size_t lines = 0;

		buf_init(&text, 65536);
		for (unsigned k = 0; k < 1000; k++)
			if (i < 2)
				buf_add_fmt(&text, i == 0 ? "k%u\n" : "k%u x\n", k);
			else
				buf_add_str(&text, rows[i]);
		faults_init(&faults);
		files_gather(files, &faults);
		assert_int_equal(open_keys(table_bytes("", buf_slice(&text)), files, &detail),
				 ERR_OK);
		assert_int_equal(files_gathered(files, &detail), ERR_CONFIG);
		for (size_t at = 0; at < faults.text.len; at++)
			lines += faults.text.data[at] == '\n';
		assert_int_equal(lines, FAULTS_TABLE_MAX + 1);
		(void)snprintf(last, sizeof(last), "\nKeyTable: and %zu more", more[i]);
		assert_contains(faults.text.data, last);
		buf_done(&text);
		faults_done(&faults);
	}
}

static void a_set_that_gathers_nothing_ends_at_the_first(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct err_detail detail = { "" };

	(void)state;
	assert_int_equal(open_keys(table("", "a x\nb y\n"), files, &detail), ERR_CONFIG);
	assert_contains(detail.text, ":1: key 'a'");
	assert_int_equal(files_gathered(files, &detail), ERR_OK);
}

static void the_first_is_the_error_and_the_others_are_warnings(void **state)
{
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };

	(void)state;
	faults_spread("one\ntwo\x1b\nthree\n", NULL, &detail, &warnings);
	assert_string_equal(detail.text, "one");
	assert_int_equal(warnings.count, 2);
	assert_string_equal(warnings.texts[0], "also wrong: two\\x1b");
	faults_spread("four\n", NULL, &detail, &warnings);
	assert_string_equal(warnings.texts[2], "also wrong: four");
	faults_spread("five\n", NULL, &detail, NULL);
	settings_warnings_done(&warnings);
}

static void each_has_the_place_of_its_setting(void **state)
{
	AUTO(settings_free) struct settings *s = settings_new();
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };

	(void)state;
	assert_non_null(s);
	assert_int_equal(settings_remember(s, SLICE_LIT("KeyTable"), "c.conf", 2), ERR_OK);
	assert_int_equal(settings_remember(s, SLICE_LIT("PeerList"), "c.conf", 7), ERR_OK);
	faults_spread("KeyTable /k: cannot read\nPeerList /p: cannot read\n", s, &detail,
		      &warnings);
	assert_string_equal(detail.text, "c.conf:2: KeyTable /k: cannot read");
	assert_int_equal(warnings.count, 1);
	assert_string_equal(warnings.texts[0], "also wrong: c.conf:7: PeerList /p: cannot read");
	settings_warnings_done(&warnings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bad_row_of_a_table_is_told),
		cmocka_unit_test(entries_of_a_list_are_told),
		cmocka_unit_test(what_is_no_table_is_one_fault),
		cmocka_unit_test(of_very_many_some_are_told_and_the_others_counted),
		cmocka_unit_test(a_set_that_gathers_nothing_ends_at_the_first),
		cmocka_unit_test(the_first_is_the_error_and_the_others_are_warnings),
		cmocka_unit_test(each_has_the_place_of_its_setting),
	};

	return cmocka_run_group_tests(tests, tables_setup, tables_teardown);
}
