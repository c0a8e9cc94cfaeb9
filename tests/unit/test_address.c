/* dkim/address and dkim/domain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "dkim/address.h"
#include "dkim/address_lex.h"

#define ARENA_BYTES 1048576u
/* 63 bytes are the longest label, 253 the longest domain */
#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DOMAIN253                                                                                  \
	LABEL63 "." LABEL63 "." LABEL63                                                            \
		".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char label64[] = LABEL63 "a";
static const char longest_address[] = LABEL63 "@" LABEL63;
static const char long_address[] = "a@" LABEL63 "a";
static const char domain253[] = DOMAIN253;
static const char domain254[] = DOMAIN253 "a";

static const struct {
	const char *value;
	size_t count;
	const char *local, *domain; /* of the first */
} accepted[] = {
	{ "a@b.example", 1, "a", "b.example" },
	{ " a@B.Example ", 1, "a", "b.example" },
	{ "A.B+c=d@x", 1, "A.B+c=d", "x" },
	{ "<a@b>", 1, "a", "b" },
	{ "Joe <a@b>", 1, "a", "b" },
	{ "Joe<a@b>", 1, "a", "b" },
	{ "Joe Q. Public <a@b>", 1, "a", "b" },
	{ "\"Joe, Q\" <a@b>", 1, "a", "b" },
	{ "\"x@y <z>\" <a@b>", 1, "a", "b" },
	{ "\"q\\\"x\" <a@b>", 1, "a", "b" },
	{ "=?utf-8?q?J=C3=B6?= <a@b>", 1, "a", "b" },
	{ "J\xc3\xb6rg <j\xc3\xb6rg@m\xc3\xbcnchen.example>", 1, "j\xc3\xb6rg",
	  "m\xc3\xbcnchen.example" },
	{ "J\xf6rg in latin-1 <a@b>", 1, "a", "b" },
	/* comments */
	{ "a@b (Joe)", 1, "a", "b" },
	{ "(x) a (y) @ (z) b (w) . c (v)", 1, "a", "b.c" },
	{ "(a (nested (comment)) with \\) and \\( ) a@b", 1, "a", "b" },
	{ "Joe (\"<x@y>\") <a@b>", 1, "a", "b" },
	{ "(x@y) <a@b>", 1, "a", "b" },
	/* folds */
	{ "Joe\r\n <a@b>", 1, "a", "b" },
	{ "Joe\r\n\t<\r\n a@b\r\n >\r\n", 1, "a", "b" },
	/* quoted local parts */
	{ "\"a b\"@c", 1, "a b", "c" },
	{ "\"a@x\"@c", 1, "a@x", "c" },
	{ "\"a\\\"\\\\b\"@c", 1, "a\"\\b", "c" },
	{ "\"a\r\n b\"@c", 1, "a b", "c" },
	{ "a.\"b c\".d@e", 1, "a.b c.d", "e" },
	{ "<\"a,b\"@c>", 1, "a,b", "c" },
	/* obsolete syntax */
	{ "a . b @ c . d", 1, "a.b", "c.d" },
	{ "<@r1,@r2.example:a@b>", 1, "a", "b" },
	{ "<@r1 , , @r2 : a@b>", 1, "a", "b" },
	{ ", ,a@b,,", 1, "a", "b" },
	{ "a@b.", 1, "a", "b" },
	/* what real mail has */
	{ "x@y.example <a@b>", 1, "a", "b" },
	{ "x@y.example via list <a@b>", 1, "a", "b" },
	{ "[TRAC] Joe <a@b>", 1, "a", "b" },
	{ "Joe [x] <a@b>", 1, "a", "b" },
	{ "Joe] <a@b>", 1, "a", "b" },
	{ "@joe <a@b>", 1, "a", "b" },
	{ "joe..x.@docomo.example", 1, "joe..x.", "docomo.example" },
	{ ".joe@docomo.example", 1, ".joe", "docomo.example" },
	{ "a_b@under_score.example", 1, "a_b", "under_score.example" },
	/* literals */
	{ "a@[192.0.2.1]", 1, "a", "[192.0.2.1]" },
	{ "a@[IPv6:2001:db8::1]", 1, "a", "[IPv6:2001:db8::1]" },
	/* lists and groups */
	{ "a@b,c@d", 2, "a", "b" },
	{ "Joe <a@b>, \"X, Y\" <c@d>,e@f", 3, "a", "b" },
	{ "Friends: a@b, Joe <c@d>;", 2, "a", "b" },
	{ "Friends: a@b;, e@f", 2, "a", "b" },
	{ "\"The group\" x:a@b;", 1, "a", "b" },
	{ "Undisclosed recipients:;", 0, "", "" },
	{ "u: ,, ;", 0, "", "" },
	{ "", 0, "", "" },
	{ " \r\n ", 0, "", "" },
	{ "(only a comment)", 0, "", "" },
	{ longest_address, 1, LABEL63, LABEL63 },
};

