/*
 * How often failure reports may be asked for and sent, so that a flood of forged mail does not make
 * us one, too. A ring of the last events; no clock, no lock of its own.
 */
#ifndef DAEMON_REPORTLIMIT_H
#define DAEMON_REPORTLIMIT_H

#include "base/limits.h"
#include "base/slice.h"

#include <stdint.h>

struct reportlimit_event {
	int64_t at_ms;
	unsigned kind;
	size_t domain_len;
	char domain[LIMIT_DOMAIN_BYTES];
};

/** Zeroed but for the first three. */
struct reportlimit {
	int64_t period_ms; /**< in which at most count events pass, one of each domain and kind */
	size_t count;	   /**< at least 1 */
	struct reportlimit_event *events; /**< room for count; the caller's */
	size_t used;
	size_t next;
};

/**
 * Note an event if it may happen.
 * @param domain in A-labels; empty: only the count is looked at
 * @return false: it may not
 */
NODISCARD bool reportlimit_take(struct reportlimit *limit, struct slice domain, unsigned kind,
				int64_t now_ms);

#endif
