/*
 * pkcs11/tokenlogin and pinlog: a token has few wrong PINs to spare, so one that was refused is not
 * sent again, and one whose answer was unclear hardly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_token.h"
#include "pkcs11/pinlog.h"

/* --- PINs --------------------------------------------------------------------------------------
 */

static void a_wrong_pin_is_sent_once(void **state)
{
	struct err_detail detail = { "" };
	struct token *token;

	(void)state;
	module_mend();
	token = new_token(wrong_pin, false);
	for (int i = 0; i < 5; i++) {
		struct token_session *session = NULL;

		assert_int_equal(token_session_open(token, &session, &detail), ERR_TOKEN_PIN);
		assert_null(session);
		assert_non_null(strstr(detail.text, "CKR_PIN_INCORRECT"));
		assert_null(strstr(detail.text, "not the PIN"));
	}
	assert_int_equal(plan[CALL_LOGIN].calls, 1);
	assert_true(token_pin_refused(token));
	token_free(&token);
}

/* Two rows of a TokenTable that mean one token. */
static void two_rows_spend_one_attempt(void **state)
{
	struct err_detail detail = { "" };
	struct token *rows[2];

	(void)state;
	module_mend();
	for (size_t i = 0; i < 2; i++) {
		struct token_session *session = NULL;

		rows[i] = new_token(wrong_pin, false);
		assert_int_equal(token_session_open(rows[i], &session, &detail), ERR_TOKEN_PIN);
		assert_true(token_pin_refused(rows[i]));
		assert_non_null(strstr(detail.text, "CKR_PIN_INCORRECT"));
	}
	assert_int_equal(plan[CALL_LOGIN].calls, 1);
	for (size_t i = 0; i < 2; i++)
		token_free(&rows[i]);
}

static void another_row_s_refused_pin_stops_no_other_pin(void **state)
{
	struct token_session *session = NULL;
	struct err_detail detail = { "" };
	struct token *bad;
	struct token *good;

	(void)state;
	module_mend();
	bad = new_token(wrong_pin, false);
	good = new_token(hsm.pin, false);
	assert_int_equal(token_session_open(bad, &session, &detail), ERR_TOKEN_PIN);
	assert_int_equal(token_session_open(good, &session, &detail), ERR_OK);
	assert_int_equal(plan[CALL_LOGIN].calls, 2);
	token_session_close(&session);
	token_free(&bad);
	token_free(&good);
}

static void a_reload_lets_a_refused_pin_be_tried_once_more(void **state)
{
	struct err_detail detail = { "" };

	(void)state;
	module_mend();
	for (unsigned i = 1; i <= 3; i++) {
		struct token_session *session = NULL;
		struct token *token = new_token(wrong_pin, false);

		assert_int_equal(token_session_open(token, &session, &detail), ERR_TOKEN_PIN);
		assert_int_equal(plan[CALL_LOGIN].calls, i);
		token_free(&token);
		token_pins_forget();
	}
}

static void a_pin_refused_before_is_not_sent(void **state)
{
	struct token_session *session = NULL;
	struct err_detail detail = { "" };
	struct token *token;

	(void)state;
	module_mend();
	token = new_token(wrong_pin, true);
	assert_int_equal(token_session_open(token, &session, &detail), ERR_TOKEN_PIN);
	assert_int_equal(plan[CALL_LOGIN].calls, 0);
	assert_non_null(strstr(detail.text, "reload"));
	token_free(&token);
}

static CK_FLAGS pin_flags;

static CK_RV info_with_flags(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = hsm.real.C_GetTokenInfo(slot, info);

	info->flags |= pin_flags;
	return rv;
}

