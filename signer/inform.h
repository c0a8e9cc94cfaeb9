/* What the signer process tells the operator: its part of the answers to hsmdkim-ctl(8). */
#ifndef SIGNER_INFORM_H
#define SIGNER_INFORM_H

#include "base/buf.h"
#include "signer/keyring.h"
#include "signer/request.h"

struct inform_view {
	const struct keyring *ring; /**< in force; NULL: none yet */
	const struct request_env *env;
	size_t under_way; /**< requests and probes */
	size_t bytes_held;
	/** Called after each INFORM_SLICE_ROWS keys, so that nobody waits for a long list; keys may
	 * be opened meanwhile, the ring stays. NULL: nothing. */
	void (*between)(void *ctx);
	void *ctx;
};

/** A key takes some 5 us. */
#define INFORM_SLICE_ROWS 64u

/** Rows of one answer about keys; what is beyond is counted. */
#define INFORM_KEYS_MAX 5000u

/**
 * Answer "status", "tokens", "metrics", "keys" or "keys NAME" as a report; anything else gives
 * none. Main thread; takes no lock that is held across Cryptoki.
 */
void inform(const struct inform_view *view, struct slice question, struct buf *out);

#endif
