/* Buckets by key name: open addressing over a keyed 64-bit hash, grown as keys are used. */
#include "signer/ratelimit.h"

#include "base/hash.h"

#include <stdlib.h>

#define PLACES_FIRST 64u /* a power of two */

struct bucket {
	uint64_t hash;	 /* of the name; 0: a free place */
	double left;	 /* signatures */
	int64_t seen_ms; /* when left was right */
};

struct ratelimit {
	struct bucket *places;
	size_t place_count; /* a power of two */
	size_t used;
	uint64_t refused;
};

struct ratelimit *ratelimit_new(void)
{
	struct ratelimit *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->place_count = PLACES_FIRST;
	l->places = calloc(l->place_count, sizeof(*l->places));
	if (l->places == NULL)
		ratelimit_free(&l);
	return l;
}

void ratelimit_free(struct ratelimit **limit)
{
	if (*limit == NULL)
		return;
	free((*limit)->places);
	free(*limit);
	*limit = NULL;
}

/* The bucket of a hash, or the free place where it belongs. */
static struct bucket *find(struct bucket *places, size_t count, uint64_t hash)
{
	size_t i = (size_t)hash & (count - 1);

	while (places[i].hash != 0 && places[i].hash != hash)
		i = (i + 1) & (count - 1);
	return &places[i];
}

static bool grow(struct ratelimit *l)
{
	size_t count = l->place_count * 2;
	struct bucket *places = calloc(count, sizeof(*places));

	if (places == NULL)
		return false;
	for (size_t i = 0; i < l->place_count; i++) {
		if (l->places[i].hash != 0)
			*find(places, count, l->places[i].hash) = l->places[i];
	}
	free(l->places);
	l->places = places;
	l->place_count = count;
	return true;
}

static void refill(struct bucket *b, int64_t count, int64_t period_ms, int64_t now_ms)
{
	if (now_ms > b->seen_ms)
		b->left += (double)(now_ms - b->seen_ms) * (double)count / (double)period_ms;
	if (b->left > (double)count)
		b->left = (double)count;
	b->seen_ms = now_ms;
}

static bool take(struct ratelimit *limit, struct slice key_name, int64_t count, int64_t period_ms,
		 int64_t now_ms)
{
	uint64_t hash = hash_bytes(key_name) | 1; /* never 0 */
	struct bucket *b = find(limit->places, limit->place_count, hash);

	if (b->hash == 0) {
		if (limit->used * 2 >= limit->place_count) {
			if (!grow(limit))
				return false;
			b = find(limit->places, limit->place_count, hash);
		}
		*b = (struct bucket){ .hash = hash, .left = (double)count, .seen_ms = now_ms };
		limit->used++;
	}
	refill(b, count, period_ms, now_ms);
	if (b->left < 1)
		return false;
	b->left -= 1;
	return true;
}

bool ratelimit_take(struct ratelimit *limit, struct slice key_name, int64_t count,
		    int64_t period_ms, int64_t now_ms)
{
	bool may = count <= 0 || period_ms <= 0 || take(limit, key_name, count, period_ms, now_ms);

	limit->refused += !may;
	return may;
}

uint64_t ratelimit_refused(const struct ratelimit *limit)
{
	return limit->refused;
}
