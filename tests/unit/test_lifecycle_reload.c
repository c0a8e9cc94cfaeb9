/* daemon/lifecycle: reloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/handover.h"
#include "lifecycle_world.h"

static void a_reload_switches_both_or_none(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_reload(&lc, 2, now);
	assert_string_equal(actions(), "load(signer,2) load(milter,2)");
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now);
	assert_string_equal(actions(), "");
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	assert_string_equal(actions(), "commit(signer,2) commit(milter,2) switched(2)");
	lifecycle_committed(&lc, CHILD_MILTER, 2);
	assert_string_equal(actions(), "");
	lifecycle_committed(&lc, CHILD_SIGNER, 2);
	assert_string_equal(actions(), "reloaded(2)");
	both_committed(2);
	assert_string_equal(actions(), "");

	lifecycle_reload(&lc, 3, now);
	(void)actions();
	lifecycle_loaded(&lc, CHILD_MILTER, 3, now);
	lifecycle_failed(&lc, CHILD_SIGNER, 3, now);
	assert_string_equal(actions(), "abort(signer,3) abort(milter,3) failed(3)");
	lifecycle_reload(&lc, 4, now);
	(void)actions();
	lifecycle_failed(&lc, CHILD_MILTER, 4, now);
	assert_string_equal(actions(), "");
	lifecycle_loaded(&lc, CHILD_SIGNER, 4, now);
	assert_string_equal(actions(), "abort(signer,4) abort(milter,4) failed(4)");
	lifecycle_reload(&lc, 5, now);
	(void)actions();
	lifecycle_failed(&lc, CHILD_MILTER, 5, now);
	lifecycle_failed(&lc, CHILD_SIGNER, 5, now);
	assert_string_equal(actions(), "abort(signer,5) abort(milter,5) failed(5)");
	/* what is in force is generation 2 */
	lifecycle_exited(&lc, CHILD_MILTER, -9, now);
	assert_string_equal(actions(), "restarting(milter,0) spawn(milter) load(milter,2)");
}

static void a_death_during_a_reload_aborts_it(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_reload(&lc, 2, now);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "abort(milter,2) failed(2) restarting(signer,0) "
				       "spawn(signer) load(signer,1)");
	/* an answer that was under way counts for nothing */
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now);
	assert_string_equal(actions(), "");
}

static void a_reload_waits_for_a_child_that_is_starting(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	(void)actions();
	lifecycle_reload(&lc, 2, now);
	assert_string_equal(actions(), "load(milter,2)");
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now);
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "commit(signer,1) pair load(signer,2)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now); /* but it never said that it uses 1 */
	assert_string_equal(actions(), "");
	lifecycle_committed(&lc, CHILD_SIGNER, 1);
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	assert_string_equal(actions(), "commit(signer,2) commit(milter,2) switched(2)");
	both_committed(2);
	assert_string_equal(actions(), "reloaded(2)");
}

/* The children were told to switch to generation 2; the milter has done so. */
static void half_switched(void)
{
	in_service(&defaults);
	lifecycle_reload(&lc, 2, now);
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now);
	lifecycle_committed(&lc, CHILD_MILTER, 2);
	(void)actions();
	assert_true(lifecycle_is_idle(&lc, CHILD_MILTER));
	assert_false(lifecycle_is_idle(&lc, CHILD_SIGNER));
}

static void a_child_that_does_not_switch_is_started_anew_with_the_new_tables(void **state)
{
	struct lifecycle_action a;

	(void)state;
	half_switched();
	lifecycle_committed(&lc, CHILD_SIGNER, 1); /* nobody asked for that */
	assert_int_equal(lifecycle_wait_ms(&lc, now), 10000);
	now += 10000;
	lifecycle_tick(&lc, now);
	assert_true(lifecycle_next(&lc, &a));
	assert_int_equal(a.what, LIFECYCLE_KILL);
	assert_int_equal(a.child, CHILD_SIGNER);
	assert_string_equal(a.reason, "it did not switch to its tables in time");
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "restarting(signer,0) spawn(signer) load(signer,2)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	assert_string_equal(actions(), "commit(signer,2) pair");
	lifecycle_committed(&lc, CHILD_SIGNER, 2);
	assert_string_equal(actions(), "reloaded(2)");
}

