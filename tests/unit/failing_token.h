/*
 * A real SoftHSM token whose module fails at the n-th call of a function, for the tests of
 * pkcs11/token*. A test program that includes this has one token "dkim" with the key "k".
 */
#ifndef TESTS_UNIT_FAILING_TOKEN_H
#define TESTS_UNIT_FAILING_TOKEN_H

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

static inline bool fails(enum call call)
{
	plan[call].calls++;
	if (plan[call].failures == 0)
		return false;
	plan[call].failures--;
	return true;
}

static inline CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
				 CK_SESSION_HANDLE *ret)
{
	return fails(CALL_OPEN_SESSION) ? plan[CALL_OPEN_SESSION].rv
					: hsm.real.C_OpenSession(slot, flags, app, notify, ret);
}

static inline CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin,
			  CK_ULONG len)
{
	return fails(CALL_LOGIN) ? plan[CALL_LOGIN].rv : hsm.real.C_Login(session, user, pin, len);
}

static inline CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG count)
{
	return fails(CALL_FIND_INIT) ? plan[CALL_FIND_INIT].rv
				     : hsm.real.C_FindObjectsInit(session, wanted, count);
}

static inline CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			      CK_OBJECT_HANDLE key)
{
	return fails(CALL_SIGN_INIT) ? plan[CALL_SIGN_INIT].rv
				     : hsm.real.C_SignInit(session, mechanism, key);
}

static inline CK_RV sign_real(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
			      unsigned char *signature, CK_ULONG *ret_len)
{
	return fails(CALL_SIGN) ? plan[CALL_SIGN].rv
				: hsm.real.C_Sign(session, data, len, signature, ret_len);
}

static inline void plan_failure(enum call call, unsigned failures, CK_RV rv)
{
	plan[call].failures = failures;
	plan[call].rv = rv;
}

static inline void module_mend(void)
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

static inline int start(void **state)
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

static inline int stop(void **state)
{
	(void)state;
	p11_uri_free(&key_uri);
	pin_free(&wrong_pin);
	softhsm_free(&hsm);
	return 0;
}

static inline struct token *new_token(const struct pin *pin, bool pin_refused)
{
	const struct token_config config = {
		.name = "A", .module_path = hsm.module_path, .pin = pin, .pin_refused = pin_refused
	};
	struct token *token = NULL;

	assert_int_equal(token_new(&config, &token), ERR_OK);
	return token;
}

static inline void begin(struct fixture *f)
{
	struct err_detail detail = { "" };

	module_mend();
	*f = (struct fixture){ .token = new_token(hsm.pin, false) };
	if (token_session_open(f->token, &f->session, &detail) != ERR_OK ||
	    token_key_open(f->session, key_uri, &f->key, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
	memset(plan, 0, sizeof(plan));
}

static inline void end(struct fixture *f)
{
	memset(plan, 0, sizeof(plan));
	token_key_free(&f->key);
	token_session_close(&f->session);
	token_free(&f->token);
}

static inline enum err sign(struct fixture *f, bool *ret_reload, struct err_detail *detail)
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

static inline void assert_signs(struct fixture *f)
{
	struct err_detail detail = { "" };
	bool reload;

	if (sign(f, &reload, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
}

#endif
