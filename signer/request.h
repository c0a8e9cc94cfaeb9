/*
 * One request of the milter on its way through the lanes: key file, or one token after the other
 * until one makes the signature or the deadline has passed. It is answered once, by whoever is
 * first.
 */
#ifndef SIGNER_REQUEST_H
#define SIGNER_REQUEST_H

#include "signer/keyring.h"
#include "signer/peer.h"
#include "signer/ratelimit.h"
#include "signer/wire.h"

/** What requests tell the process, and where the file keys are signed. Outlives all requests. */
struct request_env {
	struct lane *files;
	struct ratelimit *rates;   /**< TokenRateLimit; of request_start() */
	struct tally *files_tally; /**< of the signatures with key files */
	/** Only a new process helps (a module's state is lost). Any thread. */
	void (*restart)(void *ctx, const char *why);
	/** One request or probe more, or less, is under way; it holds so many bytes. Any thread. */
	void (*begun)(void *ctx, size_t bytes);
	void (*done)(void *ctx, size_t bytes);
	void *ctx;
};

/**
 * Take a decoded OPEN or SIGN, copy what it needs, and send it on its way; or answer it now. One
 * thread at a time.
 * @param ring, peer  references are taken
 * @param ret_at_hand set to NULL; or to the key with which the caller makes the signature, by
 * request_sign_at_once(): such a key waits for nothing, so no other thread need be woken for it.
 * NULL: never at once
 */
void request_start(const struct request_env *env, struct keyring *ring, struct peer *peer,
		   const struct wire_msg *msg, struct signkey **ret_at_hand);

/** Sign with the key that was at hand, and answer. Any thread. @param key taken over */
void request_sign_at_once(const struct request_env *env, struct peer *peer,
			  const struct wire_msg *msg, struct signkey *key);

#endif
