/* pkcs11/token*: what the signer does for each return code at each call of a signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "failing_token.h"

/* --- the matrix --------------------------------------------------------------------------------
 */

static const enum call signing_calls[] = { CALL_SIGN_INIT, CALL_SIGN };

static bool heals_within_one_request(enum ckr_class class)
{
	return class == CKR_CLASS_REFIND || class == CKR_CLASS_REOPEN || class == CKR_CLASS_RETRY ||
	       class == CKR_CLASS_LOGIN;
}

static void check_once(const struct ckr_info *row, enum call call)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload;
	enum err err;

	begin(&f);
	plan_failure(call, 1, row->code);
	err = sign(&f, &reload, &detail);
	if (heals_within_one_request(row->class)) {
		if (err != ERR_OK)
			fail_msg("%s did not heal: %s", row->name, detail.text);
	} else {
		assert_int_equal(err, row->error);
		assert_int_equal(reload, row->class == CKR_CLASS_RELOAD);
		assert_non_null(strstr(detail.text, row->name));
		assert_non_null(strstr(detail.text, call == CALL_SIGN ? "C_Sign:" : "C_SignInit:"));
	}
	/* Whatever it was, the next request finds a clean session. */
	if (row->class != CKR_CLASS_PIN)
		assert_signs(&f);
	assert_true(plan[CALL_LOGIN].calls <= 2);
	end(&f);
}

static void one_failure_of_each_code(void **state)
{
	const struct ckr_info *row;

	(void)state;
	for (unsigned i = 0; (row = ckr_row(i)) != NULL; i++) {
		for (size_t n = 0; n < ARRAY_LEN(signing_calls); n++) {
			if (row->class != CKR_CLASS_OK)
				check_once(row, signing_calls[n]);
		}
	}
}

/* A fault that stays: an error in bounded work, and no second PIN. */
static void check_always(const struct ckr_info *row, enum call call)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload;

	begin(&f);
	plan_failure(call, UINT32_MAX, row->code);
	assert_int_equal(sign(&f, &reload, &detail), row->error);
	assert_true(plan[CALL_SIGN_INIT].calls <= 4);
	assert_true(plan[CALL_OPEN_SESSION].calls <= 6);
	assert_true(plan[CALL_LOGIN].calls <= 1);
	end(&f);
}

static void a_fault_that_stays_ends_in_bounded_work(void **state)
{
	const struct ckr_info *row;

	(void)state;
	for (unsigned i = 0; (row = ckr_row(i)) != NULL; i++) {
		for (size_t n = 0; n < ARRAY_LEN(signing_calls); n++) {
			if (row->class != CKR_CLASS_OK)
				check_always(row, signing_calls[n]);
		}
	}
}

static void a_vendor_code_is_answered_like_a_device_error(void **state)
{
	struct fixture f;
	bool reload;

	(void)state;
	begin(&f);
	plan_failure(CALL_SIGN, 1, 0x80000383ul);
	assert_int_equal(sign(&f, &reload, NULL), ERR_OK);
	plan_failure(CALL_SIGN, UINT32_MAX, 0x80000383ul);
	assert_int_equal(sign(&f, &reload, NULL), ERR_TOKEN_FAILED);
	assert_false(reload); /* it may be the key's fault: a probe with another one decides */
	end(&f);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static CK_RV wants_read_write(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
			      CK_SESSION_HANDLE *ret)
{
	return (flags & CKF_RW_SESSION) != 0 ? hsm.real.C_OpenSession(slot, flags, app, notify, ret)
					     : CKR_TOKEN_WRITE_PROTECTED;
}

static CK_RV wants_read_only(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
			     CK_SESSION_HANDLE *ret)
{
	return (flags & CKF_RW_SESSION) == 0 ? hsm.real.C_OpenSession(slot, flags, app, notify, ret)
					     : CKR_SESSION_READ_ONLY;
}

static void sessions_are_opened_as_the_token_wants_them(void **state)
{
	const CK_C_OpenSession kinds[] = { wants_read_write, wants_read_only };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct token_session *session = NULL;
		struct token *token;

		module_mend();
		hsm.list->C_OpenSession = kinds[i];
		token = new_token(hsm.pin, false);
		assert_int_equal(token_session_open(token, &session, NULL), ERR_OK);
		token_session_close(&session);
		token_free(&token);
	}
	module_mend();
}

