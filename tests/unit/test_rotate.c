/* tools/rotate: transitions, the state file, the KeyTable row, selectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tools/rotate.h"

static const struct rotate_policy policy = { .keep_s = 10, .grace_s = 20, .every_s = 30 };

static void every_phase_is_passed_once_and_ends_in_done(void **state)
{
	unsigned seen = 0;
	enum rotate_phase phase = ROTATE_CHOSEN;

	(void)state;
	do {
		assert_int_equal(seen & 1U << phase, 0);
		seen |= 1U << phase;
		phase = rotate_phase_after(phase);
	} while (phase != ROTATE_CHOSEN);
	assert_int_equal(seen, (1U << ROTATE_PHASE_COUNT) - 1);
}

static void nothing_is_switched_before_the_record_is_seen(void **state)
{
	(void)state;
	for (int p = 0; p < ROTATE_PHASE_COUNT; p++)
		if (rotate_step_of((enum rotate_phase)p) == ROTATE_SWITCH)
			assert_int_equal(rotate_step_of(ROTATE_PUBLISHED), ROTATE_SEE);
	assert_int_equal(rotate_phase_after(ROTATE_PUBLISHED), ROTATE_VISIBLE);
	assert_int_equal(rotate_step_of(ROTATE_VISIBLE), ROTATE_SWITCH);
}

static void only_three_steps_wait_for_time(void **state)
{
	(void)state;
	for (int p = 0; p < ROTATE_PHASE_COUNT; p++) {
		int64_t due = rotate_due((enum rotate_phase)p, 1000, &policy);
		int64_t want = p == ROTATE_KEEPING   ? 1010
			       : p == ROTATE_REVOKED ? 1020
			       : p == ROTATE_DONE    ? 1030
						     : 1000;

		assert_int_equal(due, want);
	}
}

static void rollback_swaps_the_keys_while_the_old_record_is_whole(void **state)
{
	char a[] = "a";
	char b[] = "b";
	struct rotate_key key = { .phase = ROTATE_KEEPING,
				  .old = { .selector = a },
				  .new = { .selector = b } };

	(void)state;
	for (int p = 0; p < ROTATE_PHASE_COUNT; p++)
		assert_int_equal(rotate_can_roll_back((enum rotate_phase)p),
				 p >= ROTATE_MADE && p <= ROTATE_KEEPING);
	rotate_roll_back(&key, 77);
	assert_int_equal(key.phase, ROTATE_VISIBLE);
	assert_int_equal(key.since, 77);
	assert_string_equal(key.new.selector, "a");
	assert_string_equal(key.old.selector, "b");
}

static const char file[] = "# hsmdkim-rotate's state. Do not edit while it runs.\n"
			   "\nkey mail key\nphase published\nsince 1795522171\ndomain example.com\n"
			   "old-selector s1\nold-ref pkcs11:token=a;id=%01\nold-p QUJD\n"
			   "old-type rsa 2048\nnew-selector s2\nnew-type ed25519 256\n"
			   "\nkey other\nphase done\nsince 0\n";

static void state_is_read_back_as_it_was_written(void **state)
{
	struct rotate_state s = { .keys = NULL };
	struct err_detail detail = { { 0 } };
	struct rotate_key *k;
	struct buf out;

	(void)state;
	assert_int_equal(rotate_state_parse(slice_str(file), &s, &detail), ERR_OK);
	assert_int_equal(s.count, 2);
	k = rotate_state_find(&s, SLICE_LIT("mail key"));
	assert_non_null(k);
	assert_int_equal(k->phase, ROTATE_PUBLISHED);
	assert_int_equal(k->since, 1795522171);
	assert_string_equal(k->old.ref, "pkcs11:token=a;id=%01");
	assert_int_equal(k->new.type, KEY_TYPE_ED25519);
	assert_null(k->new.ref);
	buf_init(&out, 4096);
	rotate_state_print(&s, &out);
	assert_string_equal(out.data, file);
	buf_done(&out);
	rotate_state_done(&s);
}

static void damaged_state_is_refused_with_its_line(void **state)
{
	static const char *const bad[] = {
		"phase done\n",
		"key a\nkey a\n",
		"key a\nphase nosuch\n",
		"key a\nsince -1\n",
		"key a\nsince 1x\n",
		"key a\nsince 99999999999999999999\n",
		"key a\nunknown x\n",
		"key a\nold-type rsa\n",
		"key \n",
		"key a\nold-p\n",
		"key a\nold-p x\nold-p y\n",
		"key a\nold-type rsa 99999\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct rotate_state s = { .keys = NULL };
		struct err_detail detail = { { 0 } };

		assert_int_equal(rotate_state_parse(slice_str(bad[i]), &s, &detail), ERR_SYNTAX);
		assert_non_null(strstr(detail.text, "line "));
		assert_null(s.keys);
	}
}

static void one_row_of_the_table_changes_and_nothing_else(void **state)
{
	static const char before[] =
		"# mail\n  mail \t old:s:k\nmail2 x:y:z # mail\r\n#mail a\nlast";
	static const char after[] = "# mail\n  mail \t NEW\nmail2 x:y:z # mail\r\n#mail a\nlast";
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(
		rotate_table_replace(slice_str(before), SLICE_LIT("mail"), SLICE_LIT("NEW"), &out),
		ERR_OK);
	assert_string_equal(out.data, after);
	buf_reset(&out);
	assert_int_equal(rotate_table_replace(slice_str(before), SLICE_LIT("nosuch"),
					      SLICE_LIT("NEW"), &out),
			 ERR_NOT_FOUND);
	buf_reset(&out);
	assert_int_equal(rotate_table_replace(SLICE_LIT("a 1\na 2\n"), SLICE_LIT("a"),
					      SLICE_LIT("NEW"), &out),
			 ERR_AMBIGUOUS);
	buf_done(&out);
}

static void selectors_of_a_day_differ(void **state)
{
	char a[32];
	char b[32];

	(void)state;
	rotate_selector(1795522171, 0, a);
	rotate_selector(1795522171, 1, b);
	assert_string_equal(a, "s20261124");
	assert_string_equal(b, "s20261124b");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_phase_is_passed_once_and_ends_in_done),
		cmocka_unit_test(nothing_is_switched_before_the_record_is_seen),
		cmocka_unit_test(only_three_steps_wait_for_time),
		cmocka_unit_test(rollback_swaps_the_keys_while_the_old_record_is_whole),
		cmocka_unit_test(state_is_read_back_as_it_was_written),
		cmocka_unit_test(damaged_state_is_refused_with_its_line),
		cmocka_unit_test(one_row_of_the_table_changes_and_nothing_else),
		cmocka_unit_test(selectors_of_a_day_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