static void warnings_of_the_token_stop_a_login(void **state)
{
	static const struct {
		CK_FLAGS flag;
		enum err expected;
		unsigned logins;
	} rows[] = {
		{ CKF_USER_PIN_LOCKED, ERR_TOKEN_PIN, 0 },
		{ CKF_USER_PIN_FINAL_TRY, ERR_TOKEN_PIN, 0 },
		{ CKF_USER_PIN_TO_BE_CHANGED, ERR_TOKEN_PIN, 0 },
		{ CKF_USER_PIN_COUNT_LOW, ERR_OK, 1 },
		{ 0, ERR_OK, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct token_session *session = NULL;
		struct token *token;

		module_mend();
		pin_flags = rows[i].flag;
		hsm.list->C_GetTokenInfo = info_with_flags;
		token = new_token(hsm.pin, false);
		assert_int_equal(token_session_open(token, &session, NULL), rows[i].expected);
		assert_int_equal(plan[CALL_LOGIN].calls, rows[i].logins);
		assert_int_equal(token_pin_refused(token), rows[i].expected != ERR_OK);
		token_session_close(&session);
		token_free(&token);
	}
	module_mend();
}

/* --- logins without a clear answer -------------------------------------------------------------
 */

static enum err try_login(struct token *token, struct err_detail *detail)
{
	struct token_session *session = NULL;
	enum err e = token_session_open(token, &session, detail);

	token_session_close(&session);
	return e;
}

/* A module that has no code for a wrong PIN, on a token that sets no flag. */
static void an_unclear_answer_is_followed_by_a_rest_and_the_second_ends_it(void **state)
{
	static const CK_RV codes[] = { CKR_GENERAL_ERROR,   CKR_DEVICE_ERROR,
				       CKR_FUNCTION_FAILED, CKR_FUNCTION_REJECTED,
				       CKR_DEVICE_MEMORY,   0x80000383ul };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct err_detail detail = { "" };
		struct token *token;

		module_mend();
		pinlog_set_rest(3600000);
		token = new_token(hsm.pin, false);
		plan_failure(CALL_LOGIN, UINT32_MAX, codes[i]);
		for (int n = 0; n < 5; n++)
			assert_int_not_equal(try_login(token, &detail), ERR_OK);
		assert_int_equal(plan[CALL_LOGIN].calls, 1);
		assert_non_null(strstr(detail.text, "no clear answer"));
		assert_false(token_pin_refused(token));
		assert_true(token_pin_unclear(token));
		pinlog_set_rest(0);
		for (int n = 0; n < 5; n++)
			assert_int_equal(try_login(token, &detail), ERR_TOKEN_PIN);
		assert_int_equal(plan[CALL_LOGIN].calls, PIN_UNCLEAR_MAX);
		assert_true(token_pin_refused(token));
		assert_non_null(strstr(detail.text, "reload"));
		token_free(&token);
	}
}

static void a_login_that_succeeds_begins_the_count_anew(void **state)
{
	(void)state;
	module_mend();
	pinlog_set_rest(0);
	for (int i = 0; i < 3; i++) {
		struct token *token = new_token(hsm.pin, false);

		plan_failure(CALL_LOGIN, 1, CKR_DEVICE_ERROR);
		assert_int_equal(try_login(token, NULL), ERR_TOKEN_FAILED);
		assert_int_equal(try_login(token, NULL), ERR_OK);
		assert_false(token_pin_unclear(token));
		token_free(&token);
	}
}

/* Two rows of the TokenTable that mean one token have its attempts together. */
static void rows_of_one_token_share_the_count(void **state)
{
	struct err_detail detail = { "" };
	struct token *rows[3];

	(void)state;
	module_mend();
	pinlog_set_rest(0);
	plan_failure(CALL_LOGIN, UINT32_MAX, CKR_GENERAL_ERROR);
	for (size_t i = 0; i < 3; i++) {
		rows[i] = new_token(i == 1 ? wrong_pin : hsm.pin, false);
		(void)try_login(rows[i], &detail);
	}
	assert_int_equal(plan[CALL_LOGIN].calls, PIN_UNCLEAR_MAX);
	assert_true(token_pin_refused(rows[2]));
	/* A reload gives the token back its attempts, but not to a row from before it. */
	token_pins_forget();
	assert_int_equal(try_login(rows[1], &detail), ERR_TOKEN_PIN);
	assert_int_equal(plan[CALL_LOGIN].calls, PIN_UNCLEAR_MAX);
	for (size_t i = 0; i < 3; i++)
		token_free(&rows[i]);
	rows[0] = new_token(hsm.pin, false);
	(void)try_login(rows[0], &detail);
	assert_int_equal(plan[CALL_LOGIN].calls, PIN_UNCLEAR_MAX + 1);
	token_free(&rows[0]);
}

/* Codes of a call that did not come as far as the PIN. */
static void a_token_that_is_away_costs_no_attempt(void **state)
{
	static const CK_RV codes[] = { CKR_HOST_MEMORY, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT,
				       CKR_SESSION_HANDLE_INVALID, CKR_CRYPTOKI_NOT_INITIALIZED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct token *token;

		module_mend();
		pinlog_set_rest(3600000);
		token = new_token(hsm.pin, false);
		plan_failure(CALL_LOGIN, 5, codes[i]);
		for (int n = 0; n < 5; n++)
			assert_int_not_equal(try_login(token, NULL), ERR_OK);
		assert_int_equal(plan[CALL_LOGIN].calls, 5);
		assert_false(token_pin_refused(token));
		assert_int_equal(try_login(token, NULL), ERR_OK);
		token_free(&token);
	}
}

static bool away;

static CK_RV info_unless_away(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	return away ? CKR_DEVICE_ERROR : hsm.real.C_GetTokenInfo(slot, info);
}

static CK_RV login_that_loses_the_token(CK_SESSION_HANDLE session, CK_USER_TYPE user,
					unsigned char *pin, CK_ULONG len)
{
	CK_RV rv = login(session, user, pin, len);

	away = rv != CKR_OK;
	return rv;
}