static void no_free_session_is_busy_not_broken(void **state)
{
	struct token_session *second = NULL;
	struct fixture f;

	(void)state;
	begin(&f);
	plan_failure(CALL_OPEN_SESSION, UINT32_MAX, CKR_SESSION_COUNT);
	assert_int_equal(token_session_open(f.token, &second, NULL), ERR_TOKEN_BUSY);
	assert_null(second);
	assert_signs(&f); /* what is open goes on */
	end(&f);
}

/* libp11 closes all sessions of a module when it looks at the slots: it may do so only once. */
static void looking_for_another_token_leaves_sessions_alone(void **state)
{
	struct token_session *session = NULL;
	struct fixture f;
	struct token *other;

	(void)state;
	begin(&f);
	other = new_token(hsm.pin, false);
	assert_int_equal(token_session_open(other, &session, NULL), ERR_OK);
	assert_signs(&f);
	assert_int_equal(plan[CALL_SIGN_INIT].calls, 1);
	token_session_close(&session);
	token_free(&other);
	assert_signs(&f);
	assert_int_equal(plan[CALL_SIGN_INIT].calls, 2);
	end(&f);
}

static CK_SESSION_HANDLE signed_in; /* the session of the last C_SignInit */
static CK_SESSION_HANDLE closed;    /* by the last C_CloseSession */

static CK_RV sign_init_seen(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			    CK_OBJECT_HANDLE key)
{
	signed_in = session;
	return sign_init(session, mechanism, key);
}

static CK_RV close_seen(CK_SESSION_HANDLE session)
{
	closed = session;
	return hsm.real.C_CloseSession(session);
}

/* After any error nobody knows what state it is in. */
static void a_session_that_failed_is_closed_and_not_used_again(void **state)
{
	static const enum call calls[] = { CALL_SIGN_INIT, CALL_SIGN };
	static const CK_RV codes[] = { CKR_FUNCTION_REJECTED, CKR_KEY_SIZE_RANGE, CKR_ARGUMENTS_BAD,
				       CKR_HOST_MEMORY };
	struct fixture f;
	bool reload;

	(void)state;
	begin(&f);
	hsm.list->C_SignInit = sign_init_seen;
	hsm.list->C_CloseSession = close_seen;
	for (size_t n = 0; n < ARRAY_LEN(calls) * ARRAY_LEN(codes); n++) {
		CK_SESSION_HANDLE failed;

		plan_failure(calls[n % 2], 1, codes[n / 2]);
		assert_int_not_equal(sign(&f, &reload, NULL), ERR_OK);
		failed = signed_in;
		assert_int_equal(closed, failed);
		assert_true(token_session_lost(f.session));
		assert_signs(&f); /* in another one */
		assert_int_not_equal(signed_in, failed);
	}
	end(&f);
}

/* A session that is gone, and a device that is busy when the new one is tried. */
static void different_faults_of_one_request_heal(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	plan_failure(CALL_SIGN_INIT, 1, CKR_SESSION_HANDLE_INVALID);
	plan_failure(CALL_SIGN, 1, CKR_DEVICE_ERROR);
	assert_signs(&f);
	end(&f);
}

static void a_logout_behind_our_back_is_mended(void **state)
{
	CK_SESSION_HANDLE other = 0;
	CK_SLOT_ID *slots = NULL;
	size_t count = 0;
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(p11_module_slots(hsm.module, &slots, &count, NULL), ERR_OK);
	assert_true(count >= 1);
	assert_int_equal(hsm.real.C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &other),
			 CKR_OK);
	assert_int_equal(hsm.real.C_Logout(other), CKR_OK);
	assert_signs(&f);
	assert_int_equal(plan[CALL_LOGIN].calls, 1);
	assert_int_equal(hsm.real.C_CloseAllSessions(slots[0]), CKR_OK);
	assert_signs(&f);
	free(slots);
	end(&f);
}

static CK_RV no_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *wanted,
			  CK_ULONG count)
{
	(void)session;
	(void)object;
	(void)wanted;
	(void)count;
	return CKR_DEVICE_ERROR;
}