static void one_mailbox_or_several(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		struct arena *arena = arena_new(ARENA_BYTES);
		struct dkim_address a = { SLICE_LIT(""), SLICE_LIT("") };
		size_t count = 99;

		assert_non_null(arena);
		if (dkim_address_parse(arena, slice_str(accepted[i].value), &a, &count) != ERR_OK)
			fail_msg("refused: %s", accepted[i].value);
		assert_int_equal(count, accepted[i].count);
		assert_true(slice_eq(a.local, slice_str(accepted[i].local)));
		assert_true(slice_eq(a.domain, slice_str(accepted[i].domain)));
		arena_free(&arena);
	}
}

static void anything_else_is_refused_and_outputs_stay(void **state)
{
	static const char *const bad[] = {
		"joe",
		"@",
		"a@",
		"@b",
		"a@b c@d",
		"a@b c",
		"a b@c",
		"\"a\" \"b\"@c",
		"a\"b\"@c",
		"<>",
		"Joe <>",
		"<a>",
		"<a@b",
		"a@b>",
		"<<a@b>>",
		"<a@b> x",
		"<a@b> <c@d>",
		"Joe, Q <a@b>, x",
		"Smith, John <a@b>",
		"a@b;",
		";",
		"x:y:a@b;;",
		"x: a@b",
		":a@b;",
		"x: y: a@b;;",
		"x:a@b; c@d",
		"a@b@c",
		"<a@b@c>",
		"a@b..c",
		"a@.b",
		"a@b!c",
		"a@b/c",
		"a@-\x80",
		"\xf6@b",
		"a@m\xfcnchen.example",
		"(a@b",
		"a@b)",
		"\"a@b",
		"a\"@b",
		"a@[192.0.2.1",
		"a@[x[y]",
		"a@[x y]",
		"a@[x]z",
		"a\\@b",
		"a@\"b\"",
		"<@a@b:c@d>",
		"<@a,b:c@d>",
		"<@a c@d>",
		"<@a:>",
		"<@:a@b>",
		"a@b\x01",
		"\"a\x01\"@b",
		"\"a\\\x01\"@b",
		"\"a\\\n\"@b",
		"a\x7f@b",
		"\"\"@b",
		"a@b\xc2\x85",
		"(\x01)a@b",
		long_address,
		"<a@b>,<",
		"Joe <a@b:c>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena *arena = arena_new(ARENA_BYTES);
		struct dkim_address a = { SLICE_LIT("l"), SLICE_LIT("d") };
		size_t count = 99;

		assert_non_null(arena);
		if (dkim_address_parse(arena, slice_str(bad[i]), &a, &count) != ERR_SYNTAX)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(count, 99);
		assert_true(slice_eq(a.local, SLICE_LIT("l")));
		arena_free(&arena);
	}
}

static void a_nul_is_refused(void **state)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct dkim_address a;
	size_t count;

	(void)state;
	assert_int_equal(dkim_address_parse(arena, SLICE_LIT("a@b\0.c"), &a, &count), ERR_SYNTAX);
	assert_int_equal(dkim_address_parse(arena, SLICE_LIT("\"a\0\"@b"), &a, &count), ERR_SYNTAX);
	arena_free(&arena);
}

