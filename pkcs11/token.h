/*
 * A token and its sessions. Everything here is synchronous and may block as long as the vendor's
 * module likes: the signer process calls it from worker threads, one session a thread. What the
 * sessions of a token share (login, the index of keys) is guarded inside.
 */
#ifndef PKCS11_TOKEN_H
#define PKCS11_TOKEN_H

#include "base/alg.h"
#include "base/err.h"
#include "base/pubkey.h"
#include "pkcs11/module.h"
#include "pkcs11/pin.h"
#include "pkcs11/uri.h"

struct token;
struct token_session;
struct token_key;

/** Which token, and how to log in. */
struct token_config {
	const char *name;	   /**< TokenTable's, for the log; copied */
	const char *module_path;   /**< copied */
	const struct p11_uri *uri; /**< which of the module's tokens; NULL: the only one; must
				      outlive the token */
	const struct pin *pin;	   /**< NULL: no login; must outlive the token */
	bool pin_refused; /**< this PIN was refused before (in a process that is gone): do not try
			     it */
	unsigned pin_unclear; /**< so often it was sent there and no clear answer came; as if that
				 was just now (pkcs11/pin.h) */
	/**
	 * For whoever remembers it in case this process ends: called before each C_Login, as if it
	 * had no clear answer, and when it is over. Any thread, with a lock held: must not call
	 * back. NULL: nobody remembers.
	 */
	void (*pin_state)(void *ctx, bool refused, unsigned unclear);
	void *pin_ctx;
};

/** @return ERR_NOMEM; touches no module yet */
NODISCARD enum err token_new(const struct token_config *config, struct token **ret_token);
/** All its sessions must be closed. */
void token_free(struct token **token);

const char *token_name(const struct token *token);
/** True when its PIN was refused or is locked, or too many logins had no clear answer; stays so for
 * the life of the object. */
bool token_pin_refused(struct token *token);
/** True when the last login had no clear answer. */
bool token_pin_unclear(struct token *token);
/** An operator may have corrected PINs: the tokens of other rows that mean the same token may try
 * one again that was refused. */
void token_pins_forget(void);
/** "label dkim, model ..., serial ..." of the token that was found last; @return out */
const char *token_describe(struct token *token, char *out, size_t out_size);

/**
 * Load the module if need be, find the token, open a session, log in (once for all sessions).
 * A wrong PIN is sent once in the life of the object; CKF_USER_PIN_FINAL_TRY and _LOCKED stop
 * before it. A code that does not say whether the PIN was wrong (CKR_GENERAL_ERROR ...) counts as
 * half a refusal: PIN_UNCLEAR_MAX of them in a row, with a rest between, are one.
 * @return ERR_MODULE, ERR_TOKEN_ABSENT, ERR_TOKEN_PIN, ERR_TOKEN_BUSY, ERR_TOKEN_FAILED,
 * ERR_AMBIGUOUS, ERR_NOMEM with a detail
 */
NODISCARD enum err token_session_open(struct token *token, struct token_session **ret_session,
				      struct err_detail *detail);
void token_session_close(struct token_session **session);
/** Where no session is open: log out and let go of the module; the next session finds them again.
 */
void token_rest(struct token *token);
/** So it is: nothing of the token is in use. Does not block. */
bool token_at_rest(struct token *token);
/** True when the session was dropped after an error: open another one. */
bool token_session_lost(const struct token_session *session);

/**
 * Does the token answer for this session? It and the slot are asked what they say of themselves:
 * cheaper than a signature, and proves less. Logs in again where nobody is.
 * @return ERR_TOKEN_* with a detail; the session is lost then
 */
NODISCARD enum err token_session_check(struct token_session *session, struct err_detail *detail);

/** Sessions that are open now, the idle one aside that keeps the login. */
unsigned token_open_sessions(struct token *token);

/** Reading a token's list of keys takes as long as it is; after this time it is given up, and what
 * needed it fails. */
#define TOKEN_READ_MAX_MS 600000
/** While the list is read: for how many ms no key was read. -1: it is not read now. Does not block.
 */
int64_t token_read_quiet_ms(struct token *token);

/** Keys may have been made or deleted by others: the next look-up reads the token's keys anew. Does
 * not block. */
void token_index_outdate(struct token *token);

/** What an audit of a private key found. */
struct token_key_info {
	enum key_type type;
	unsigned bits;
	bool sensitive;
	bool extractable;
	bool always_sensitive;
	bool never_extractable;
	bool is_private;
	bool always_authenticate;
	bool second_use;  /**< may also decrypt, unwrap or derive */
	bool wants_input; /**< the token hashes itself: CKM_SHA256_RSA_PKCS */
};

/**
 * Find the private key that the URI names, audit it, read its public key, and make and check one
 * signature.
 * @return ERR_KEY_MISSING (the detail says what does match when each attribute is dropped),
 * ERR_AMBIGUOUS (two different keys, both named), ERR_KEY_BAD, ERR_TOKEN_*, ERR_NOMEM
 */
NODISCARD enum err token_key_open(struct token_session *session, const struct p11_uri *uri,
				  struct token_key **ret_key, struct err_detail *detail);
void token_key_free(struct token_key **key);

/** The same key of the same token was found anew: from now on it is where found is. */
void token_key_follow(struct token_key *key, const struct token_key *found);

const struct token_key_info *token_key_info(const struct token_key *key);
/** Borrowed from the key. */
const struct pubkey *token_key_pubkey(const struct token_key *key);
/** Of its token. Borrowed from that. */
const char *token_key_token_name(const struct token_key *key);
/** "token A, RSA 2048 bits, sensitive, not extractable ..." for the log; @return out */
const char *token_key_describe(const struct token_key *key, char *out, size_t out_size);

/** Make and check one signature that nobody wants. @return as token_key_sign() */
NODISCARD enum err token_key_test(struct token_session *session, const struct token_key *key,
				  bool *ret_reload, struct err_detail *detail);

/**
 * Sign with C_SignInit and C_Sign, climb the recovery ladder (find again, new session, log in) as
 * far as the return codes ask for, each rung once, and check the signature with the public key.
 * @param session   any session of the key's token
 * @param digest    32 bytes; what is signed, or what input's hash is
 * @param input     the bytes whose hash it is, for keys that want_input; else ignored
 * @param signature room for LIMIT_SIGNATURE_BYTES
 * @return ERR_TOKEN_* and ERR_KEY_* with a detail; ERR_TOKEN_LIED when the signature is wrong;
 *         *ret_reload is set when only a new process can help (the caller restarts)
 */
NODISCARD enum err token_key_sign(struct token_session *session, const struct token_key *key,
				  enum dkim_alg alg, struct slice digest, struct slice input,
				  unsigned char *signature, size_t *ret_len, bool *ret_reload,
				  struct err_detail *detail);

#endif
