/*
 * How long something took, in buckets with fixed bounds: an observation is two relaxed additions,
 * so it costs nothing where signatures are made. Thread-safe; a reader may see the last
 * observations in one number and not yet in another.
 */
#ifndef REPORT_HISTOGRAM_H
#define REPORT_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/** Bounds in microseconds, the longest is TokenTimeout's default; each bucket holds what is not
 * above its bound and above the one before. One more bucket holds the rest. */
#define HISTOGRAM_BOUNDS(X)                                                                        \
	X(100)                                                                                     \
	X(200)                                                                                     \
	X(500)                                                                                     \
	X(1000)                                                                                    \
	X(2000)                                                                                    \
	X(5000)                                                                                    \
	X(10000)                                                                                   \
	X(20000)                                                                                   \
	X(50000)                                                                                   \
	X(100000)                                                                                  \
	X(200000)                                                                                  \
	X(500000)                                                                                  \
	X(1000000)                                                                                 \
	X(2000000)                                                                                 \
	X(5000000)                                                                                 \
	X(10000000)                                                                                \
	X(20000000)

#define HISTOGRAM_COUNT_ONE(bound) +1
enum { HISTOGRAM_BUCKETS = HISTOGRAM_BOUNDS(HISTOGRAM_COUNT_ONE) + 1 };

/** Zeroed: empty. */
struct histogram {
	_Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_us;
};

/** A copy to look at. */
struct histogram_view {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count;
	uint64_t sum_us;
};

void histogram_add(struct histogram *h, uint64_t us);
struct histogram_view histogram_read(const struct histogram *h);

/**
 * The time that so many of a thousand observations did not exceed (500: the median), as far as
 * the buckets tell: between their bounds it is estimated.
 * @param permille 1 to 1000
 * @return microseconds; 0 when there are none; the last bound when it is above that
 */
uint64_t histogram_quantile_us(const struct histogram_view *v, unsigned permille);

#endif
