/* Into the background: the calling process stays until the daemon serves, so that its exit status
 * is true. */
#ifndef DAEMON_DAEMONIZE_H
#define DAEMON_DAEMONIZE_H

#include "base/err.h"

struct daemonize {
	int ready_fd; /**< -1: in the foreground, or told already */
};

#define DAEMONIZE_NONE ((struct daemonize){ .ready_fd = -1 })

/**
 * Fork; the parent never returns from here: it waits for daemonize_done() and exits with its
 * status. The child has a session of its own; standard error stays what it is until it is done.
 * @return ERR_IO with a detail
 */
NODISCARD enum err daemonize_begin(struct daemonize *d, struct err_detail *detail);

/** Tell the parent and let go of the terminal. Nothing happens in the foreground or a second time.
 */
void daemonize_done(struct daemonize *d, int status);

#endif