/* A network HSM: the code says nothing, but then the token does not answer at all. */
static void an_outage_is_no_unclear_answer(void **state)
{
	struct token *token;

	(void)state;
	module_mend();
	pinlog_set_rest(3600000);
	hsm.list->C_GetTokenInfo = info_unless_away;
	hsm.list->C_Login = login_that_loses_the_token;
	token = new_token(hsm.pin, false);
	plan_failure(CALL_LOGIN, 5, CKR_DEVICE_ERROR);
	for (int n = 0; n < 5; n++) {
		assert_int_not_equal(try_login(token, NULL), ERR_OK);
		away = false; /* it is back */
	}
	assert_int_equal(plan[CALL_LOGIN].calls, 5);
	assert_false(token_pin_refused(token));
	assert_int_equal(try_login(token, NULL), ERR_OK);
	token_free(&token);
}

/* --- what the next process is told -------------------------------------------------------------
 */

static struct {
	bool refused;
	unsigned unclear;
	unsigned unclear_in_call;
	unsigned told;
	struct token *token;
	bool called_unclear; /* what a reload in the middle of the call would see */
} heard;

static void hear(void *ctx, bool refused, unsigned unclear)
{
	(void)ctx;
	heard.refused = refused;
	heard.unclear = unclear;
	heard.told++;
}

static CK_RV login_looks(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin,
			 CK_ULONG len)
{
	heard.unclear_in_call = heard.unclear;
	heard.called_unclear = token_pin_unclear(heard.token);
	return login(session, user, pin, len);
}

static struct token *token_that_tells(const struct pin *pin, unsigned unclear_before)
{
	const struct token_config config = { .name = "A",
					     .module_path = hsm.module_path,
					     .pin = pin,
					     .pin_unclear = unclear_before,
					     .pin_state = hear };
	struct token *token = NULL;

	memset(&heard, 0, sizeof(heard));
	module_mend();
	pinlog_set_rest(0);
	hsm.list->C_Login = login_looks;
	assert_int_equal(token_new(&config, &token), ERR_OK);
	heard.token = token;
	return token;
}

/* A crash in C_Login leaves what was said before it. */
static void an_attempt_is_told_before_it_is_made(void **state)
{
	struct token *token = token_that_tells(hsm.pin, 0);

	(void)state;
	assert_int_equal(try_login(token, NULL), ERR_OK);
	assert_int_equal(heard.unclear_in_call, 1);
	assert_false(heard.called_unclear);
	assert_int_equal(heard.unclear, 0);
	token_free(&token);

	token = token_that_tells(wrong_pin, 0);
	assert_int_equal(try_login(token, NULL), ERR_TOKEN_PIN);
	assert_int_equal(heard.unclear_in_call, 1);
	assert_true(heard.refused);
	token_free(&token);

	token = token_that_tells(hsm.pin, 0);
	plan_failure(CALL_LOGIN, UINT32_MAX, CKR_GENERAL_ERROR);
	assert_int_equal(try_login(token, NULL), ERR_TOKEN_FAILED);
	assert_int_equal(heard.unclear, 1);
	assert_false(heard.refused);
	assert_int_equal(try_login(token, NULL), ERR_TOKEN_PIN);
	assert_int_equal(heard.unclear_in_call, 2);
	assert_true(heard.refused);
	token_free(&token);
	module_mend();
}

/* As if the attempt of the process that is gone had been ours, just now. */
static void attempts_of_earlier_processes_count(void **state)
{
	struct err_detail detail = { "" };
	struct token *token = token_that_tells(hsm.pin, 1);

	(void)state;
	pinlog_set_rest(3600000);
	assert_int_equal(try_login(token, &detail), ERR_TOKEN_FAILED);
	assert_int_equal(plan[CALL_LOGIN].calls, 0);
	pinlog_set_rest(0);
	assert_int_equal(try_login(token, &detail), ERR_OK);
	assert_int_equal(heard.unclear_in_call, 2);
	assert_int_equal(heard.unclear, 0);
	token_free(&token);

	token = token_that_tells(hsm.pin, PIN_UNCLEAR_MAX);
	assert_int_equal(try_login(token, &detail), ERR_TOKEN_PIN);
	assert_int_equal(plan[CALL_LOGIN].calls, 0);
	assert_non_null(strstr(detail.text, "signer process ended"));
	token_free(&token);
	module_mend();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_pin_is_sent_once),
		cmocka_unit_test(two_rows_spend_one_attempt),
		cmocka_unit_test(another_row_s_refused_pin_stops_no_other_pin),
		cmocka_unit_test(a_reload_lets_a_refused_pin_be_tried_once_more),
		cmocka_unit_test(a_pin_refused_before_is_not_sent),
		cmocka_unit_test(warnings_of_the_token_stop_a_login),
		cmocka_unit_test(an_unclear_answer_is_followed_by_a_rest_and_the_second_ends_it),
		cmocka_unit_test(a_login_that_succeeds_begins_the_count_anew),
		cmocka_unit_test(rows_of_one_token_share_the_count),
		cmocka_unit_test(a_token_that_is_away_costs_no_attempt),
		cmocka_unit_test(an_outage_is_no_unclear_answer),
		cmocka_unit_test(an_attempt_is_told_before_it_is_made),
		cmocka_unit_test(attempts_of_earlier_processes_count),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
