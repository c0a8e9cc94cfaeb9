/*
 * The milter's side of the border to the signer process. A request names a key of the KeyTable and
 * carries a digest, so it can be sent again to a signer that was restarted: nothing but the
 * deadline ends it. All functions may be called from any thread.
 */
#ifndef SIGNER_CLIENT_H
#define SIGNER_CLIENT_H

#include "base/alg.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdint.h>

struct sigclient;

/** A key as the signer described it. Immutable, reference counted. */
struct sigkey {
	char *name;	/**< KeyTable name */
	char *domain;	/**< d=, "%" replaced */
	char *selector; /**< s= */
	enum dkim_alg alg;
	unsigned bits;
	bool wants_input; /**< the token hashes itself: sign gets the canonical header, not its
			     digest */
	unsigned char fingerprint[32]; /**< SHA-256 of the SubjectPublicKeyInfo */
	unsigned char *pubkey;	       /**< SubjectPublicKeyInfo, DER */
	size_t pubkey_len;
	atomic_uint refs; /**< private */
};

/** What a key that cannot be opened would sign as, for the log; "" where nobody said. */
struct sigkey_names {
	char domain[LIMIT_DOMAIN_BYTES + 1];
	char selector[LIMIT_SELECTOR_BYTES + 1];
};

struct sigkey *sigkey_ref(struct sigkey *key);
void sigkey_unref(struct sigkey **key);

/**
 * @param max_pending requests that may wait at once; more give ERR_BUSY
 * @return ERR_NOMEM; starts one reader thread
 */
NODISCARD enum err sigclient_new(size_t max_pending, struct sigclient **ret_client);
/** Ends the thread; requests that wait get ERR_PEER_LOST. */
void sigclient_free(struct sigclient **client);

/** Speak to a (new) signer over this SOCK_SEQPACKET socket, owned by the client from now on. What
 * waits is sent again. Keys that were opened before are opened anew when they are next used. */
void sigclient_attach(struct sigclient *client, int fd);

/** False while no signer is attached. */
bool sigclient_attached(struct sigclient *client);

/**
 * The key, if the signer described it before and is still the same one: nothing is allocated or
 * sent. @return a reference, or NULL: ask for it with sigclient_open()
 */
struct sigkey *sigclient_known(struct sigclient *client, uint32_t generation, struct slice key_name,
			       struct slice from_domain);

struct sigjob;

/**
 * Ask for a key of the KeyTable. Cached (bounded) by name, domain and generation.
 * @param generation  which loaded tables to look in (config/handover.h)
 * @param from_domain what "%" stands for
 * @param deadline_ms clock_mono_ms() at which waiting ends
 * @return ERR_BUSY, ERR_NOMEM, ERR_LIMIT
 */
NODISCARD enum err sigclient_open(struct sigclient *client, uint32_t generation,
				  struct slice key_name, struct slice from_domain,
				  int64_t deadline_ms, struct sigjob **ret_job);
/**
 * @param ret_key   sigkey_unref() it
 * @param ret_names set when there is no key; may be NULL
 * @return ERR_TIMEOUT, ERR_PEER_LOST, or what the signer said (ERR_KEY_*, ERR_TOKEN_*), with its
 * text
 */
NODISCARD enum err sigclient_open_wait(struct sigjob **job, struct sigkey **ret_key,
				       struct sigkey_names *ret_names, struct err_detail *detail);

/**
 * Ask for a signature. @param bytes the digest, or the canonical header if key->wants_input; copied
 * @return ERR_BUSY, ERR_NOMEM, ERR_LIMIT
 */
NODISCARD enum err sigclient_sign(struct sigclient *client, uint32_t generation, struct sigkey *key,
				  struct slice from_domain, struct slice bytes, int64_t deadline_ms,
				  struct sigjob **ret_job);
/**
 * @param signature room for LIMIT_SIGNATURE_BYTES
 * @return as sigclient_open_wait(); ERR_KEY_CHANGED when the key has another public key by now
 */
NODISCARD enum err sigclient_sign_wait(struct sigjob **job, unsigned char *signature,
				       size_t *ret_len, struct err_detail *detail);

/** Give a job up without waiting; its late answer is dropped. NULL-safe. */
void sigjob_free(struct sigjob **job);

#endif