/* A label that could not be read is not a key that is not there. */
static void a_failure_while_the_keys_are_read_is_the_token_s(void **state)
{
	struct token_session *session = NULL;
	struct err_detail detail = { "" };
	struct token_key *key = NULL;
	struct token *token;

	(void)state;
	module_mend();
	token = new_token(hsm.pin, false);
	assert_int_equal(token_session_open(token, &session, &detail), ERR_OK);
	hsm.list->C_GetAttributeValue = no_attribute;
	assert_int_equal(token_key_open(session, key_uri, &key, &detail), ERR_TOKEN_FAILED);
	assert_non_null(strstr(detail.text, "CKR_DEVICE_ERROR"));
	module_mend();
	assert_int_equal(token_key_open(session, key_uri, &key, &detail), ERR_OK);
	token_key_free(&key);
	token_session_close(&session);
	token_free(&token);
}

/* A deleted key that is asked for with each message: its token has many others to read. */
static void a_deleted_key_costs_no_reading_for_each_request(void **state)
{
	int64_t began_ms;
	struct fixture f;
	bool reload;

	(void)state;
	begin(&f);
	began_ms = clock_mono_ms();
	plan_failure(CALL_SIGN_INIT, UINT32_MAX, CKR_KEY_HANDLE_INVALID);
	for (int i = 0; i < 100; i++)
		assert_int_equal(sign(&f, &reload, NULL), ERR_KEY_MISSING);
	assert_true(plan[CALL_FIND_INIT].calls <= 1 + (clock_mono_ms() - began_ms) / 1000);
	end(&f);
}

/* --- lies --------------------------------------------------------------------------------------
 */

static CK_RV sign_wrong(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
			unsigned char *signature, CK_ULONG *ret_len)
{
	CK_RV rv = hsm.real.C_Sign(session, data, len, signature, ret_len);

	signature[*ret_len / 2] ^= 1;
	return rv;
}

static CK_RV sign_endless(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
			  unsigned char *signature, CK_ULONG *ret_len)
{
	CK_RV rv = hsm.real.C_Sign(session, data, len, signature, ret_len);

	*ret_len = (CK_ULONG)-1;
	return rv;
}

static void a_wrong_signature_never_leaves(void **state)
{
	const CK_C_Sign lies[] = { sign_wrong, sign_endless };
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		hsm.list->C_Sign = lies[i];
		assert_int_equal(sign(&f, &reload, &detail), ERR_TOKEN_LIED);
		assert_non_null(strstr(detail.text, "signature"));
		hsm.list->C_Sign = sign_real;
		assert_signs(&f);
	}
	end(&f);
}

/* A token that hashes by itself gets the canonical header. */
static CK_RV no_raw_rsa(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	return type == CKM_RSA_PKCS ? CKR_MECHANISM_INVALID
				    : hsm.real.C_GetMechanismInfo(slot, type, info);
}

static void a_token_without_raw_rsa_gets_the_input(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	token_key_free(&f.key);
	hsm.list->C_GetMechanismInfo = no_raw_rsa;
	assert_int_equal(token_key_open(f.session, key_uri, &f.key, NULL), ERR_OK);
	assert_true(token_key_info(f.key)->wants_input);
	assert_signs(&f);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_failure_of_each_code),
		cmocka_unit_test(a_fault_that_stays_ends_in_bounded_work),
		cmocka_unit_test(a_vendor_code_is_answered_like_a_device_error),
		cmocka_unit_test(sessions_are_opened_as_the_token_wants_them),
		cmocka_unit_test(no_free_session_is_busy_not_broken),
		cmocka_unit_test(looking_for_another_token_leaves_sessions_alone),
		cmocka_unit_test(a_session_that_failed_is_closed_and_not_used_again),
		cmocka_unit_test(different_faults_of_one_request_heal),
		cmocka_unit_test(a_logout_behind_our_back_is_mended),
		cmocka_unit_test(a_failure_while_the_keys_are_read_is_the_token_s),
		cmocka_unit_test(a_deleted_key_costs_no_reading_for_each_request),
		cmocka_unit_test(a_wrong_signature_never_leaves),
		cmocka_unit_test(a_token_without_raw_rsa_gets_the_input),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
