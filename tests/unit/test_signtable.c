/* keytable/signtable: OpenDKIM's look-up order, '%', several signatures, what is refused at load.
 */
#include "tests/unit/tables.h"

#include "base/arena.h"
#include "keytable/rowdoubt.h"
#include "keytable/signtable.h"

static struct arena *arena;

static int setup(void **state)
{
	arena = arena_new(4U << 20U);
	return arena != NULL ? tables_setup(state) : -1;
}

static int teardown(void **state)
{
	arena_free(&arena);
	return tables_teardown(state);
}

static struct signtable *open_ok(const char *spec, struct files *files)
{
	struct signtable *t = NULL;
	struct err_detail detail = { "" };

	if (signtable_open(spec, files, &t, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
	return t;
}

/* "key1/identity1 key2 ..." */
static const char *matches_of(const struct signtable *t, const char *address, bool multiple)
{
	static char joined[512];
	struct slice whole = slice_str(address);
	size_t at = slice_rfind(whole, '@');
	struct signtable_match m[16];
	size_t n = 99;
	size_t len = 0;

	joined[0] = '\0';
	assert_int_equal(signtable_find(t, slice_sub(whole, 0, at),
					slice_sub(whole, at + 1, whole.len), multiple, arena, m, 16,
					&n),
			 ERR_OK);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s%s%.*s",
					i > 0 ? " " : "", SLICE_FMT(m[i].key_name),
					m[i].identity.len > 0 ? "/" : "", SLICE_FMT(m[i].identity));
	arena_reset(arena);
	return joined;
}

/* The forms of an exact table, most telling first. */
static const char *const forms[] = {
	"user@a.b.example.com",
	"a.b.example.com",
	"user@.b.example.com",
	".b.example.com",
	"user@.example.com",
	".example.com",
	"user@.com",
	".com",
	"user@*",
	"*",
};

static void exact_tables_are_asked_in_opendkims_order(void **state)
{
	(void)state;
	for (size_t first = 0; first < ARRAY_LEN(forms); first++) {
		AUTO(files_free) struct files *files = files_new_real();
		AUTO(signtable_free) struct signtable *t = NULL;
		char text[1024] = "*@a.b.example.com never\n";
		char want[16];
		char all[128] = "";

		for (size_t i = ARRAY_LEN(forms);
		     i-- > first;) { /* the file's order is no matter */
			size_t len = strlen(text);

			(void)snprintf(text + len, sizeof(text) - len, "%s key%zu\n", forms[i], i);
		}
		for (size_t i = first; i < ARRAY_LEN(forms); i++) {
			size_t len = strlen(all);

			(void)snprintf(all + len, sizeof(all) - len, "%skey%zu", len > 0 ? " " : "",
				       i);
		}
		(void)snprintf(want, sizeof(want), "key%zu", first);
		t = open_ok(table("file:", text), files);
		assert_string_equal(matches_of(t, "user@a.b.example.com", false), want);
		assert_string_equal(matches_of(t, "USER@A.b.EXAMPLE.com", true), all);
	}
}

static void what_no_form_covers_is_not_signed(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free)
	struct signtable *t =
		open_ok(table("", ".example.com k1\nx@y.org k2\nuser@.z.org k3\n"), files);

	(void)state;
	assert_string_equal(matches_of(t, "u@example.com", false), "");
	assert_string_equal(matches_of(t, "u@a.example.com", false), "k1");
	assert_string_equal(matches_of(t, "z@y.org", false), "");
	assert_string_equal(matches_of(t, "user@z.org", false), "");
	assert_string_equal(matches_of(t, "@a.example.com", false), "k1");
	assert_string_equal(matches_of(t, "u@", false), "");
	assert_string_equal(matches_of(t, "u@.", false), "");
	assert_string_equal(matches_of(t, "u@..", false), "");
}

static void percent_stands_for_the_authors_domain(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free)
	struct signtable *t = open_ok(table("", "* %:news@%\n"
						"fix.example k:@%\n"
						"two.example k%:%@%\n"
						"own.example k : bounce@own.example \n"),
				      files);

	(void)state;
	assert_string_equal(matches_of(t, "u@any.example", false), "any.example/news@any.example");
	assert_string_equal(matches_of(t, "u@fix.example", false), "k/@fix.example");
	assert_string_equal(matches_of(t, "u@two.example", false), "k%/two.example@two.example");
	assert_string_equal(matches_of(t, "u@own.example", false), "k/bounce@own.example");
}

