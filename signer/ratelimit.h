/*
 * TokenRateLimit: how many signatures each key may make in a time, so that a milter process that
 * was taken over cannot sign without end. A bucket a key name: count tokens at most, refilled
 * evenly. One thread only.
 */
#ifndef SIGNER_RATELIMIT_H
#define SIGNER_RATELIMIT_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct ratelimit;

/** @return NULL when memory is short */
NODISCARD struct ratelimit *ratelimit_new(void);
void ratelimit_free(struct ratelimit **limit);

/**
 * Take one signature out of the key's bucket. Names must be of the KeyTable: each takes a place.
 * @param count, period_ms the setting; count 0: no limit
 * @return false: the key is over its limit; also when memory for a new key is short
 */
NODISCARD bool ratelimit_take(struct ratelimit *limit, struct slice key_name, int64_t count,
			      int64_t period_ms, int64_t now_ms);

/** @return how many signatures ratelimit_take() refused, of all keys */
uint64_t ratelimit_refused(const struct ratelimit *limit);

#endif
