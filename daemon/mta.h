/*
 * What a message session may ask of the MTA, and what it answers. daemon/milter.c fills it with
 * libmilter; tests and another protocol engine fill it with their own.
 */
#ifndef DAEMON_MTA_H
#define DAEMON_MTA_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

/** What one step of the dialogue ends with. */
enum answer {
	ANSWER_CONTINUE,
	ANSWER_ACCEPT,
	ANSWER_REJECT,
	ANSWER_TEMPFAIL,
	ANSWER_DISCARD,
	ANSWER_SKIP, /**< body only: no more chunks are needed */
};

struct mta_ops {
	/** @param name as the MTA knows it ("i", "{auth_type}") @return NULL when it is not set */
	const char *(*macro)(void *ctx, const char *name);
	/** End of message only. @param index 0: above all fields @return false: the MTA refused */
	bool (*insert_header)(void *ctx, int index, const char *name, const char *value);
	/** End of message only. @param nth field of this name from the top, 1 is the first; the
	 * numbers of those below change, so delete from the bottom */
	bool (*delete_header)(void *ctx, const char *name, size_t nth);
	/** End of message only. @param address with its angle brackets */
	bool (*add_recipient)(void *ctx, const char *address);
	bool (*delete_recipient)(void *ctx, const char *address);
	/** The SMTP reply that goes with REJECT (5xx) or TEMPFAIL (4xx). @param text one line */
	bool (*set_reply)(void *ctx, const char *code, const char *xcode, const char *text);
	/** End of message only. */
	bool (*quarantine)(void *ctx, const char *reason);
};

struct mta {
	const struct mta_ops *ops;
	void *ctx;
};

#endif
