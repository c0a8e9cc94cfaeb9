/*
 * A key of the KeyTable as the signer process holds it: a key file, or one key on one or more
 * tokens (the same public key on several tokens is one key). Shared by requests on many threads,
 * reference counted.
 */
#ifndef SIGNER_SIGNKEY_H
#define SIGNER_SIGNKEY_H

#include "config/settings.h"
#include "keytable/keytable.h"
#include "pkcs11/token.h"
#include "signer/filekey.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/** What is known of the key on one token. */
struct replica {
	atomic_int state;      /**< enum replica_state */
	struct token_key *key; /**< set once, with REPLICA_HERE */
};

enum replica_state {
	REPLICA_UNKNOWN, /**< nobody looked yet */
	REPLICA_HERE,
	REPLICA_MISSED, /**< it was not there, or not usable, when it was looked for last: the last
			   choice */
	REPLICA_ABSENT, /**< another key has the name there: never used */
};

/** Why the last request for a key failed. */
struct signkey_failure {
	enum err error;
	struct err_detail detail;
	int64_t at_ms;
};

struct signkey {
	atomic_uint refs;
	char *name;
	char *domain;
	char *selector;
	_Atomic uint64_t signatures; /**< made since it was loaded */
	char *ref;		     /**< path, URI, or "" for a PEM text: that is not kept */
	enum keyref_kind kind;
	struct p11_uri *uri; /**< KEYREF_URI */

	pthread_mutex_t lock; /**< guards the change from not opened to opened; never held across
				 Cryptoki */
	atomic_bool opened;   /**< file and pubkey are fixed from then on */
	struct filekey *file;
	const struct pubkey *pubkey; /**< borrowed from file or the first replica */
	atomic_bool wants_input; /**< a replica does; the others make do with the digest of it */
	atomic_bool stale; /**< it is on no token any more: whoever asks next gets a new one */
	_Atomic(char *) conflict; /**< what signkey_conflict() says; NULL: none */
	atomic_bool failing;	  /**< see signkey_failure(); the lock guards what it was */
	struct signkey_failure *failure;
	size_t replica_count;
	struct replica replicas[]; /**< by the generation's number of the token */
};

/**
 * @param domain d=, "%" replaced @param ref path or URI, "%" replaced
 * @return ERR_SYNTAX and kin for a URI that is none, with a detail; ERR_NOMEM
 */
NODISCARD enum err signkey_new(const struct keytable_row *row, const char *domain, const char *ref,
			       size_t token_count, struct signkey **ret_key,
			       struct err_detail *detail);
struct signkey *signkey_ref(struct signkey *key);
void signkey_unref(struct signkey **key);

/** What the operator allows. */
struct signkey_policy {
	unsigned minimum_bits;
	bool hardware_only; /**< RequireHardwareKeys */
	bool safe_files;    /**< RequireSafeKeys */
};

struct signkey_policy signkey_policy_of(const struct settings *settings);

/**
 * Would a key file do, if a message needed it now?
 * @param text what stands in the file where the generation holds it; with a NULL ptr it is read
 * @return ERR_KEY_*, ERR_FILE_UNSAFE, ERR_DENIED (RequireHardwareKeys) with a detail that begins
 * with the path
 */
NODISCARD enum err signkey_check_file(const char *path, const struct signkey_policy *policy,
				      struct slice text, struct err_detail *detail);

/**
 * Open a key file or text, if that was not done yet, and log what was found.
 * @param text the key itself where the generation holds it; with a NULL ptr the file is read
 * @return as signkey_check_file()
 */
NODISCARD enum err signkey_open_file(struct signkey *key, const struct signkey_policy *policy,
				     struct slice text, struct err_detail *detail);

/**
 * Find the key on one token, if that was not done yet, and log what was found. Blocks in Cryptoki.
 * @param token the generation's number of the session's token
 * @return as token_key_open(); ERR_AMBIGUOUS when another token has another key under this URI;
 * ERR_DENIED, ERR_KEY_TOO_SMALL
 */
NODISCARD enum err signkey_open_token(struct signkey *key, const struct signkey_policy *policy,
				      struct token_session *session, size_t token,
				      struct err_detail *detail);

/**
 * The token that had it does not have it any more. Other tokens are asked first from now on; when
 * none is left the key is stale.
 * @param error ERR_KEY_MISSING, ERR_KEY_CHANGED (another key has its name there)
 */
void signkey_lost(struct signkey *key, size_t token, enum err error);

/** Its URI names more than one key: it is not to be used. @param detail names both */
void signkey_set_conflict(struct signkey *key, const struct err_detail *detail);
/** @return ERR_AMBIGUOUS with that detail, or ERR_OK */
NODISCARD enum err signkey_conflict(struct signkey *key, struct err_detail *detail);

/** A request for the key failed, for the operator's eyes. @param detail may be NULL */
void signkey_failed(struct signkey *key, enum err error, const struct err_detail *detail);
/** It made a signature for mail: what signkey_failed() said is over. */
void signkey_worked(struct signkey *key);
/** @return false: no request has failed since the last signature */
bool signkey_failure(struct signkey *key, struct signkey_failure *ret_failure);

#endif
