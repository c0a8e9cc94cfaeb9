/* dkim/taglist: the grammar of RFC 6376 section 3.2, and time that grows with the text only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "dkim/taglist.h"
#include "tests/unit/cputime.h"

static void what_the_grammar_takes_and_what_not(void **state)
{
	static const struct {
		const char *text;
		enum err error;
		size_t count;
	} rows[] = {
		{ "", ERR_OK, 0 },
		{ " \r\n\t", ERR_OK, 0 },
		{ "a=1", ERR_OK, 1 },
		{ "a=1;", ERR_OK, 1 },
		{ "a=1; \r\n ", ERR_OK, 1 },
		{ " a = 1 ; b2_c = x y ", ERR_OK, 2 },
		{ "a=;b=", ERR_OK, 2 },
		{ "a=1=2==", ERR_OK, 1 },
		{ "a=1;A=2", ERR_OK, 2 },
		{ "a=caf\xc3\xa9", ERR_OK, 1 },
		{ "a", ERR_SYNTAX, 0 },
		{ "a=1;b", ERR_SYNTAX, 1 },
		{ "=1", ERR_SYNTAX, 0 },
		{ "1a=1", ERR_SYNTAX, 0 },
		{ "_a=1", ERR_SYNTAX, 0 },
		{ "a-b=1", ERR_SYNTAX, 0 },
		{ "a b=1", ERR_SYNTAX, 0 },
		{ ";a=1", ERR_SYNTAX, 0 },
		{ "a=1;;b=2", ERR_SYNTAX, 1 },
		{ "a=1;;", ERR_SYNTAX, 1 },
		{ "a=1; ; ", ERR_SYNTAX, 1 },
		{ "a=\x01", ERR_SYNTAX, 0 },
		{ "a=\x7f", ERR_SYNTAX, 0 },
		{ "a=\xe9", ERR_SYNTAX, 0 },
		{ "a=\xc2\x85", ERR_SYNTAX, 0 },
		{ "\xc3\xa9=1", ERR_SYNTAX, 0 },
		{ "a=1;b=2;a=1", ERR_AMBIGUOUS, 2 },
	};
	static struct taglist list;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (taglist_parse(slice_str(rows[i].text), &list) != rows[i].error ||
		    list.count != rows[i].count)
			fail_msg("row %zu: %s", i, rows[i].text);
	}
	assert_int_equal(taglist_parse(slice_of("a=\0", 3), &list), ERR_SYNTAX);
}

static void values_lose_the_blanks_around_them_and_keep_those_inside(void **state)
{
	struct slice text = SLICE_LIT("a = \r\n\t1 2 \r\n 3\t; b=x");
	static struct taglist list;
	const struct tag *a;

	(void)state;
	assert_int_equal(taglist_parse(text, &list), ERR_OK);
	a = taglist_find(&list, "a");
	assert_non_null(a);
	assert_true(slice_eq(a->value, SLICE_LIT("1 2 \r\n 3")));
	assert_true(slice_eq(a->raw, SLICE_LIT(" \r\n\t1 2 \r\n 3\t")));
	assert_null(taglist_find(&list, "A"));
	assert_null(taglist_find(&list, "c"));
}

/* n tags with names of two letters */
static char *many_tags(size_t n)
{
	char *text = malloc(n * 5 + 1);

	assert_non_null(text);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char tag[6] = { (char)('a' + i / 26), (char)('a' + i % 26), '=', '1', ';', '\0' };

		memcpy(text + i * 5, tag, sizeof(tag));
	}
	return text;
}

static void the_number_of_tags_is_bounded(void **state)
{
	static struct taglist list;
	char *text = many_tags(LIMIT_TAGS);

	(void)state;
	assert_int_equal(taglist_parse(slice_str(text), &list), ERR_OK);
	assert_int_equal(list.count, LIMIT_TAGS);
	free(text);
	text = many_tags(LIMIT_TAGS + 1);
	assert_int_equal(taglist_parse(slice_str(text), &list), ERR_LIMIT);
	free(text);
}

static int64_t time_of(size_t bytes)
{
	static struct taglist list;
	char *text = malloc(bytes);
	int64_t best = INT64_MAX;

	assert_non_null(text);
	memset(text, ' ', bytes);
	text[0] = 'a';
	text[1] = '=';
	text[2] = '1';
	for (int round = 0; round < 3; round++) {
		int64_t start = cpu_ms();

		for (int i = 0; i < 20; i++)
			assert_int_equal(taglist_parse(slice_of(text, bytes), &list), ERR_OK);
		if (cpu_ms() - start < best)
			best = cpu_ms() - start;
	}
	free(text);
	return best;
}

static void time_is_linear(void **state)
{
	int64_t ten = time_of(1000000);
	int64_t hundred = time_of(10000000);

	(void)state;
	/* Ten times the text; quadratic would be a hundred times the time. */
	assert_true(hundred <= 30 * (ten + 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_grammar_takes_and_what_not),
		cmocka_unit_test(values_lose_the_blanks_around_them_and_keep_those_inside),
		cmocka_unit_test(the_number_of_tags_is_bounded),
		cmocka_unit_test(time_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
