/* daemon/lifecycle: starts, restarts and stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "lifecycle_world.h"

static void a_start_loads_both_and_listens_when_both_are_loaded(void **state)
{
	(void)state;
	begin(&defaults);
	assert_string_equal(actions(), "spawn(signer) load(signer,1) spawn(milter) load(milter,1)");
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	assert_string_equal(actions(), "commit(milter,1)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "commit(signer,1) pair listen");
	lifecycle_ready(&lc, CHILD_MILTER, now);
	assert_string_equal(actions(), "");
	lifecycle_ready(&lc, CHILD_SIGNER, now);
	assert_string_equal(actions(), "service");
	lifecycle_ready(&lc, CHILD_SIGNER, now);
	assert_string_equal(actions(), "");
}

static void a_bad_table_at_the_start_ends_it_with_78(void **state)
{
	(void)state;
	begin(&defaults);
	(void)actions();
	/* the other may have more to tell */
	lifecycle_failed(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "");
	lifecycle_failed(&lc, CHILD_MILTER, 1, now);
	assert_string_equal(actions(), "giveup stop(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, 0, now);
	assert_string_equal(actions(), "stop(signer)");
	lifecycle_exited(&lc, CHILD_SIGNER, 0, now);
	assert_string_equal(actions(), "exit(78)");
}

static void what_the_other_child_does_then_ends_it_with_78_too(void **state)
{
	(void)state;
	begin(&defaults);
	(void)actions();
	lifecycle_failed(&lc, CHILD_SIGNER, 1, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	assert_string_equal(actions(), "giveup stop(milter)"); /* no COMMIT, no LISTEN */
	lifecycle_exited(&lc, CHILD_MILTER, 0, now);
	lifecycle_exited(&lc, CHILD_SIGNER, 0, now);
	assert_string_equal(actions(), "stop(signer) exit(78)");

	begin(&defaults);
	(void)actions();
	lifecycle_failed(&lc, CHILD_SIGNER, 1, now);
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "giveup stop(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, EX_OSERR, now);
	assert_string_equal(actions(), "exit(78)");

	begin(&defaults);
	(void)actions();
	lifecycle_failed(&lc, CHILD_MILTER, 1, now);
	now += defaults.load_timeout_ms;
	lifecycle_tick(&lc, now);
	assert_string_equal(actions(), "kill(signer)");
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "giveup stop(milter)");
}

static void a_child_that_cannot_start_ends_the_start_with_its_status(void **state)
{
	(void)state;
	begin(&defaults);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, EX_UNAVAILABLE, now);
	assert_string_equal(actions(), "giveup stop(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, -9, now);
	assert_string_equal(actions(), "exit(69)");
}

static void a_signer_that_crashes_at_the_start_does_not_keep_the_milter_from_listening(void **state)
{
	(void)state;
	begin(&defaults);
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, -11, now);
	assert_string_equal(actions(), "restarting(signer,0) listen spawn(signer) load(signer,1)");
}

static void a_dead_signer_is_started_again_and_paired_while_the_milter_stays(void **state)
{
	(void)state;
	in_service(&defaults);
	now += 100;
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "restarting(signer,0) spawn(signer) load(signer,1)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	assert_string_equal(actions(), "commit(signer,1) pair");
	lifecycle_ready(&lc, CHILD_SIGNER, now);
	assert_string_equal(actions(), "");
}

static void a_dead_milter_gets_socket_and_signer_again(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_exited(&lc, CHILD_MILTER, -11, now);
	assert_string_equal(actions(), "restarting(milter,0) spawn(milter) load(milter,1)");
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	assert_string_equal(actions(), "commit(milter,1) pair listen");
}

static void the_delay_doubles_and_a_quiet_time_forgets_it(void **state)
{
	static const int64_t delays[] = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };

	(void)state;
	in_service(&defaults);
	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		struct lifecycle_action a;

		lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
		assert_true(lifecycle_next(&lc, &a));
		assert_int_equal(a.what, LIFECYCLE_RESTARTING);
		assert_int_equal(a.delay_ms, delays[i]);
		if (delays[i] > 0) {
			assert_int_equal(lifecycle_wait_ms(&lc, now), delays[i]);
			lifecycle_tick(&lc, now + delays[i] - 1);
			assert_string_equal(actions(), "");
		}
		now += delays[i];
		lifecycle_tick(&lc, now);
		assert_string_equal(actions(), "spawn(signer) load(signer,1)");
		lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
		lifecycle_committed(&lc, CHILD_SIGNER, 1);
		lifecycle_ready(&lc, CHILD_SIGNER, now);
		(void)actions();
	}
	now += LIFECYCLE_QUIET_MS;
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "restarting(signer,0) spawn(signer) load(signer,1)");
}

