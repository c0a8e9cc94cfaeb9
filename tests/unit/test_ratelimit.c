/* signer/ratelimit: so many signatures a key and a time, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "signer/ratelimit.h"

static struct ratelimit *limit;

static int start(void **state)
{
	(void)state;
	limit = ratelimit_new();
	return limit != NULL ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	ratelimit_free(&limit);
	return 0;
}

static bool take(const char *name, int64_t now_ms)
{
	return ratelimit_take(limit, slice_str(name), 5, 1000, now_ms);
}

static void a_burst_of_count_passes_then_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(take("k", 100));
	assert_false(take("k", 100));
	assert_false(take("k", 299)); /* one comes back each 200 ms */
	assert_true(take("k", 300));
	assert_false(take("k", 301));
	assert_int_equal(ratelimit_refused(limit), 3);
}

static void a_pause_fills_the_bucket_and_no_more(void **state)
{
	(void)state;
	assert_true(take("k", 0));
	for (int i = 0; i < 5; i++)
		assert_true(take("k", 1000000));
	assert_false(take("k", 1000000));
}

static void keys_do_not_share(void **state)
{
	char name[16];

	(void)state;
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < 1000; i++) {
			(void)snprintf(name, sizeof(name), "key%d", i);
			assert_int_equal(take(name, 5), round < 5);
		}
	}
}

static void the_long_run_keeps_to_the_rate(void **state)
{
	int passed = 0;

	(void)state;
	for (int64_t now = 0; now < 100000; now++)
		passed += take("k", now);
	assert_in_range(passed, 500, 505);
}

static void without_a_limit_all_pass(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(ratelimit_take(limit, SLICE_LIT("k"), 0, 0, 1));
}

static void a_clock_that_stands_still_or_jumps_back_gives_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(take("k", 5000));
	assert_false(take("k", 4000));
	assert_false(take("k", 4000));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_burst_of_count_passes_then_nothing),
		CASE(a_pause_fills_the_bucket_and_no_more),
		CASE(keys_do_not_share),
		CASE(the_long_run_keeps_to_the_rate),
		CASE(without_a_limit_all_pass),
		CASE(a_clock_that_stands_still_or_jumps_back_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
