/*
 * The milter process's end of the queue of failure reports: the socket that the reports process
 * reads. Its buffer is the queue; mail never waits for it.
 */
#ifndef DAEMON_REPORTER_H
#define DAEMON_REPORTER_H

#include "base/err.h"
#include "base/slice.h"

struct reporter;

/** @return NULL when memory is short */
NODISCARD struct reporter *reporter_new(void);
void reporter_free(struct reporter **reporter);

/** @param fd the reporter's from now on; takes the place of an earlier one */
void reporter_attach(struct reporter *reporter, int fd);

/** Any thread; does not block. What finds the queue full is dropped and counted; the log says so
 * once a burst. */
void reporter_send(struct reporter *reporter, struct slice packet);

#endif