#define U_LABEL "m\xc3\xbcnchen.example"
#define A_LABEL "xn--mnchen-3ya.example"

/* Two spellings of one domain are one domain, as RFC 8616 has it. */
static void an_internationalised_domain_matches_in_every_spelling(void **state)
{
	static const char *const authors[] = {
		"u@" U_LABEL,
		"u@" A_LABEL,
		"U@XN--MNCHEN-3YA.Example",
		"u@M\xc3\x9cnchen.example",  /* upper case */
		"u@mu\xcc\x88nchen.example", /* NFD */
	};
	static const struct {
		const char *prefix, *text, *first, *all;
	} tables[] = {
		{ "refile:", "*@" U_LABEL " k\n", "k", "k" },
		{ "refile:", "*@" A_LABEL " k\n", "k", "k" },
		{ "refile:", "u@*.example k\n", "k", "k" },
		{ "refile:", "*@" U_LABEL " k\n*@" A_LABEL " k\n", "k", "k" },
		{ "refile:", "*@x k0\n*@" U_LABEL " k1\n* k2\n*@" A_LABEL " k3\n", "k1",
		  "k1 k2 k3" },
		{ "refile:", "*@" A_LABEL " k1\n* k2\n*@" U_LABEL " k3\n", "k1", "k1 k2 k3" },
		{ "refile:", "*@muenchen.example k\n", "", "" },
		{ "", U_LABEL " k\n", "k", "k" },
		{ "", A_LABEL " k\n", "k", "k" },
		{ "", "* k3\n.example k2\n" U_LABEL " k1\n", "k1", "k1 k2 k3" },
		{ "", A_LABEL " k2\nu@" U_LABEL " k1\n", "k1", "k1 k2" },
		{ "", "muenchen.example k\n", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		AUTO(signtable_free)
		struct signtable *t = open_ok(table(tables[i].prefix, tables[i].text), files);

		for (size_t j = 0; j < ARRAY_LEN(authors); j++) {
			assert_string_equal(matches_of(t, authors[j], false), tables[i].first);
			assert_string_equal(matches_of(t, authors[j], true), tables[i].all);
		}
	}
}

static void parents_of_an_internationalised_domain_match_as_well(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free)
	struct signtable *t = open_ok(table("", "." U_LABEL " k1\nu@.b\xc3\xbc"
						"cher.example k2:@%\n"),
				      files);

	(void)state;
	assert_string_equal(matches_of(t, "a@a.b." A_LABEL, false), "k1");
	assert_string_equal(matches_of(t, "a@a.b." U_LABEL, false), "k1");
	assert_string_equal(matches_of(t, "a@" A_LABEL, false), "");
	/* U+3002 is a full stop, too */
	assert_string_equal(matches_of(t, "a@a\xe3\x80\x82m\xc3\xbcnchen.example", false), "k1");
	assert_string_equal(matches_of(t, "u@x.xn--bcher-kva.example", false),
			    "k2/@x.xn--bcher-kva.example");
	/* what looks like an A-label and is none */
	assert_string_equal(matches_of(t, "u@xn--.example", false), "");
	assert_string_equal(matches_of(t, "u@\xff.example", false), "");
}

static void patterns_match_the_whole_address_in_file_order(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free)
	struct signtable *t = open_ok(table("refile:", "news@example.com k1:@example.com\n"
						       "*@example.com k2\n"
						       "*@*.example.com %\n"
						       "*@(a|b).org k3\n"
						       "*@example.com k4\n"
						       "n*@example.com k2\n"),
				      files);

	(void)state;
	assert_true(signtable_is_pattern(t));
	assert_int_equal(signtable_count(t), 6);
	assert_string_equal(matches_of(t, "News@Example.Com", false), "k1/@example.com");
	assert_string_equal(matches_of(t, "u@example.com", false), "k2");
	assert_string_equal(matches_of(t, "u@x.example.com", false), "x.example.com");
	assert_string_equal(matches_of(t, "u@b.org", true), "k3");
	assert_string_equal(matches_of(t, "u@c.org", true), "");
	/* All of three and more, each key once: OpenDKIM keeps the first and the last. */
	assert_string_equal(matches_of(t, "news@example.com", true), "k1/@example.com k2 k4");
}

