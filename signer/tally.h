/* How often a token, or the key files, made a signature or failed. Thread-safe, and cheap enough
 * for every signature. */
#ifndef SIGNER_TALLY_H
#define SIGNER_TALLY_H

#include "base/err.h"
#include "report/histogram.h"

/** Zeroed: nothing yet. */
struct tally {
	struct histogram latency; /**< of the signatures: their number, too */
	_Atomic uint64_t failures[ERR_COUNT];
};

static inline void tally_signed(struct tally *t, int64_t us)
{
	histogram_add(&t->latency, us > 0 ? (uint64_t)us : 0);
}

static inline void tally_failed(struct tally *t, enum err error)
{
	(void)atomic_fetch_add_explicit(
		&t->failures[(unsigned)error < ERR_COUNT ? error : ERR_INTERNAL], 1,
		memory_order_relaxed);
}

#endif
