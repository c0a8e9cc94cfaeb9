/*
 * pkcs11/token*: what the signer does for each return code at each call. A real SoftHSM token whose
 * module is made to fail at the n-th call of a function.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <string.h>

#include "base/limits.h"
#include "pkcs11/ckr.h"
#include "pkcs11/token.h"
#include "softhsm.h"

static struct softhsm hsm;
static struct p11_uri *key_uri;
static struct pin *wrong_pin;

/* --- a module that fails -----------------------------------------------------------------------
 */

enum call { CALL_OPEN_SESSION, CALL_LOGIN, CALL_FIND_INIT, CALL_SIGN_INIT, CALL_SIGN, CALL_COUNT };

/* For each function: how many of the next calls fail, with what; and how many calls there were. */
static struct {
	unsigned failures;
	CK_RV rv;
	unsigned calls;
} plan[CALL_COUNT];

static bool fails(enum call call)
{
	plan[call].calls++;
	if (plan[call].failures == 0)
		return false;
	plan[call].failures--;
	return true;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
			  CK_SESSION_HANDLE *ret)
{
	return fails(CALL_OPEN_SESSION) ? plan[CALL_OPEN_SESSION].rv
					: hsm.real.C_OpenSession(slot, flags, app, notify, ret);
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin, CK_ULONG len)
{
	return fails(CALL_LOGIN) ? plan[CALL_LOGIN].rv : hsm.real.C_Login(session, user, pin, len);
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG count)
{
	return fails(CALL_FIND_INIT) ? plan[CALL_FIND_INIT].rv
				     : hsm.real.C_FindObjectsInit(session, wanted, count);
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return fails(CALL_SIGN_INIT) ? plan[CALL_SIGN_INIT].rv
				     : hsm.real.C_SignInit(session, mechanism, key);
}

static CK_RV sign_real(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
		       unsigned char *signature, CK_ULONG *ret_len)
{
	return fails(CALL_SIGN) ? plan[CALL_SIGN].rv
				: hsm.real.C_Sign(session, data, len, signature, ret_len);
}

static void plan_failure(enum call call, unsigned failures, CK_RV rv)
{
	plan[call].failures = failures;
	plan[call].rv = rv;
}

static void module_mend(void)
{
	token_pins_forget();
	memset(plan, 0, sizeof(plan));
	softhsm_mend(&hsm);
	hsm.list->C_OpenSession = open_session;
	hsm.list->C_Login = login;
	hsm.list->C_FindObjectsInit = find_init;
	hsm.list->C_SignInit = sign_init;
	hsm.list->C_Sign = sign_real;
}

/* --- fixture -----------------------------------------------------------------------------------
 */

struct fixture {
	struct token *token;
	struct token_session *session;
	struct token_key *key;
};

static int start(void **state)
{
	(void)state;
	if (!softhsm_new(&hsm, "dkim", "k=rsa:1024") || !softhsm_load(&hsm))
		return -1;
	if (pin_new(SLICE_LIT("not the PIN"), &wrong_pin, NULL) != ERR_OK)
		return -1;
	return p11_uri_parse(SLICE_LIT("pkcs11:object=k"), P11_URI_KEY, &key_uri, NULL) == ERR_OK
		       ? 0
		       : -1;
}

static int stop(void **state)
{
	(void)state;
	p11_uri_free(&key_uri);
	pin_free(&wrong_pin);
	softhsm_free(&hsm);
	return 0;
}

static struct token *new_token(const struct pin *pin, bool pin_refused)
{
	const struct token_config config = {
		.name = "A", .module_path = hsm.module_path, .pin = pin, .pin_refused = pin_refused
	};
	struct token *token = NULL;

	assert_int_equal(token_new(&config, &token), ERR_OK);
	return token;
}

static void begin(struct fixture *f)
{
	struct err_detail detail = { "" };

	module_mend();
	*f = (struct fixture){ .token = new_token(hsm.pin, false) };
	if (token_session_open(f->token, &f->session, &detail) != ERR_OK ||
	    token_key_open(f->session, key_uri, &f->key, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
	memset(plan, 0, sizeof(plan));
}

static void end(struct fixture *f)
{
	memset(plan, 0, sizeof(plan));
	token_key_free(&f->key);
	token_session_close(&f->session);
	token_free(&f->token);
}

static enum err sign(struct fixture *f, bool *ret_reload, struct err_detail *detail)
{
	static const char message[] = "a canonical header";
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	unsigned char digest[32];
	size_t len = 0;

	*ret_reload = false;
	assert_int_equal(EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL), 1);
	return token_key_sign(f->session, f->key, DKIM_ALG_RSA_SHA256, slice_of(digest, 32),
			      slice_of(message, sizeof(message)), signature, &len, ret_reload,
			      detail);
}

static void assert_signs(struct fixture *f)
{
	struct err_detail detail = { "" };
	bool reload;

	if (sign(f, &reload, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
}

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

static void codes_of_a_login_that_heals_are_no_refusal(void **state)
{
	static const CK_RV codes[] = { CKR_DEVICE_ERROR, CKR_GENERAL_ERROR, CKR_HOST_MEMORY,
				       CKR_DEVICE_REMOVED, CKR_SESSION_HANDLE_INVALID };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct token_session *session = NULL;
		struct token *token;

		module_mend();
		token = new_token(hsm.pin, false);
		plan_failure(CALL_LOGIN, 1, codes[i]);
		assert_int_not_equal(token_session_open(token, &session, NULL), ERR_OK);
		assert_false(token_pin_refused(token));
		assert_int_equal(token_session_open(token, &session, NULL), ERR_OK);
		token_session_close(&session);
		token_free(&token);
	}
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
		cmocka_unit_test(different_faults_of_one_request_heal),
		cmocka_unit_test(a_logout_behind_our_back_is_mended),
		cmocka_unit_test(a_failure_while_the_keys_are_read_is_the_token_s),
		cmocka_unit_test(a_wrong_pin_is_sent_once),
		cmocka_unit_test(two_rows_spend_one_attempt),
		cmocka_unit_test(another_row_s_refused_pin_stops_no_other_pin),
		cmocka_unit_test(a_reload_lets_a_refused_pin_be_tried_once_more),
		cmocka_unit_test(a_pin_refused_before_is_not_sent),
		cmocka_unit_test(warnings_of_the_token_stop_a_login),
		cmocka_unit_test(codes_of_a_login_that_heals_are_no_refusal),
		cmocka_unit_test(a_wrong_signature_never_leaves),
		cmocka_unit_test(a_token_without_raw_rsa_gets_the_input),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
