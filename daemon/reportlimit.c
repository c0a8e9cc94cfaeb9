/* Limits of failure reports: see reportlimit.h. */
#include "daemon/reportlimit.h"

static bool is_recent(const struct reportlimit_event *event, int64_t period_ms, int64_t now_ms)
{
	return now_ms - event->at_ms < period_ms;
}

static bool is_same(const struct reportlimit_event *event, struct slice domain, unsigned kind)
{
	return event->kind == kind && slice_eq(slice_of(event->domain, event->domain_len), domain);
}

bool reportlimit_take(struct reportlimit *limit, struct slice domain, unsigned kind, int64_t now_ms)
{
	struct reportlimit_event *event = &limit->events[limit->next];

	/* The oldest of count: the place that is written next. */
	if (limit->used == limit->count && is_recent(event, limit->period_ms, now_ms))
		return false;
	domain = slice_sub(domain, 0, LIMIT_DOMAIN_BYTES);
	for (size_t i = 0; i < limit->used && !slice_empty(domain); i++)
		if (is_recent(&limit->events[i], limit->period_ms, now_ms) &&
		    is_same(&limit->events[i], domain, kind))
			return false;
	event->at_ms = now_ms;
	event->kind = kind;
	event->domain_len = domain.len;
	memcpy(event->domain, domain.ptr, domain.len);
	limit->next = limit->next + 1 < limit->count ? limit->next + 1 : 0;
	if (limit->used < limit->count)
		limit->used++;
	return true;
}
