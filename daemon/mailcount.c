/* Messages, counted. */
#include "daemon/mailcount.h"

#include "report/report.h"
#include "report/sections.h"

void mailcount_seen(struct mailcount *m)
{
	(void)atomic_fetch_add_explicit(&m->seen, 1, memory_order_relaxed);
}

void mailcount_answered(struct mailcount *m, enum mailcount_class class)
{
	(void)atomic_fetch_add_explicit(&m->classes[class], 1, memory_order_relaxed);
}

enum mailcount_class mailcount_class_of(enum settings_action action)
{
	static const enum mailcount_class classes[] = {
		[ACTION_ACCEPT] = MAILCOUNT_UNSIGNED,	     [ACTION_DISCARD] = MAILCOUNT_DISCARDED,
		[ACTION_QUARANTINE] = MAILCOUNT_QUARANTINED, [ACTION_REJECT] = MAILCOUNT_REJECTED,
		[ACTION_TEMPFAIL] = MAILCOUNT_DEFERRED,	     [ACTION_UNSET] = MAILCOUNT_DEFERRED,
	};

	return classes[action];
}

void mailcount_report(const struct mailcount *m, unsigned in_flight, struct buf *out)
{
	report_section(out, SECTION_MILTER);
	report_number(out, in_flight);
	report_number(out, atomic_load_explicit(&m->seen, memory_order_relaxed));
	for (unsigned i = 0; i < MAILCOUNT_CLASSES; i++)
		report_number(out, atomic_load_explicit(&m->classes[i], memory_order_relaxed));
	report_end_row(out);
}
