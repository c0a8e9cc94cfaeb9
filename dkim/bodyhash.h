/*
 * The body hashes of one message: each distinct (canonicalization, hash, length) is computed once, whatever
 * the number of signatures; each byte of the body is read once. No copy, no allocation while it streams.
 */
#ifndef DKIM_BODYHASH_H
#define DKIM_BODYHASH_H

#include "base/alg.h"
#include "base/arena.h"
#include "dkim/canon.h"

#include <stdint.h>

#define DKIM_DIGEST_MAX 32u
#define BODYHASH_NO_LIMIT UINT64_MAX
/** Distinct hashes of one message; every signature counts at most one. */
#define BODYHASH_MAX 40u

struct bodyhash;

/** @return ERR_NOMEM. Free with bodyhash_free() (it holds digest contexts); the rest is in the arena. */
NODISCARD enum err bodyhash_new(struct arena *arena, struct bodyhash **ret_set);
void bodyhash_free(struct bodyhash **set);

/**
 * Ask for a hash before the first update.
 * @param limit  l=: canonical bytes to hash, or BODYHASH_NO_LIMIT
 * @param ret_id for bodyhash_digest(); equal wishes share one
 * @return ERR_NOMEM, ERR_LIMIT (BODYHASH_MAX), ERR_CRYPTO
 */
NODISCARD enum err bodyhash_want(struct bodyhash *set, enum dkim_canon canon, enum dkim_hash hash,
				 uint64_t limit, size_t *ret_id);

void bodyhash_update(struct bodyhash *set, const char *data, size_t len);

/** True when more body changes no wanted hash (none wanted, or every limit reached): SMFIS_SKIP. */
bool bodyhash_satisfied(const struct bodyhash *set);

/** Call once at the end of the body. @return ERR_CRYPTO */
NODISCARD enum err bodyhash_finish(struct bodyhash *set);

/** @return the digest (20 or 32 bytes), valid until bodyhash_free() */
struct slice bodyhash_digest(const struct bodyhash *set, size_t id);

/** Canonical bytes of the whole body for this id (to compare with l=; l= for signing is min of both). Unknown
 * beyond its limit when bodyhash_satisfied() cut the body short. */
uint64_t bodyhash_length(const struct bodyhash *set, size_t id);

#endif