static void a_child_that_never_loads_is_killed(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	(void)actions();
	now += 60000;
	lifecycle_tick(&lc, now);
	assert_string_equal(actions(), "kill(signer)");
	lifecycle_tick(&lc, now + 1);
	assert_string_equal(actions(), "");
}

static void without_auto_restart_a_death_ends_all(void **state)
{
	struct lifecycle_options o = defaults;

	(void)state;
	o.restart = false;
	in_service(&o);
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "giveup stop(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, 0, now);
	assert_string_equal(actions(), "exit(70)");
}

static void die_and_return(enum child_id id)
{
	lifecycle_exited(&lc, id, -9, now);
	now += LIFECYCLE_BACKOFF_MAX_MS;
	lifecycle_tick(&lc, now);
	lifecycle_loaded(&lc, id, 1, now);
	lifecycle_committed(&lc, id, 1);
	lifecycle_ready(&lc, id, now);
}

static void auto_restart_count_is_a_limit(void **state)
{
	struct lifecycle_options o = defaults;

	(void)state;
	o.max_restarts = 2;
	in_service(&o);
	die_and_return(CHILD_SIGNER);
	die_and_return(CHILD_MILTER);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "giveup stop(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, 0, now);
	assert_string_equal(actions(), "exit(69)");
}

static void auto_restart_rate_counts_within_its_time(void **state)
{
	struct lifecycle_options o = defaults;

	(void)state;
	o.rate_count = 2;
	o.rate_period_ms = 100000;
	in_service(&o);
	die_and_return(CHILD_SIGNER);
	die_and_return(CHILD_SIGNER);
	now += 100000; /* a new window */
	die_and_return(CHILD_SIGNER);
	die_and_return(CHILD_SIGNER);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	assert_string_equal(actions(), "giveup stop(milter)");
}

static void a_signer_that_wants_to_start_anew_has_not_crashed(void **state)
{
	struct lifecycle_options o = defaults;

	(void)state;
	o.max_restarts = 1;
	o.rate_count = 1;
	o.rate_period_ms = 3600000;
	for (int allowed = 0; allowed < 2; allowed++) {
		o.restart = allowed == 1;
		in_service(&o);
		for (int i = 0; i < 4; i++) {
			lifecycle_exited(&lc, CHILD_SIGNER, 75, now);
			assert_string_equal(actions(),
					    "anew(signer,0) spawn(signer) load(signer,1)");
			lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
			lifecycle_committed(&lc, CHILD_SIGNER, 1);
			lifecycle_ready(&lc, CHILD_SIGNER, now);
			(void)actions();
			now += LIFECYCLE_QUIET_MS;
		}
	}
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now); /* they did not use up what a crash has */
	assert_string_equal(actions(), "restarting(signer,0) spawn(signer) load(signer,1)");
	lifecycle_exited(&lc, CHILD_MILTER, 75, now); /* which may not ask for it */
	assert_string_equal(actions(), "giveup stop(signer)");
}

static void a_signer_that_wants_to_start_anew_without_end_is_slowed_down(void **state)
{
	int64_t waited_ms = 0;

	(void)state;
	in_service(&defaults);
	for (int i = 0; i < 20; i++) {
		struct lifecycle_action a;

		lifecycle_exited(&lc, CHILD_SIGNER, 75, now);
		assert_true(lifecycle_next(&lc, &a));
		waited_ms += a.delay_ms;
		now += a.delay_ms;
		lifecycle_tick(&lc, now);
		lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
		(void)actions();
	}
	assert_true(waited_ms > (int64_t)10 * LIFECYCLE_BACKOFF_MAX_MS);
}