static void comments_nest_up_to_the_limit(void **state)
{
	(void)state;
	for (size_t depth = 1; depth < (size_t)2 * ADDRESS_COMMENT_DEPTH_MAX; depth++) {
		struct arena *arena = arena_new(ARENA_BYTES);
		char text[5 * ADDRESS_COMMENT_DEPTH_MAX] = "";
		struct dkim_address a;
		size_t count;

		memset(text, '(', depth);
		memset(text + depth, ')', depth);
		memcpy(text + 2 * depth, "a@b", 4);
		assert_int_equal(dkim_address_parse(arena, slice_str(text), &a, &count),
				 depth <= ADDRESS_COMMENT_DEPTH_MAX ? ERR_OK : ERR_SYNTAX);
		arena_free(&arena);
	}
}

/* A field of 300 KB in each of the shapes that make other parsers slow or deep. */
static void time_and_memory_are_linear(void **state)
{
	static const char *const units[] = { "(",  "a@b,", "a ", "\"", "<",	"@a,",	 "x:;,",
					     "\\", "a.",   "()", "[",  "\"\" ", "a@b <", "a@" };
	const size_t len = 300000;
	char *text = malloc(len);
	clock_t start = clock();

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct arena *arena = arena_new(ARENA_BYTES);
		size_t unit = strlen(units[i]);
		struct dkim_address a;
		size_t count = 0;
		enum err e;

		for (size_t k = 0; k < len; k++)
			text[k] = units[i][k % unit];
		e = dkim_address_parse(arena, slice_of(text, len - len % unit), &a, &count);
		assert_true(e == ERR_OK || e == ERR_SYNTAX);
		assert_true(i != 1 || count == len / 4);
		arena_free(&arena);
	}
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	free(text);
}

static void a_full_arena_is_no_memory(void **state)
{
	(void)state;
	for (size_t room = 1; room < 60; room++) {
		struct arena *arena = arena_new(room);
		struct dkim_address a;
		size_t count = 99;
		enum err e =
			dkim_address_parse(arena, SLICE_LIT("abcdefgh@example.com"), &a, &count);

		assert_true(e == ERR_NOMEM || e == ERR_LIMIT);
		assert_int_equal(count, 99);
		arena_free(&arena);
	}
}

static void domains_are_valid_or_not(void **state)
{
	static const char *const good[] = { "a",
					    "a.b",
					    "xn--mnchen-3ya.example",
					    "m\xc3\xbcnchen.example",
					    "_domainkey.a-b.c",
					    "1.2",
					    domain253 };
	static const char *const bad[] = { "",	   ".",	    "a.",   ".a",    "a..b",   "a b", "a/b",
					   "../x", "a;b",   "a\\b", "a:b",   "%",      "*.a", "a\n",
					   "\xc3", "a\xff", "a(b",  label64, domain254 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(dkim_domain_valid(slice_str(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(dkim_domain_valid(slice_str(bad[i])));
	assert_false(dkim_domain_valid(slice_of(NULL, 0)));
	assert_false(dkim_domain_valid(SLICE_LIT("a\0b")));
}

static void descent_goes_label_by_label(void **state)
{
	(void)state;
	assert_true(dkim_domain_in(SLICE_LIT("a.example"), SLICE_LIT("A.EXAMPLE")));
	assert_true(dkim_domain_in(SLICE_LIT("x.y.a.example"), SLICE_LIT("a.example")));
	assert_false(dkim_domain_in(SLICE_LIT("fa.example"), SLICE_LIT("a.example")));
	assert_false(dkim_domain_in(SLICE_LIT("example"), SLICE_LIT("a.example")));
	assert_false(dkim_domain_in(SLICE_LIT("a.example"), SLICE_LIT("")));
	assert_false(dkim_domain_in(SLICE_LIT("a.example.org"), SLICE_LIT("a.example")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_mailbox_or_several),
		cmocka_unit_test(anything_else_is_refused_and_outputs_stay),
		cmocka_unit_test(a_nul_is_refused),
		cmocka_unit_test(comments_nest_up_to_the_limit),
		cmocka_unit_test(time_and_memory_are_linear),
		cmocka_unit_test(a_full_arena_is_no_memory),
		cmocka_unit_test(domains_are_valid_or_not),
		cmocka_unit_test(descent_goes_label_by_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
