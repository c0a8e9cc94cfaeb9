/* base/: slices, capped buffers, the arena, texts for the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/text.h"

static void slice_next_gives_each_part_and_one_empty_part_for_an_empty_list(void **state)
{
	struct slice rest = SLICE_LIT("a::b");
	struct slice part;

	(void)state;
	assert_true(slice_next(&rest, ':', &part) && slice_eq(part, SLICE_LIT("a")));
	assert_true(slice_next(&rest, ':', &part) && slice_empty(part));
	assert_true(slice_next(&rest, ':', &part) && slice_eq(part, SLICE_LIT("b")));
	assert_false(slice_next(&rest, ':', &part));
	rest = SLICE_LIT("");
	assert_true(slice_next(&rest, ':', &part) && slice_empty(part));
	assert_false(slice_next(&rest, ':', &part));
}

static void slice_u64_refuses_overflow_signs_and_blanks(void **state)
{
	unsigned long long v = 7;

	(void)state;
	assert_true(slice_u64(SLICE_LIT("18446744073709551615"), &v) && v == UINT64_MAX);
	assert_false(slice_u64(SLICE_LIT("18446744073709551616"), &v));
	assert_false(slice_u64(SLICE_LIT("-1"), &v));
	assert_false(slice_u64(SLICE_LIT(" 1"), &v));
	assert_false(slice_u64(SLICE_LIT(""), &v));
	assert_true(v == UINT64_MAX);
}

static void slice_compares_without_case_and_from_both_ends(void **state)
{
	(void)state;
	assert_true(slice_ieq(SLICE_LIT("From"), SLICE_LIT("fROM")));
	assert_false(slice_eq(SLICE_LIT("From"), SLICE_LIT("fROM")));
	assert_true(slice_iends(SLICE_LIT("a.Example"), SLICE_LIT(".example")));
	assert_false(slice_iends(SLICE_LIT("x"), SLICE_LIT("xx")));
	assert_int_equal(slice_rfind(SLICE_LIT("a@b@c"), '@'), 3);
	assert_int_equal(slice_find(SLICE_LIT("abc"), '@'), 3);
	assert_true(slice_eq(slice_trim(SLICE_LIT(" \t\r\na b\n")), SLICE_LIT("a b")));
}

static void buf_keeps_its_first_error(void **state)
{
	struct buf b;
	struct slice out = SLICE_LIT("untouched");

	(void)state;
	buf_init(&b, 4);
	buf_add_str(&b, "abcd");
	assert_int_equal(buf_finish(&b, &out), ERR_OK);
	assert_true(slice_eq(out, SLICE_LIT("abcd")));
	buf_add_ch(&b, 'e');
	buf_add_str(&b, "");
	out = SLICE_LIT("untouched");
	assert_int_equal(buf_finish(&b, &out), ERR_LIMIT);
	assert_true(slice_eq(out, SLICE_LIT("untouched")));
	buf_reset(&b);
	buf_add_fmt(&b, "%d", 12);
	assert_int_equal(buf_finish(&b, &out), ERR_OK);
	assert_true(slice_eq(out, SLICE_LIT("12")));
	buf_done(&b);
}

static void arena_stops_at_its_cap_and_starts_again_after_a_reset(void **state)
{
	struct arena *a = arena_new(100000);
	struct slice copy;

	(void)state;
	assert_non_null(a);
	for (int round = 0; round < 3; round++) {
		size_t pieces = 0;

		while (arena_alloc(a, 1000) != NULL)
			pieces++;
		assert_true(pieces >= 98 && pieces <= 100);
		assert_true(arena_used(a) <= 100000);
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	assert_int_equal(arena_dup(a, SLICE_LIT("x"), &copy), ERR_OK);
	assert_string_equal(copy.ptr, "x");
	assert_int_equal(arena_dup(a, slice_of("", 100000), &copy), ERR_LIMIT);
	assert_null(arena_calloc(a, SIZE_MAX / 2, 4));
	arena_free(&a);
	assert_null(a);
}

static void text_escapes_what_could_forge_a_log_line(void **state)
{
	char out[64];
	char small[8];

	(void)state;
	assert_string_equal(text_sanitize(SLICE_LIT("a\r\nb\\\x7f\xff"), out, sizeof(out)),
			    "a\\x0d\\x0ab\\\\\\x7f\\xff");
	assert_string_equal(text_sanitize(SLICE_LIT("k\xc3\xa4se"), out, sizeof(out)),
			    "k\xc3\xa4se");
	assert_string_equal(text_sanitize(SLICE_LIT("\xc2\x85"), out, sizeof(out)), "\\xc2\\x85");
	assert_string_equal(text_sanitize(SLICE_LIT("abcdefgh"), small, sizeof(small)), "abcd...");
}

static void every_error_has_a_text_and_a_class(void **state)
{
	(void)state;
	for (int e = 0; e < ERR_COUNT; e++) {
		assert_true(err_text((enum err)e)[0] != '\0');
		assert_true(e == ERR_OK || err_class((enum err)e) != ERR_CLASS_NONE);
	}
	assert_string_equal(err_name(ERR_TOKEN_PIN), "ERR_TOKEN_PIN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slice_next_gives_each_part_and_one_empty_part_for_an_empty_list),
		cmocka_unit_test(slice_u64_refuses_overflow_signs_and_blanks),
		cmocka_unit_test(slice_compares_without_case_and_from_both_ends),
		cmocka_unit_test(buf_keeps_its_first_error),
		cmocka_unit_test(arena_stops_at_its_cap_and_starts_again_after_a_reset),
		cmocka_unit_test(text_escapes_what_could_forge_a_log_line),
		cmocka_unit_test(every_error_has_a_text_and_a_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
