/*
 * The inner loop of relaxed body canonicalization: find the next place that changes. One plain
 * function and its vector twins behind one table; which one runs is decided once, by what the
 * processor can do.
 */
#ifndef DKIM_CANON_SCAN_H
#define DKIM_CANON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/**
 * @return the first i at which data[i] is a tab, or a space with a space, a tab or a CR behind it;
 * len when there is none. The last byte is never a space.
 */
typedef size_t canon_scan_fn(const char *data, size_t len);

struct canon_scan_impl {
	const char *name;
	canon_scan_fn *scan;
	bool (*supported)(void);
};

/** The fastest first; the last is plain C and always there. */
extern const struct canon_scan_impl canon_scan_impls[];
extern const size_t canon_scan_impl_count;

/** The one that runs here. */
size_t canon_scan(const char *data, size_t len);

canon_scan_fn canon_scan_plain;
canon_scan_fn canon_scan_sse2;
canon_scan_fn canon_scan_avx2;

#endif
