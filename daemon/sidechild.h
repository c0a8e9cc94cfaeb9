/*
 * A process beside milter and signer, from the supervisor's side: started, started again when it
 * ends. Mail does not need it, so its end is no event of daemon/lifecycle.h.
 */
#ifndef DAEMON_SIDECHILD_H
#define DAEMON_SIDECHILD_H

#include "daemon/child.h"

#include <limits.h>
#include <stdint.h>

struct sidechild {
	const char *name;    /**< for the log: "metrics process" */
	const char *program; /**< file name; lies beside our own */
	char path[PATH_MAX];
	pid_t pid; /**< -1: it does not run */
	int sock;  /**< its control socket; -1: none */
	int64_t started_ms;
	int64_t start_at_ms;
	int64_t wait_ms; /**< before the next start */
	bool replaced;	 /**< killed by sidechild_replace() */
};

void sidechild_init(struct sidechild *c, const char *name, const char *program);
/** Find the program. @return as child_program_path() */
NODISCARD enum err sidechild_find(struct sidechild *c);

/** @param program path and argv are filled in @return false: it is tried again later */
NODISCARD bool sidechild_start(struct sidechild *c, struct child_program *program);
/** SIGKILL; it may start again as soon as sidechild_reap() has seen its end, or at once when it
 * waits for its next start. */
void sidechild_replace(struct sidechild *c);
/** SIGKILL, and wait for its end: when the supervisor ends. */
void sidechild_stop(struct sidechild *c);
/** See whether it ended. */
void sidechild_reap(struct sidechild *c);

/** @return milliseconds until it may be started; -1: it runs */
int64_t sidechild_wait_ms(const struct sidechild *c);

#endif
