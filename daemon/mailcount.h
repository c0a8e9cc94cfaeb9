/* What became of the messages, counted in the milter process. Thread-safe. */
#ifndef DAEMON_MAILCOUNT_H
#define DAEMON_MAILCOUNT_H

#include "base/buf.h"
#include "config/settings.h"

#include <stdatomic.h>
#include <stdint.h>

enum mailcount_class {
	MAILCOUNT_SIGNED,   /**< with one signature or more */
	MAILCOUNT_VERIFIED, /**< signed by others or not at all: the result is in a header field */
	MAILCOUNT_PASSED,   /**< nothing to do */
	MAILCOUNT_UNSIGNED, /**< it could not be handled; an On- setting let it pass */
	MAILCOUNT_QUARANTINED, /**< from here on: what an On- setting said */
	MAILCOUNT_DISCARDED,
	MAILCOUNT_REJECTED,
	MAILCOUNT_DEFERRED,
	MAILCOUNT_CLASSES
};

/** Zeroed: none so far. Messages that are aborted are seen, and in no class. */
struct mailcount {
	_Atomic uint64_t seen;
	_Atomic uint64_t classes[MAILCOUNT_CLASSES];
};

void mailcount_seen(struct mailcount *m);
void mailcount_answered(struct mailcount *m, enum mailcount_class class);
/** A message that failed, by what is done with it. */
enum mailcount_class mailcount_class_of(enum settings_action action);

/** As a report's section (report/report.h). */
void mailcount_report(const struct mailcount *m, unsigned in_flight, struct buf *out);

#endif
