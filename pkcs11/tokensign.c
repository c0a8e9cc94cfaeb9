/* One signature on the token, and the recovery ladder that the return codes ask for. */
#include "pkcs11/attribute.h"
#include "pkcs11/ckr.h"
#include "pkcs11/publicpart.h"
#include "pkcs11/token_priv.h"

#include "base/clock.h"
#include "base/limits.h"

#include <string.h>

/* Objects with one name that are looked at. */
#define HITS_MAX 8

/* DigestInfo of SHA-256 up to the digest (RFC 8017 section 9.2, note 1). */
static const unsigned char digest_info_sha256[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
						    0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
						    0x01, 0x05, 0x00, 0x04, 0x20 };

/* What is signed, and with what. */
struct job {
	struct token_session *session;
	struct token_key *key;
	enum dkim_alg alg;
	struct slice digest;
	struct slice input;
	unsigned char *signature;
	CK_ULONG len;
	int64_t started_ms;
	const char *function; /* the call that failed */
};

/* Which rungs of the ladder were climbed. */
struct rungs {
	bool refound;
	bool reopened;
	bool retried;
	bool logged_in;
};

/* The PIN once more, for this one operation (CKA_ALWAYS_AUTHENTICATE); between SignInit and Sign.
 */
static CK_RV login_for_operation(struct job *job)
{
	struct token *t = job->session->token;
	CK_RV rv;

	if (t->pin == NULL)
		return CKR_USER_NOT_LOGGED_IN;
	job->function = "C_Login";
	(void)pthread_mutex_lock(&t->lock); /* a refusal must be known before the next one tries */
	rv = token_send_pin(t, job->session->handle, CKU_CONTEXT_SPECIFIC, NULL);
	(void)pthread_mutex_unlock(&t->lock);
	return rv;
}

static CK_RV sign_once(struct job *job)
{
	CK_FUNCTION_LIST *f = job->session->f;
	CK_MECHANISM mechanism = { job->key->mechanism, NULL, 0 };
	unsigned char data[sizeof(digest_info_sha256) + 32];
	struct slice bytes = job->digest;
	CK_RV rv;

	if (job->key->mechanism == CKM_SHA256_RSA_PKCS) {
		bytes = job->input;
	} else if (job->key->mechanism == CKM_RSA_PKCS) {
		memcpy(data, digest_info_sha256, sizeof(digest_info_sha256));
		memcpy(data + sizeof(digest_info_sha256), job->digest.ptr, 32);
		bytes = slice_of(data, sizeof(data));
	}
	job->function = "C_SignInit";
	rv = f->C_SignInit(job->session->handle, &mechanism, atomic_load(&job->key->handle));
	if (rv == CKR_OK && job->key->info.always_authenticate)
		rv = login_for_operation(job);
	if (rv != CKR_OK)
		return rv;
	job->function = "C_Sign";
	job->len = LIMIT_SIGNATURE_BYTES;
	return f->C_Sign(job->session->handle, (CK_BYTE_PTR)bytes.ptr, bytes.len, job->signature,
			 &job->len);
}

/* ---- rungs: each @return ERR_OK when it is worth another try ---- */

enum sameness { SAME_KEY, ANOTHER_KEY, NO_KEY, NOT_READ };

static bool has_another_type(const struct job *job, CK_OBJECT_HANDLE handle)
{
	bool is_rsa = job->key->info.type == KEY_TYPE_RSA;
	struct token_session *s = job->session;
	CK_ULONG type = 0;

	return attribute_ulong(s->f, s->handle, handle, CKA_KEY_TYPE, &type) &&
	       type != (is_rsa ? CKK_RSA : CKK_EC_EDWARDS);
}

/* Is our key behind the handle? */
static enum sameness look_at(const struct job *job, CK_OBJECT_HANDLE handle)
{
	AUTO(pubkey_free) struct pubkey *found = NULL;
	struct token_session *s = job->session;

	if (token_object_is_gone(s, handle))
		return NO_KEY;
	if (publicpart_read(s->f, s->handle, handle, job->key->info.type, &found, NULL) != ERR_OK)
		return has_another_type(job, handle) ? ANOTHER_KEY : NOT_READ;
	return pubkey_equal(found, job->key->pubkey) ? SAME_KEY : ANOTHER_KEY;
}

