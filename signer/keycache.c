/* Keys that the signer described before. */
#include "signer/keycache.h"

#include "base/hash.h"

#include <stdlib.h>

#define PLACES 16384u

struct place {
	struct sigkey *key; /* NULL: free */
	char *from_domain;
	uint32_t generation;
};

struct keycache {
	struct place places[PLACES];
};

struct keycache *keycache_new(void)
{
	return calloc(1, sizeof(struct keycache));
}

static void empty(struct place *p)
{
	sigkey_unref(&p->key);
	free(p->from_domain);
	p->from_domain = NULL;
}

void keycache_clear(struct keycache *cache)
{
	for (size_t i = 0; i < PLACES; i++)
		empty(&cache->places[i]);
}

void keycache_free(struct keycache **cache)
{
	if (cache == NULL || *cache == NULL)
		return;
	keycache_clear(*cache);
	free(*cache);
	*cache = NULL;
}

static size_t place_of(uint32_t generation, struct slice name, struct slice from_domain)
{
	return (size_t)((hash_bytes(name) * 31 + hash_bytes(from_domain)) * 31 + generation) %
	       PLACES;
}

static bool holds(const struct place *p, uint32_t generation, struct slice name,
		  struct slice from_domain)
{
	return p->key != NULL && p->generation == generation &&
	       slice_eq(slice_str(p->key->name), name) &&
	       slice_eq(slice_str(p->from_domain), from_domain);
}

struct sigkey *keycache_get(const struct keycache *cache, uint32_t generation, struct slice name,
			    struct slice from_domain)
{
	const struct place *p = &cache->places[place_of(generation, name, from_domain)];

	return holds(p, generation, name, from_domain) ? sigkey_ref(p->key) : NULL;
}

void keycache_put(struct keycache *cache, uint32_t generation, struct slice name,
		  struct slice from_domain, struct sigkey *key)
{
	struct place *p = &cache->places[place_of(generation, name, from_domain)];
	char *copy = slice_dup(from_domain);

	empty(p);
	if (copy == NULL)
		return;
	p->key = sigkey_ref(key);
	p->from_domain = copy;
	p->generation = generation;
}

void keycache_drop(struct keycache *cache, uint32_t generation, struct slice name,
		   struct slice from_domain)
{
	struct place *p = &cache->places[place_of(generation, name, from_domain)];

	if (holds(p, generation, name, from_domain))
		empty(p);
}
