/* config/notes: what a child wants the next process to know. */
#include "config/notes.h"

#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void put(struct notes *n, const char *text)
{
	notes_put(n, slice_dup(slice_str(text)));
}

static void a_later_note_takes_the_place_of_the_one_before(void **state)
{
	struct notes n = { .count = 0 };

	(void)state;
	put(&n, "pin-tried A 01 ab 1");
	put(&n, "pin-tried A 01 ab 2");
	assert_int_equal(n.count, 1);
	assert_string_equal(n.texts[0], "pin-tried A 01 ab 2");
	put(&n, "pin-tried A 02 cd 1"); /* another PIN */
	put(&n, "pin-tried B 01 ab 1"); /* another token */
	put(&n, "pin-refused A 01 ab"); /* another kind */
	assert_int_equal(n.count, 4);
	notes_forget(&n, NULL);
	assert_int_equal(n.count, 0);
}

static void a_note_without_value_withdraws(void **state)
{
	struct notes n = { .count = 0 };

	(void)state;
	put(&n, "pin-tried A 01 ab 1");
	put(&n, "pin-tried B 01 ab 1");
	put(&n, "pin-tried A 01");
	assert_int_equal(n.count, 1);
	assert_string_equal(n.texts[0], "pin-tried B 01 ab 1");
	put(&n, "pin-tried A 01"); /* nothing to withdraw */
	put(&n, "pin-tried B 01 ");
	assert_int_equal(n.count, 0);
}

static void a_token_s_notes_are_forgotten_alone(void **state)
{
	struct notes n = { .count = 0 };

	(void)state;
	put(&n, "pin-tried A 01 ab 1");
	put(&n, "pin-tried AB 01 ab 1");
	put(&n, "pin-refused A 01 ab");
	notes_forget(&n, "A");
	assert_int_equal(n.count, 1);
	assert_string_equal(n.texts[0], "pin-tried AB 01 ab 1");
	notes_forget(&n, NULL);
}

static void what_is_no_note_is_dropped(void **state)
{
	static const char *const texts[] = {
		"", " ", "pin-tried", "pin-tried A", "pin-tried A ", "pin-tried  A 01"
	};
	struct notes n = { .count = 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		put(&n, texts[i]);
	assert_int_equal(n.count, 0);
}

static void the_number_is_bounded(void **state)
{
	struct notes n = { .count = 0 };
	char text[64];

	(void)state;
	for (unsigned i = 0; i < NOTES_MAX + 10; i++) {
		(void)snprintf(text, sizeof(text), "pin-tried T%u 01 ab 1", i);
		put(&n, text);
	}
	assert_int_equal(n.count, NOTES_MAX);
	notes_forget(&n, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_later_note_takes_the_place_of_the_one_before),
		cmocka_unit_test(a_note_without_value_withdraws),
		cmocka_unit_test(a_token_s_notes_are_forgotten_alone),
		cmocka_unit_test(what_is_no_note_is_dropped),
		cmocka_unit_test(the_number_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
