/* signer/breaker: when a token that fails is left alone, and when it is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "signer/breaker.h"

static void one_failure_changes_nothing(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	assert_false(breaker_failed(&b, BREAKER_ONE_REQUEST, 10));
	assert_true(breaker_allows(&b));
	assert_false(breaker_take_probe(&b, 11));
	assert_false(breaker_worked(&b, 12));
	assert_false(breaker_failed(&b, BREAKER_ONE_REQUEST, 13));
	assert_false(breaker_take_probe(&b, 14)); /* not two in a row */
}

static void failures_in_a_row_ask_for_a_probe_and_requests_go_on(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	(void)breaker_failed(&b, BREAKER_ONE_REQUEST, 10);
	assert_false(breaker_failed(&b, BREAKER_ONE_REQUEST, 11));
	assert_true(breaker_allows(&b));
	assert_true(breaker_take_probe(&b, 11));
	assert_false(breaker_take_probe(&b, 12)); /* one at a time */
	assert_false(breaker_failed(&b, BREAKER_ONE_REQUEST, 13));
	assert_true(breaker_allows(&b)); /* only the probe decides */
	assert_false(breaker_worked(&b, 14));
	assert_true(breaker_allows(&b));
}

static void rests_double_up_to_a_limit(void **state)
{
	static const int64_t rests[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 };
	struct breaker b = { .used = true };
	int64_t now = 100;

	(void)state;
	assert_true(breaker_failed(&b, BREAKER_WHOLE_TOKEN, now));
	for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
		assert_false(breaker_allows(&b));
		assert_false(breaker_take_probe(&b, now + rests[i] - 1));
		now += rests[i];
		assert_true(breaker_take_probe(&b, now));
		if (i + 1 < ARRAY_LEN(rests))
			assert_false(breaker_probe_failed(&b, BREAKER_WHOLE_TOKEN, now));
	}
	assert_int_equal(b.failed_probes, ARRAY_LEN(rests) - 1);
	assert_true(breaker_worked(&b, now)); /* back: worth a line */
	assert_true(breaker_allows(&b));
	assert_int_equal(b.failed_probes, 0);
}

static void a_failed_probe_in_doubt_takes_it_out_of_service(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	(void)breaker_failed(&b, BREAKER_ONE_REQUEST, 10);
	(void)breaker_failed(&b, BREAKER_ONE_REQUEST, 11);
	assert_true(breaker_take_probe(&b, 12));
	assert_true(breaker_probe_failed(&b, BREAKER_ONE_REQUEST, 13));
	assert_false(breaker_allows(&b));
	assert_int_equal(b.down_since_ms, 13);
	assert_true(breaker_take_probe(&b, 13 + BREAKER_REST_FIRST_MS));
}

static void requests_that_fail_meanwhile_do_not_prolong_the_rest(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	(void)breaker_failed(&b, BREAKER_WHOLE_TOKEN, 0);
	for (int64_t now = 1; now < BREAKER_REST_FIRST_MS; now += 100)
		assert_false(breaker_failed(&b, BREAKER_WHOLE_TOKEN, now));
	assert_true(breaker_take_probe(&b, BREAKER_REST_FIRST_MS));
}

static void an_idle_token_is_probed(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	(void)breaker_worked(&b, 1000);
	assert_false(breaker_take_probe(&b, 1000 + BREAKER_IDLE_MS - 1));
	assert_true(breaker_take_probe(&b, 1000 + BREAKER_IDLE_MS));
	(void)breaker_worked(&b, 1000 + BREAKER_IDLE_MS + 5);
	assert_false(breaker_take_probe(&b, 1000 + BREAKER_IDLE_MS + 6));
}

static void a_new_token_is_probed_at_once(void **state)
{
	struct breaker b = { .used = false };

	(void)state;
	assert_true(breaker_take_probe(&b, 5));
	breaker_probe_lost(&b); /* it could not be started */
	assert_true(breaker_allows(&b));
	assert_true(breaker_take_probe(&b, 6));
	assert_false(breaker_worked(&b, 7));
	assert_false(breaker_take_probe(&b, 8));
}

/* A token that only answers gets requests again, as the last choice; a signature is what counts. */
static void an_answer_ends_the_rest_and_not_the_doubt(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	(void)breaker_failed(&b, BREAKER_WHOLE_TOKEN, 0);
	assert_true(breaker_take_probe(&b, 1000));
	breaker_answered(&b, 1000);
	assert_int_equal(b.state, BREAKER_DOUBTED);
	assert_true(breaker_allows(&b));
	assert_false(breaker_take_probe(&b, 1001)); /* not without end */
	assert_true(breaker_take_probe(&b, 1000 + 2 * BREAKER_REST_FIRST_MS));
	breaker_answered(&b, 4000);
	assert_int_equal(b.state, BREAKER_DOUBTED);
	/* Down again: its rests go on where they were. */
	assert_true(breaker_failed(&b, BREAKER_WHOLE_TOKEN, 4100));
	assert_int_equal(b.probe_at_ms, 4100 + 2 * BREAKER_REST_FIRST_MS);
	assert_int_equal(b.down_since_ms, 0); /* no signature since */
	assert_true(breaker_take_probe(&b, 6100));
	breaker_answered(&b, 6100);
	assert_true(breaker_worked(&b, 6200)); /* back */
	assert_int_equal(b.state, BREAKER_IN_SERVICE);
	assert_false(breaker_worked(&b, 6300));
}

static void an_answer_changes_nothing_for_others(void **state)
{
	struct breaker b = { .used = false };

	(void)state;
	breaker_answered(&b, 10); /* a new one */
	assert_int_equal(b.state, BREAKER_IN_SERVICE);
	assert_false(breaker_take_probe(&b, 11));
	(void)breaker_failed(&b, BREAKER_PIN_REFUSED, 12);
	breaker_answered(&b, 13);
	assert_int_equal(b.state, BREAKER_ENDED);
}

static void a_refused_pin_ends_it(void **state)
{
	struct breaker b = { .used = true };

	(void)state;
	assert_true(breaker_failed(&b, BREAKER_PIN_REFUSED, 10));
	assert_false(breaker_allows(&b));
	assert_false(breaker_take_probe(&b, INT64_MAX / 2));
	assert_false(breaker_worked(&b, 20)); /* a session that was logged in before */
	assert_false(breaker_allows(&b));
	assert_false(breaker_failed(&b, BREAKER_WHOLE_TOKEN, 30));
	assert_false(breaker_take_probe(&b, INT64_MAX / 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_failure_changes_nothing),
		cmocka_unit_test(failures_in_a_row_ask_for_a_probe_and_requests_go_on),
		cmocka_unit_test(rests_double_up_to_a_limit),
		cmocka_unit_test(a_failed_probe_in_doubt_takes_it_out_of_service),
		cmocka_unit_test(requests_that_fail_meanwhile_do_not_prolong_the_rest),
		cmocka_unit_test(an_idle_token_is_probed),
		cmocka_unit_test(a_new_token_is_probed_at_once),
		cmocka_unit_test(a_refused_pin_ends_it),
		cmocka_unit_test(an_answer_ends_the_rest_and_not_the_doubt),
		cmocka_unit_test(an_answer_changes_nothing_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
