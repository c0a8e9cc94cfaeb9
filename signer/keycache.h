/*
 * Keys that the signer described before: by generation, key name and From domain. A fixed number of
 * places, a newcomer takes the place of what hashes to the same one: bounded, O(1), no bookkeeping.
 * Not thread-safe.
 */
#ifndef SIGNER_KEYCACHE_H
#define SIGNER_KEYCACHE_H

#include "signer/client.h"

struct keycache;

/** @return NULL when memory is short */
NODISCARD struct keycache *keycache_new(void);
void keycache_free(struct keycache **cache);

/** @return a reference for the caller, or NULL */
struct sigkey *keycache_get(const struct keycache *cache, uint32_t generation, struct slice name,
			    struct slice from_domain);
/** Keep a key (takes its own reference); without memory it is just not kept. */
void keycache_put(struct keycache *cache, uint32_t generation, struct slice name,
		  struct slice from_domain, struct sigkey *key);
void keycache_drop(struct keycache *cache, uint32_t generation, struct slice name,
		   struct slice from_domain);
void keycache_clear(struct keycache *cache);

#endif