/* The one of the hits that has our public key. @return ERR_KEY_CHANGED, ERR_KEY_MISSING: they last,
 * so not while one of the hits may be ours; ERR_TOKEN_FAILED */
static enum err take_same_key(struct job *job, const CK_OBJECT_HANDLE *hits, size_t count,
			      struct err_detail *detail)
{
	bool another = false;
	bool unread = false;

	for (size_t i = 0; i < count && i < HITS_MAX; i++) {
		enum sameness is = look_at(job, hits[i]);

		if (is == SAME_KEY) {
			atomic_store(&job->key->handle, hits[i]);
			return ERR_OK;
		}
		another |= is == ANOTHER_KEY;
		unread |= is == NOT_READ;
	}
	if (unread) {
		err_detail_set(detail, "token %s: the key could not be looked at",
			       job->session->token->name);
		return ERR_TOKEN_FAILED;
	}
	err_detail_set(detail,
		       another ? "token %s: another key has the name by now; the next message is "
				 "signed with it: publish its record"
			       : "token %s: the key is not there any more",
		       job->session->token->name);
	return another ? ERR_KEY_CHANGED : ERR_KEY_MISSING;
}

/* An index that was read a moment ago is new enough: else a deleted key, asked for with each
 * message, would cost a reading each. */
static int64_t new_enough_ms(const struct job *job)
{
	int64_t fresh_ms = token_index_fresh_ms(job->session->token);

	return fresh_ms < job->started_ms ? fresh_ms : job->started_ms;
}

/* The token rather than a key: all of them are gone. The index may be older than that; without one,
 * for another thread has detached the token meanwhile, nothing is known. */
static bool all_keys_are_gone(struct token_session *s)
{
	CK_OBJECT_HANDLE some[HITS_MAX];
	size_t count = 0;
	bool known;

	(void)pthread_mutex_lock(&s->token->lock);
	known = s->token->index != NULL;
	if (known)
		count = keyindex_sample(s->token->index, some, HITS_MAX);
	(void)pthread_mutex_unlock(&s->token->lock);
	for (size_t i = 0; i < count; i++)
		if (!token_object_is_gone(s, some[i]))
			return false;
	return known;
}

static enum err find_again(struct job *job, bool *ret_reload, struct err_detail *detail)
{
	CK_OBJECT_HANDLE hits[HITS_MAX];
	size_t count = 0;
	enum err e = token_session_reopen(job->session, detail);

	if (e == ERR_OK)
		e = token_session_check_login(job->session, detail);
	if (e == ERR_OK)
		e = token_find(job->session, job->key->uri, new_enough_ms(job), hits, HITS_MAX,
			       &count, detail);
	if (e != ERR_OK)
		return e;
	e = take_same_key(job, hits, count, detail);
	/* Some modules see what came back only after a new C_Initialize. */
	if (e == ERR_KEY_MISSING)
		*ret_reload = all_keys_are_gone(job->session);
	return e;
}

static enum err log_in_again(struct job *job, struct err_detail *detail)
{
	struct token *t = job->session->token;

	(void)pthread_mutex_lock(&t->lock);
	token_detach(t);
	(void)pthread_mutex_unlock(&t->lock);
	return token_session_reopen(job->session, detail);
}

static void token_is_away(struct job *job)
{
	struct token *t = job->session->token;

	(void)pthread_mutex_lock(&t->lock);
	token_detach(t);
	(void)pthread_mutex_unlock(&t->lock);
}

/* Whichever call said it; what is known of the PIN is the better text. */
static void refuse_pin(struct token *t, struct err_detail *detail)
{
	(void)pthread_mutex_lock(&t->lock);
	if (!token_pin_refused(t))
		token_refuse_pin(t, detail != NULL ? detail : &(struct err_detail){ "" });
	if (detail != NULL)
		*detail = t->pin_detail;
	(void)pthread_mutex_unlock(&t->lock);
}

