/* signer/watch and request_token: what a failure says about a token, and what not. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lanes_world.h"
#include "signer/probe.h"

/* --- what is no failure of the token -----------------------------------------------------------
 */

static void what_expires_in_the_queue_says_nothing_about_the_token(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	move_gate(false);
	ask_signature(&f, 1, "k", PATIENCE_MS);
	wait_at_gate(1);
	for (uint64_t id = 2; id < 20; id++)
		ask_signature(&f, id, "k", 20);
	for (uint64_t id = 2; id < 20; id++)
		assert_int_equal(answer_to(&f, id), ERR_TOKEN_TIMEOUT);
	assert_false(health_doubted(health(&f)));
	assert_int_equal(health_check(health(&f), &(struct err_detail){ "" }), ERR_OK);
	move_gate(true);
	assert_int_equal(answer_to(&f, 1), ERR_OK);
	assert_false(logged("out of service"));
	end(&f);
}

static void a_probe_that_finds_no_free_session_says_nothing_about_the_token(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	move_gate(false);
	ask_signature(&f, 1, "k", PATIENCE_MS);
	wait_at_gate(1);
	assert_int_equal(probe_start(&f.env, keyring_token(f.ring, 0), clock_mono_ms() + 20, false),
			 ERR_OK);
	while (atomic_load(&under_way) > 1) /* until it is given up */
		tick(&f);
	assert_int_equal(health_check(health(&f), &(struct err_detail){ "" }), ERR_OK);
	move_gate(true);
	assert_int_equal(answer_to(&f, 1), ERR_OK);
	assert_false(logged("out of service"));
	end(&f);
}

/* --- what is one -------------------------------------------------------------------------------
 */

static void a_token_whose_sessions_all_hang_rests(void **state)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct err_detail detail = { "" };
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	move_gate(false);
	ask_signature(&f, 1, "k", 3000);
	wait_at_gate(1);
	assert_int_equal(answer_to(&f, 1), ERR_TOKEN_TIMEOUT);
	while (health_check(health(&f), &detail) == ERR_OK && clock_mono_ms() < until)
		tick(&f);
	assert_int_equal(health_check(health(&f), &detail), ERR_TOKEN_TIMEOUT);
	assert_non_null(strstr(detail.text, "hangs"));
	/* Nobody waits for it now. */
	ask_signature(&f, 2, "k", PATIENCE_MS);
	assert_int_equal(answer_to(&f, 2), ERR_TOKEN_TIMEOUT);
	end(&f);
}

static atomic_int attribute_ms; /* so long takes each */

static CK_RV slow_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			    CK_ATTRIBUTE *wanted, CK_ULONG count)
{
	(void)poll(NULL, 0, atomic_load(&attribute_ms));
	return hsm.real.C_GetAttributeValue(session, object, wanted, count);
}

/* As long as it comes on, a long list of keys is no hang, and says nothing about the token. */
static void a_token_that_reads_its_keys_lives(void **state)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct fixture f;

	(void)state;
	hsm.list->C_GetAttributeValue = slow_attribute;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	ask_signature(&f, 1, "k", PATIENCE_MS);
	assert_int_equal(answer_to(&f, 1), ERR_OK); /* from here on a hang means a new process */
	atomic_store(&attribute_ms, 200);
	token_index_outdate(tokenlane_token(keyring_token(f.ring, 0)));
	assert_int_equal(open_within(&f, 2, "stays", 100), ERR_TOKEN_TIMEOUT);
	assert_true(tokenlane_reads(keyring_token(f.ring, 0)));
	while (tokenlane_reads(keyring_token(f.ring, 0)) && clock_mono_ms() < until)
		tick(&f);
	atomic_store(&attribute_ms, 0);
	assert_int_equal(atomic_load(&restarts), 0);
	assert_false(logged("out of service"));
	assert_int_equal(open_key(&f, 3, "stays"), ERR_OK);
	end(&f);
	hsm.list->C_GetAttributeValue = hsm.real.C_GetAttributeValue;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_expires_in_the_queue_says_nothing_about_the_token),
		cmocka_unit_test(a_probe_that_finds_no_free_session_says_nothing_about_the_token),
		cmocka_unit_test(a_token_whose_sessions_all_hang_rests),
		cmocka_unit_test(a_token_that_reads_its_keys_lives),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