static void several_rows_for_one_address_sign_several_times(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free)
	struct signtable *t = open_ok(
		table("", "example.com rsa\nexample.com ed\nexample.com rsa\n* third\n"), files);

	(void)state;
	assert_string_equal(matches_of(t, "u@example.com", true), "rsa ed third");
	assert_string_equal(matches_of(t, "u@example.com", false), "rsa");
}

static void more_matches_than_room_is_an_error(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free)
	struct signtable *t =
		open_ok(table("", "a.example k1\na.example k2\na.example k3\n"), files);
	struct signtable_match m[2];
	size_t n = 99;

	(void)state;
	assert_int_equal(
		signtable_find(t, SLICE_LIT("u"), SLICE_LIT("a.example"), true, arena, m, 2, &n),
		ERR_LIMIT);
	assert_int_equal(n, 99);
}

static void a_huge_local_part_is_looked_up_or_refused(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free) struct signtable *t = open_ok(table("", "* k\n"), files);
	size_t len = 8U << 20U;
	char *local = calloc(1, len);
	struct signtable_match m[2];
	size_t n = 0;

	(void)state;
	assert_non_null(local);
	assert_int_equal(signtable_find(t, slice_of(local, 100000), SLICE_LIT("a.example"), false,
					arena, m, 2, &n),
			 ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(signtable_find(t, slice_of(local, len), SLICE_LIT("a.example"), false,
					arena, m, 2, &n),
			 ERR_NOMEM);
	arena_reset(arena);
	free(local);
}

