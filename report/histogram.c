/* Fixed buckets of times. */
#include "report/histogram.h"

#define BOUND(bound) bound,
static const uint64_t bounds_us[HISTOGRAM_BUCKETS - 1] = { HISTOGRAM_BOUNDS(BOUND) };

static unsigned bucket_of(uint64_t us)
{
	unsigned i = 0;

	while (i < HISTOGRAM_BUCKETS - 1 && us > bounds_us[i])
		i++;
	return i;
}

void histogram_add(struct histogram *h, uint64_t us)
{
	(void)atomic_fetch_add_explicit(&h->buckets[bucket_of(us)], 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
}

struct histogram_view histogram_read(const struct histogram *h)
{
	struct histogram_view v = { .sum_us = atomic_load_explicit(&h->sum_us,
								   memory_order_relaxed) };

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		v.buckets[i] = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
		v.count += v.buckets[i];
	}
	return v;
}

uint64_t histogram_quantile_us(const struct histogram_view *v, unsigned permille)
{
	uint64_t rank = (v->count * permille + 999) / 1000;
	uint64_t below = 0;

	if (v->count == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t from = i > 0 ? bounds_us[i - 1] : 0;
		uint64_t here = v->buckets[i];

		if (below + here >= rank)
			return from + (bounds_us[i] - from) * (rank - below) / here;
		below += here;
	}
	return bounds_us[HISTOGRAM_BUCKETS - 2];
}