static void a_reload_while_children_switch_waits_for_them(void **state)
{
	(void)state;
	half_switched();
	lifecycle_reload(&lc, 3, now);
	assert_string_equal(actions(), "load(signer,3) load(milter,3)");
	lifecycle_loaded(&lc, CHILD_MILTER, 3, now);
	lifecycle_committed(&lc, CHILD_SIGNER, 2);
	assert_string_equal(actions(), "reloaded(2)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 3, now);
	assert_string_equal(actions(), "commit(signer,3) commit(milter,3) switched(3)");
	both_committed(3);
	assert_string_equal(actions(), "reloaded(3)");
}

static void a_stop_while_children_switch_gives_them_time(void **state)
{
	(void)state;
	half_switched();
	lifecycle_stop(&lc, now);
	assert_string_equal(actions(), "stop(milter)");
	lifecycle_committed(&lc, CHILD_SIGNER, 2);
	assert_string_equal(actions(), "");
	assert_int_equal(lifecycle_wait_ms(&lc, now), 25000); /* the milter's */
	lifecycle_tick(&lc, now + 20000);
	assert_string_equal(actions(), "");
}

static void a_newer_reload_takes_the_place_of_one_under_way(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_reload(&lc, 2, now);
	(void)actions();
	lifecycle_reload(&lc, 3, now);
	assert_string_equal(actions(), "abort(signer,2) abort(milter,2) failed(2) load(signer,3) "
				       "load(milter,3)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now);
	assert_string_equal(actions(), "");
}

static void a_reload_that_is_not_answered_is_given_up(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_reload(&lc, 2, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now);
	(void)actions();
	assert_int_equal(lifecycle_wait_ms(&lc, now), 60000);
	lifecycle_tick(&lc, now + 60000);
	assert_string_equal(actions(), "abort(signer,2) abort(milter,2) failed(2)");
}

static void a_refused_reload_hears_a_child_that_is_starting(void **state)
{
	(void)state;
	begin(&defaults);
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	lifecycle_reload(&lc, 2, now);
	(void)actions();
	lifecycle_failed(&lc, CHILD_MILTER, 2, now);
	assert_string_equal(actions(), "");
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "commit(signer,1) pair listen load(signer,2)");
	lifecycle_failed(&lc, CHILD_SIGNER, 2, now);
	assert_string_equal(actions(), "abort(signer,2) abort(milter,2) failed(2)");
}

/* What a child thinks of a reload says nothing about the configuration that starts. */
static void a_bad_reload_does_not_end_a_start(void **state)
{
	(void)state;
	begin(&defaults);
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	both_committed(1);
	lifecycle_reload(&lc, 2, now);
	lifecycle_failed(&lc, CHILD_MILTER, 2, now);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, HANDOVER_EXIT_RESTART, now);
	assert_string_equal(actions(), "anew(signer,0) spawn(signer) load(signer,1)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "commit(signer,1) pair load(signer,2)");
}

static void a_reload_does_not_save_a_start_that_has_failed(void **state)
{
	(void)state;
	begin(&defaults);
	(void)actions();
	lifecycle_failed(&lc, CHILD_MILTER, 1, now);
	lifecycle_reload(&lc, 2, now);
	lifecycle_reload(&lc, 3, now);
	assert_string_equal(actions(), "failed(2)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "giveup failed(3) stop(milter)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reload_switches_both_or_none),
		cmocka_unit_test(a_death_during_a_reload_aborts_it),
		cmocka_unit_test(a_reload_waits_for_a_child_that_is_starting),
		cmocka_unit_test(a_child_that_does_not_switch_is_started_anew_with_the_new_tables),
		cmocka_unit_test(a_reload_while_children_switch_waits_for_them),
		cmocka_unit_test(a_stop_while_children_switch_gives_them_time),
		cmocka_unit_test(a_newer_reload_takes_the_place_of_one_under_way),
		cmocka_unit_test(a_reload_that_is_not_answered_is_given_up),
		cmocka_unit_test(a_refused_reload_hears_a_child_that_is_starting),
		cmocka_unit_test(a_bad_reload_does_not_end_a_start),
		cmocka_unit_test(a_reload_does_not_save_a_start_that_has_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