static void a_signer_that_wants_to_start_anew_ends_neither_a_start_nor_a_reload(void **state)
{
	(void)state;
	begin(&defaults);
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, 75, now);
	assert_string_equal(actions(), "anew(signer,0) spawn(signer) load(signer,1)");

	in_service(&defaults);
	lifecycle_reload(&lc, 2, now);
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	(void)actions();
	lifecycle_exited(&lc, CHILD_SIGNER, 75, now);
	assert_string_equal(actions(), "anew(signer,0) spawn(signer) load(signer,1)");
	lifecycle_loaded(&lc, CHILD_MILTER, 2, now); /* the signer's vote is not its successor's */
	assert_string_equal(actions(), "");
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	lifecycle_committed(&lc, CHILD_SIGNER, 1);
	assert_string_equal(actions(), "commit(signer,1) pair load(signer,2)");
	lifecycle_loaded(&lc, CHILD_SIGNER, 2, now);
	assert_string_equal(actions(), "commit(signer,2) commit(milter,2) switched(2)");
}

static void a_stop_ends_the_milter_before_the_signer(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_stop(&lc, now);
	assert_string_equal(actions(), "stop(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, 0, now);
	assert_string_equal(actions(), "stop(signer)");
	lifecycle_exited(&lc, CHILD_SIGNER, 0, now);
	assert_string_equal(actions(), "exit(0)");
}

static void a_child_that_does_not_stop_is_killed(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_stop(&lc, now);
	(void)actions();
	assert_int_equal(lifecycle_wait_ms(&lc, now), 25000);
	now += 25000;
	lifecycle_tick(&lc, now);
	assert_string_equal(actions(), "kill(milter)");
	lifecycle_exited(&lc, CHILD_MILTER, -9, now);
	assert_string_equal(actions(), "stop(signer)");
}

static void a_second_stop_does_not_wait(void **state)
{
	(void)state;
	in_service(&defaults);
	lifecycle_stop(&lc, now);
	(void)actions();
	lifecycle_stop(&lc, now);
	assert_string_equal(actions(), "kill(signer) kill(milter)");
}

static void a_stop_while_a_child_waits_for_its_restart_starts_nothing(void **state)
{
	(void)state;
	in_service(&defaults);
	die_and_return(CHILD_SIGNER);
	lifecycle_exited(&lc, CHILD_SIGNER, -9, now);
	(void)actions();
	lifecycle_stop(&lc, now);
	assert_string_equal(actions(), "stop(milter)");
	lifecycle_tick(&lc, now + 20000);
	assert_string_equal(actions(), "");
	lifecycle_exited(&lc, CHILD_MILTER, 0, now);
	assert_string_equal(actions(), "exit(0)");
	lifecycle_reload(&lc, 9, now);
	assert_string_equal(actions(), "");
}

static void nothing_waits_for_time_in_service(void **state)
{
	(void)state;
	in_service(&defaults);
	assert_int_equal(lifecycle_wait_ms(&lc, now), -1);
	lifecycle_tick(&lc, now + 1000000);
	assert_string_equal(actions(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_loads_both_and_listens_when_both_are_loaded),
		cmocka_unit_test(a_bad_table_at_the_start_ends_it_with_78),
		cmocka_unit_test(what_the_other_child_does_then_ends_it_with_78_too),
		cmocka_unit_test(a_child_that_cannot_start_ends_the_start_with_its_status),
		cmocka_unit_test(
			a_signer_that_crashes_at_the_start_does_not_keep_the_milter_from_listening),
		cmocka_unit_test(a_dead_signer_is_started_again_and_paired_while_the_milter_stays),
		cmocka_unit_test(a_dead_milter_gets_socket_and_signer_again),
		cmocka_unit_test(the_delay_doubles_and_a_quiet_time_forgets_it),
		cmocka_unit_test(a_child_that_never_loads_is_killed),
		cmocka_unit_test(without_auto_restart_a_death_ends_all),
		cmocka_unit_test(auto_restart_count_is_a_limit),
		cmocka_unit_test(auto_restart_rate_counts_within_its_time),
		cmocka_unit_test(a_signer_that_wants_to_start_anew_has_not_crashed),
		cmocka_unit_test(a_signer_that_wants_to_start_anew_without_end_is_slowed_down),
		cmocka_unit_test(
			a_signer_that_wants_to_start_anew_ends_neither_a_start_nor_a_reload),
		cmocka_unit_test(a_stop_ends_the_milter_before_the_signer),
		cmocka_unit_test(a_child_that_does_not_stop_is_killed),
		cmocka_unit_test(a_second_stop_does_not_wait),
		cmocka_unit_test(a_stop_while_a_child_waits_for_its_restart_starts_nothing),
		cmocka_unit_test(nothing_waits_for_time_in_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
