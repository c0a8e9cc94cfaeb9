/* The parts of a token that session, key and sign code share. */
#ifndef PKCS11_TOKEN_PRIV_H
#define PKCS11_TOKEN_PRIV_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/keyindex.h"
#include "pkcs11/pinlog.h"
#include "pkcs11/token.h"

#include <pthread.h>
#include <stdatomic.h>

struct token {
	char *name;
	char *module_path;
	const struct p11_uri *uri;
	const struct pin *pin;
	pthread_mutex_t lock; /* recursive; guards all below; held across Cryptoki calls that every
				 session waits for */
	struct p11_module *module;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	atomic_bool attached; /* slot and what it said of itself are known; written under the lock
			       */
	CK_SLOT_INFO slot_info;
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE holder; /* an idle session that keeps the login alive; 0: none */
	bool logged_in;
	bool pin_accepted; /* by C_Login, once */
	atomic_bool
		serial; /* the module has no locks: one call at a time; written under the lock */
	atomic_bool pin_refused;
	atomic_bool index_outdated;   /* set without the lock: read the index anew */
	struct err_detail pin_detail; /* why it is refused, or what the last unclear answer was */
	struct pin_doubt doubt;	      /* of this PIN, also from before a reload */
	atomic_uint unclear;	      /* doubt.count, to be read without the lock */
	void (*pin_state)(void *ctx, bool refused, unsigned unclear);
	void *pin_ctx;
	bool read_write;	      /* the token wants R/W sessions even to sign */
	atomic_uint open_handles;     /* of sessions, the holder aside */
	struct keyindex *index;	      /* NULL: not read yet */
	int64_t index_ms;	      /* when it was read */
	int64_t index_cost_ms;	      /* how long that took */
	_Atomic int64_t read_beat_ms; /* when its reading came on last; 0: it is not read now */
};

struct token_session {
	struct token *token;
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE handle;
};

struct token_key {
	struct token *token;
	struct p11_uri *uri;
	struct token_key_info info;
	struct pubkey *pubkey;
	atomic_ulong handle; /* CK_OBJECT_HANDLE; any thread may find it again */
	CK_MECHANISM_TYPE mechanism;
};

/** Find the slot, open a holder session, log in; token->lock is held. */
NODISCARD enum err token_attach(struct token *token, struct err_detail *detail);
/** Forget slot, login and index: the next attach() looks anew. token->lock is held. */
void token_detach(struct token *token);
/** C_Login when nobody is logged in; token->lock is held. */
NODISCARD enum err token_login(struct token *token, CK_SESSION_HANDLE session,
			       struct err_detail *detail);
/**
 * The one place that sends a PIN: not when it was refused, not when the token's flags say that the
 * next wrong one locks it, not while the last attempt's unclear answer is younger than its rest
 * (pkcs11/pin.h); what came of it is noted before anyone else can try. token->lock is held,
 * token->pin is there.
 * @param user CKU_USER or CKU_CONTEXT_SPECIFIC
 * @return CKR_OK (also: logged in already), CKR_PIN_INCORRECT when it is refused, CKR_DEVICE_ERROR
 * when it was not sent for now, or the call's code; with a detail
 */
NODISCARD CK_RV token_send_pin(struct token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user,
			       struct err_detail *detail);
/** Mark the PIN as refused with the reason that later callers see; token->lock is held. */
void token_refuse_pin(struct token *token, const struct err_detail *detail);

/** Open a session on the token's slot, R/O if it can be. */
NODISCARD CK_RV token_open_handle(struct token *token, CK_SESSION_HANDLE *ret_handle);

/** Close the session's handle; the next use opens another one. */
void token_session_drop(struct token_session *session);
/** Close the session's handle, which is in an unknown state, and open another one. @return as
 * token_session_open() */
NODISCARD enum err token_session_reopen(struct token_session *session, struct err_detail *detail);

/** Log in when the token says that nobody is: a logout makes private keys invisible, and some
 * tokens then only say that the key's handle is invalid. @return as token_login() */
NODISCARD enum err token_session_check_login(struct token_session *session,
					     struct err_detail *detail);

/**
 * For a module without locks: keep every other thread out of it until token_leave(). Else nothing.
 * @return what token_leave() wants to know
 */
NODISCARD bool token_enter(struct token *token);
void token_leave(struct token *token, bool entered);

/** An index read since then is new enough to say that a key is not there. Bounds the time that goes
 * into a missing key which is asked for with each message. */
int64_t token_index_fresh_ms(struct token *token);

/** The token says that it has no such object (any more). */
bool token_object_is_gone(struct token_session *session, CK_OBJECT_HANDLE object);

/** Private keys in the index that was read last. */
size_t token_index_count(struct token *token);

/**
 * Look a URI up in the index of private keys.
 * @param newer_than_ms an index that is not newer is read anew; a search costs a while, so ask for
 * no newer one than is needed
 * @param handles room for max; *ret_count may be more
 * @return ERR_TOKEN_* with a detail, ERR_NOMEM
 */
NODISCARD enum err token_find(struct token_session *session, const struct p11_uri *uri,
			      int64_t newer_than_ms, CK_OBJECT_HANDLE *handles, size_t max,
			      size_t *ret_count, struct err_detail *detail);

#endif