static void bad_rows_name_file_line_and_mend(void **state)
{
	static const struct {
		const char *prefix;
		const char *text;
		const char *line;
		const char *part;
	} cases[] = {
		{ "", "a.example k1\nb.example\n", ":2: ", "'b.example' has no value" },
		{ "refile:", "*@a.example\n", ":1: ", "has no value" },
		{ "", "a.example k1:%\n", ":1: ", "has a signer without '@'" },
		{ "refile:", "#\n*@a.example k1:signer\n",
		  ":2: ", "would send this mail unsigned" },
		{ "", "a.example :u@a.example\n", ":1: ", "has no key name" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		struct signtable *t = NULL;
		struct err_detail detail = { "" };
		char where[128];

		assert_int_equal(
			signtable_open(table(cases[i].prefix, cases[i].text), files, &t, &detail),
			ERR_CONFIG);
		assert_null(t);
		(void)snprintf(where, sizeof(where), "%s%s", tables_path, cases[i].line);
		assert_contains(detail.text, where);
		assert_contains(detail.text, cases[i].part);
	}
}

static bool known_k1(void *ctx, struct slice key_name)
{
	++*(int *)ctx;
	return slice_eq(key_name, SLICE_LIT("k1"));
}

static void check_finds_keys_that_are_not_in_the_keytable(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(files_free) struct files *more_files = files_new_real();
	AUTO(signtable_free)
	struct signtable *good = open_ok(table("", "a.example k1\n* %\nb.example k1:@%\n"), files);
	AUTO(signtable_free) struct signtable *bad = NULL;
	struct err_detail detail = { "" };
	int asked = 0;

	(void)state;
	assert_int_equal(signtable_check(good, known_k1, &asked, &detail), ERR_OK);
	assert_int_equal(asked, 2);
	/* Also for rows without a signer, and for patterns: OpenDKIM looks at neither. */
	bad = open_ok(table("refile:", "*@a.example k1\n*@b.example typo\n"), more_files);
	assert_int_equal(signtable_check(bad, known_k1, &asked, &detail), ERR_CONFIG);
	assert_contains(detail.text, ":2: '*@b.example' -> 'typo' names a key that is not in");
}

/* Slow, printed and not asserted: HSMDKIM_SLOW=1. */
static void a_million_rows_open_fast(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(signtable_free) struct signtable *t = NULL;
	FILE *out;
	int start;

	(void)state;
	if (getenv("HSMDKIM_SLOW") == NULL)
		return;
	out = fopen(tables_path, "w");
	assert_non_null(out);
	for (int i = 0; i < 1000000; i++)
		(void)fprintf(out, "domain%07d.example.com key%07d\n", i, i);
	(void)fclose(out);
	start = cpu_ms();
	t = open_ok(tables_path, files);
	print_message("SigningTable of %zu rows, read, checked and indexed: %d ms of CPU\n",
		      signtable_count(t), cpu_ms() - start);
}

/* Rows that nothing can match, and those that look odd and can. */
static void test_doubts(void **state)
{
	static const char *const bad_exact[] = { "*@example.com", "@example.com",
						 "*.example.com", "a@*.example.com",
						 "*@*",		  "a.example,b.example" };
	static const char *const good_exact[] = {
		"*",
		"a@*",
		"example.com",
		".example.com",
		"a@.example.com",
		"a*b@example.com",
		"b\xc3\xbc.example",
	};
	static const char *const bad_pattern[] = { "example.com", "@example.com",  "*@.example.com",
						   "*@a,*@b",	  "(a|b).example", ".example.com" };
	static const char *const good_pattern[] = { "*",     "*@*",	     "*@example.com",
						    "a@*",   "*example.com", "*@(a|b).example",
						    "[^x]+", "*.example.com" };
	static const char *const bad_domain[] = { "a b", "@a.example", "*.a.example",
						  ".a.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_exact); i++)
		assert_non_null(rowdoubt_signing(slice_str(bad_exact[i]), false));
	for (size_t i = 0; i < ARRAY_LEN(good_exact); i++)
		assert_null(rowdoubt_signing(slice_str(good_exact[i]), false));
	for (size_t i = 0; i < ARRAY_LEN(bad_pattern); i++)
		assert_non_null(rowdoubt_signing(slice_str(bad_pattern[i]), true));
	for (size_t i = 0; i < ARRAY_LEN(good_pattern); i++)
		assert_null(rowdoubt_signing(slice_str(good_pattern[i]), true));
	for (size_t i = 0; i < ARRAY_LEN(bad_domain); i++)
		assert_non_null(rowdoubt_domain(slice_str(bad_domain[i]), false));
	/* upper case, NFD */
	assert_non_null(rowdoubt_signing(SLICE_LIT("M\xc3\x9cnchen.example"), false));
	assert_non_null(rowdoubt_signing(SLICE_LIT("u@.mu\xcc\x88nchen.example"), false));
	assert_non_null(rowdoubt_signing(SLICE_LIT("*@*.mu\xcc\x88nchen.example"), true));
	assert_non_null(rowdoubt_domain(SLICE_LIT("mu\xcc\x88nchen.example"), false));
	assert_null(rowdoubt_signing(SLICE_LIT("M"
					       "\xc3\xbcnchen.Example"),
				     false));
	assert_null(rowdoubt_signing(SLICE_LIT("u\xcc\x88@*." U_LABEL), true));
	assert_null(rowdoubt_signing(SLICE_LIT("*@XN--mnchen-3ya.example"), true));
	assert_null(rowdoubt_domain(SLICE_LIT(U_LABEL), false));
	assert_null(rowdoubt_domain(SLICE_LIT("*"), false));
	assert_null(rowdoubt_domain(SLICE_LIT("example.com"), false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(exact_tables_are_asked_in_opendkims_order),
		cmocka_unit_test(what_no_form_covers_is_not_signed),
		cmocka_unit_test(an_internationalised_domain_matches_in_every_spelling),
		cmocka_unit_test(parents_of_an_internationalised_domain_match_as_well),
		cmocka_unit_test(percent_stands_for_the_authors_domain),
		cmocka_unit_test(patterns_match_the_whole_address_in_file_order),
		cmocka_unit_test(several_rows_for_one_address_sign_several_times),
		cmocka_unit_test(more_matches_than_room_is_an_error),
		cmocka_unit_test(a_huge_local_part_is_looked_up_or_refused),
		cmocka_unit_test(bad_rows_name_file_line_and_mend),
		cmocka_unit_test(check_finds_keys_that_are_not_in_the_keytable),
		cmocka_unit_test(a_million_rows_open_fast),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
