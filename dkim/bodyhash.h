/*
 * The body hashes of one message: each distinct (canonicalization, hash, length) is computed once,
 * whatever the number of signatures; each byte of the body is read once per canonicalization. No
 * allocation while it streams; only runs shorter than some hundred bytes are gathered in a small
 * buffer, to spare calls.
 */
#ifndef DKIM_BODYHASH_H
#define DKIM_BODYHASH_H

#include "base/alg.h"
#include "base/arena.h"
#include "base/limits.h"
#include "dkim/canon.h"
#include "dkim/digest.h"

#include <stdint.h>

#define BODYHASH_NO_LIMIT UINT64_MAX
/** Distinct hashes of one message; every signature counts at most one. */
#define BODYHASH_MAX LIMIT_VERIFY_SIGNATURES

struct bodyhash;

/** @return ERR_NOMEM. Free with bodyhash_free() (it holds digest contexts); the rest is in the
 * arena. */
NODISCARD enum err bodyhash_new(struct arena *arena, struct bodyhash **ret_set);
/** Before the arena's reset. */
void bodyhash_free(struct bodyhash **set);

/**
 * Ask for a hash before the first update.
 * @param limit  l=: canonical bytes to hash, or BODYHASH_NO_LIMIT
 * @param ret_id for bodyhash_digest(); equal wishes share one
 * @return ERR_NOMEM, ERR_LIMIT (BODYHASH_MAX), ERR_CRYPTO, ERR_INTERNAL (the body has started)
 */
NODISCARD enum err bodyhash_want(struct bodyhash *set, enum dkim_canon canon, enum dkim_hash hash,
				 uint64_t limit, size_t *ret_id);

/** A failure of the library shows in bodyhash_finish(). */
void bodyhash_update(struct bodyhash *set, const char *data, size_t len);

/** True when more body changes no wanted hash (none wanted, or every limit reached): SMFIS_SKIP. */
bool bodyhash_satisfied(const struct bodyhash *set);

/** Call once at the end of the body. @return ERR_CRYPTO */
NODISCARD enum err bodyhash_finish(struct bodyhash *set);

/** @return the digest (20 or 32 bytes), valid until bodyhash_free(); empty before bodyhash_finish()
 */
struct slice bodyhash_digest(const struct bodyhash *set, size_t id);

/** Canonical bytes of the body as far as it was given (to compare with l=; l= for signing is min of
 * both). Not the whole body's when the caller stopped because bodyhash_satisfied() said so. */
uint64_t bodyhash_length(const struct bodyhash *set, size_t id);

#endif
