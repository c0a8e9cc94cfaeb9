/* dkim/hdrstore: order, names, folds, the two ways values arrive, limits, hostile names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "base/limits.h"
#include "dkim/hdrstore.h"

#define ARENA_BYTES 67108864u

struct fixture {
	struct arena *arena;
	struct hdrstore *h;
};

static struct fixture setup(size_t max_bytes)
{
	struct fixture f;

	f.arena = arena_new(ARENA_BYTES);
	assert_non_null(f.arena);
	assert_int_equal(hdrstore_new(f.arena, max_bytes, &f.h), ERR_OK);
	return f;
}

static void add(struct fixture *f, const char *name, const char *value)
{
	assert_int_equal(hdrstore_add(f->h, slice_str(name), slice_str(value), true), ERR_OK);
}

static bool value_is(const struct hdr *field, const char *want)
{
	return field != NULL && slice_eq(field->value, slice_str(want));
}

static void values_become_what_stands_on_the_wire(void **state)
{
	static const struct {
		const char *in;
		bool leading_space;
		const char *want;
	} t[] = {
		{ " a", true, " a" },
		{ "a", true, "a" },
		{ "a", false, " a" },
		{ " a", false, "  a" },
		{ "", true, "" },
		{ "", false, " " },
		{ " a\n b\n\tc", true, " a\r\n b\r\n\tc" },
		{ " a\r\n b", true, " a\r\n b" },
		{ "\n a", true, "\r\n a" },
		{ "\n a", false, " \r\n a" },
		{ "a\n\n b", true, "a\r\n\r\n b" },
		{ "a\r b", true, "a\r b" },
		{ "a\r\r\n b", true, "a\r\r\n b" },
		{ "a\n", true, "a\r\n" },
		{ "\xff\xe4", true, "\xff\xe4" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct fixture f = setup(0);

		assert_int_equal(
			hdrstore_add(f.h, SLICE_LIT("X"), slice_str(t[i].in), t[i].leading_space),
			ERR_OK);
		assert_true(value_is(hdrstore_at(f.h, 0), t[i].want));
		arena_free(&f.arena);
	}
}

static void fields_are_copied_and_keep_order_case_and_counts(void **state)
{
	struct fixture f = setup(0);
	char name[] = "SubJect";
	char value[] = " one";
	const struct hdr *first;

	(void)state;
	assert_int_equal(hdrstore_add(f.h, slice_str(name), slice_str(value), true), ERR_OK);
	name[0] = value[1] = '#';
	add(&f, "To", " x");
	add(&f, "SUBJECT \t", " two");
	add(&f, "subject", " three");
	first = hdrstore_at(f.h, 0);
	assert_true(slice_eq(first->name, SLICE_LIT("SubJect")) && value_is(first, " one"));
	assert_int_equal(hdrstore_count(f.h), 4);
	assert_int_equal(hdrstore_bytes(f.h), 7 + 4 + 2 + 2 + 9 + 4 + 7 + 6);
	assert_int_equal(hdrstore_count_name(f.h, SLICE_LIT("sUbJeCt")), 3);
	assert_int_equal(hdrstore_count_name(f.h, SLICE_LIT("Subjec")), 0);
	assert_int_equal(hdrstore_at(f.h, 2)->nth, 2);
	assert_int_equal(hdrstore_at(f.h, 2)->index, 2);
	assert_true(slice_eq(hdrstore_at(f.h, 2)->name, SLICE_LIT("SUBJECT")));
	assert_true(slice_eq(hdrstore_at(f.h, 2)->raw_name, SLICE_LIT("SUBJECT \t")));
	assert_true(value_is(hdrstore_from_top(f.h, SLICE_LIT("Subject"), 0), " one"));
	assert_true(value_is(hdrstore_from_top(f.h, SLICE_LIT("Subject"), 2), " three"));
	assert_null(hdrstore_from_top(f.h, SLICE_LIT("Subject"), 3));
	assert_true(value_is(hdrstore_from_bottom(f.h, SLICE_LIT("Subject"), 0), " three"));
	assert_true(value_is(hdrstore_from_bottom(f.h, SLICE_LIT("Subject"), 2), " one"));
	assert_null(hdrstore_from_bottom(f.h, SLICE_LIT("Subject"), 3));
	assert_null(hdrstore_from_bottom(f.h, SLICE_LIT("Cc"), 0));
	arena_free(&f.arena);
}

static void pick_takes_each_field_once_from_the_bottom(void **state)
{
	struct fixture f = setup(0);
	struct hdrpick *pick;

	(void)state;
	add(&f, "A", "1");
	add(&f, "B", "2");
	add(&f, "a", "3");
	assert_int_equal(hdrpick_new(f.h, f.arena, &pick), ERR_OK);
	assert_true(value_is(hdrpick_next(pick, SLICE_LIT("a")), "3"));
	assert_true(value_is(hdrpick_next(pick, SLICE_LIT("B")), "2"));
	assert_true(value_is(hdrpick_next(pick, SLICE_LIT("A")), "1"));
	assert_null(hdrpick_next(pick, SLICE_LIT("a")));
	assert_null(hdrpick_next(pick, SLICE_LIT("b")));
	assert_null(hdrpick_next(pick, SLICE_LIT("")));
	arena_free(&f.arena);
}

static void limits_refuse_a_field_and_keep_the_rest(void **state)
{
	struct fixture f = setup(10);

	(void)state;
	add(&f, "abc", "defg");
	assert_int_equal(hdrstore_add(f.h, SLICE_LIT("xy"), SLICE_LIT("zz"), true), ERR_LIMIT);
	assert_int_equal(hdrstore_add(f.h, SLICE_LIT("12345"), SLICE_LIT(""), true), ERR_LIMIT);
	assert_int_equal(hdrstore_count(f.h), 1);
	add(&f, "x", "yz");
	assert_int_equal(hdrstore_bytes(f.h), 10);
	assert_int_equal(hdrstore_add(f.h, SLICE_LIT(""), SLICE_LIT("1"), true), ERR_LIMIT);
	arena_free(&f.arena);

	f = setup(0);
	for (size_t i = 0; i < LIMIT_HEADER_FIELDS; i++)
		add(&f, "a", "b");
	assert_int_equal(hdrstore_add(f.h, SLICE_LIT("a"), SLICE_LIT("b"), true), ERR_LIMIT);
	assert_int_equal(hdrstore_at(f.h, LIMIT_HEADER_FIELDS - 1)->nth, LIMIT_HEADER_FIELDS);
	arena_free(&f.arena);
}

static void an_arena_that_is_full_leaves_the_store_as_it_was(void **state)
{
	(void)state;
	for (size_t room = 6000; room < 12000; room += 50) {
		struct arena *arena = arena_new(room);
		struct hdrstore *h;
		size_t n = 0;

		assert_non_null(arena);
		if (hdrstore_new(arena, 0, &h) == ERR_OK) {
			while (hdrstore_add(h, n % 3 == 0 ? SLICE_LIT("A") : SLICE_LIT("B"),
					    SLICE_LIT("some value"), true) == ERR_OK)
				n++;
			assert_int_equal(hdrstore_count(h), n);
			assert_int_equal(hdrstore_count_name(h, SLICE_LIT("a")) +
						 hdrstore_count_name(h, SLICE_LIT("b")),
					 n);
			assert_int_equal(hdrstore_bytes(h), 11 * n);
		}
		arena_free(&arena);
	}
}

/* Names that differ in one byte, long ones, and 10,000 look-ups of each kind: a linear store is
 * done at once, one that walks all fields for each look-up makes 40 million comparisons of 200
 * bytes. */
static void look_ups_cost_the_same_with_two_thousand_names(void **state)
{
	struct fixture f = setup(0);
	char name[201];
	clock_t start;
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < LIMIT_HEADER_FIELDS; i++) {
		(void)snprintf(name, sizeof(name), "%0200zu", i);
		add(&f, name, "x");
	}
	start = clock();
	for (size_t i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "%0200zu", i);
		found += hdrstore_count_name(f.h, slice_str(name));
		found += hdrstore_from_bottom(f.h, slice_str(name), 0) != NULL ? 1 : 0;
	}
	assert_int_equal(found, 2 * LIMIT_HEADER_FIELDS);
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	arena_free(&f.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_become_what_stands_on_the_wire),
		cmocka_unit_test(fields_are_copied_and_keep_order_case_and_counts),
		cmocka_unit_test(pick_takes_each_field_once_from_the_bottom),
		cmocka_unit_test(limits_refuse_a_field_and_keep_the_rest),
		cmocka_unit_test(an_arena_that_is_full_leaves_the_store_as_it_was),
		cmocka_unit_test(look_ups_cost_the_same_with_two_thousand_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
