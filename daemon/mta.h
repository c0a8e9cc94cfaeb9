/*
 * What a message session may ask of the MTA, and what it answers. daemon/milter.c fills it with
 * libmilter; tests and another protocol engine fill it with their own.
 */
#ifndef DAEMON_MTA_H
#define DAEMON_MTA_H

#include "base/attr.h"

#include <stdbool.h>

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