/* Each rung once. @return ERR_OK: try again */
static enum err climb(struct job *job, struct rungs *rungs, CK_RV rv, bool *ret_reload,
		      struct err_detail *detail)
{
	enum err e = ckr_error(job->function, rv, detail);

	switch (ckr_info(rv)->class) {
	case CKR_CLASS_REFIND:
		if (rungs->refound)
			return e;
		rungs->refound = true;
		return find_again(job, ret_reload, detail);
	case CKR_CLASS_REOPEN:
		if (rungs->reopened)
			return e;
		rungs->reopened = true;
		return token_session_reopen(job->session, detail);
	case CKR_CLASS_RETRY:
		if (rungs->retried)
			return e;
		rungs->retried = true;
		return token_session_reopen(job->session, detail);
	case CKR_CLASS_LOGIN:
		if (rungs->logged_in)
			return e;
		rungs->logged_in = true;
		e = log_in_again(job, detail);
		return e == ERR_OK ? find_again(job, ret_reload, detail) : e;
	case CKR_CLASS_RELOAD:
		*ret_reload = true;
		return e;
	case CKR_CLASS_FAIL_OVER:
		token_is_away(job);
		return e;
	case CKR_CLASS_PIN:
		refuse_pin(job->session->token, detail);
		return e;
	case CKR_CLASS_PERMANENT:
	case CKR_CLASS_BUG:
	case CKR_CLASS_OK: /* "already logged in" from a call that must not say so */
		return e;
	}
	return e;
}

static enum err check(const struct job *job, struct err_detail *detail)
{
	enum err e = ERR_DENIED;

	if (job->len <= LIMIT_SIGNATURE_BYTES)
		e = pubkey_verify(job->key->pubkey, job->alg, job->digest,
				  slice_of(job->signature, job->len));
	if (e != ERR_DENIED)
		return e;
	err_detail_set(detail,
		       "token %s: the signature does not fit the key's public key; it was not used",
		       job->session->token->name);
	return ERR_TOKEN_LIED;
}

/* A signature that does not fit. @return ERR_OK: our key is under another handle now, try again;
 * ERR_KEY_CHANGED, ERR_KEY_MISSING: it was replaced; else the token lied */
static enum err look_for_other_key(struct job *job, struct rungs *rungs, bool *ret_reload,
				   struct err_detail *detail)
{
	enum sameness is;

	if (rungs->refound)
		return ERR_TOKEN_LIED;
	is = look_at(job, atomic_load(&job->key->handle));
	if (is == SAME_KEY || is == NOT_READ)
		return ERR_TOKEN_LIED;
	rungs->refound = true;
	return find_again(job, ret_reload, detail);
}

static enum err sign_until_done(struct job *job, bool *ret_reload, struct err_detail *detail)
{
	struct rungs rungs = { false };
	enum err e = ERR_OK;

	if (job->session->handle == 0)
		e = token_session_reopen(job->session, detail);
	while (e == ERR_OK) {
		CK_RV rv = sign_once(job);

		if (rv != CKR_OK) {
			e = climb(job, &rungs, rv, ret_reload, detail);
			continue;
		}
		e = check(job, detail);
		if (e == ERR_TOKEN_LIED)
			e = look_for_other_key(job, &rungs, ret_reload, detail);
		else
			return e;
	}
	return e;
}

enum err token_key_sign(struct token_session *session, const struct token_key *key,
			enum dkim_alg alg, struct slice digest, struct slice input,
			unsigned char *signature, size_t *ret_len, bool *ret_reload,
			struct err_detail *detail)
{
	struct job job = { .session = session,
			   .key = (struct token_key *)key, /* only its handle changes */
			   .alg = alg,
			   .digest = digest,
			   .input = input,
			   .signature = signature,
			   .started_ms = clock_mono_ms() };
	bool entered;
	enum err e;

	if (digest.len != 32 || dkim_alg_info(alg)->key_type != key->info.type)
		return ERR_KEY_BAD;
	entered = token_enter(session->token);
	e = sign_until_done(&job, ret_reload, detail);
	if (e != ERR_OK)
		token_session_drop(session); /* in an unknown state: never used again */
	token_leave(session->token, entered);
	if (e == ERR_OK)
		*ret_len = job.len;
	return e;
}
