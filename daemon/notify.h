/* The service manager's side: sd_notify(3) without its library, and the PID file. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "base/err.h"

/** Send state lines ("READY=1") to $NOTIFY_SOCKET; does nothing without one. Best effort. */
void notify_state(const char *state);

/** READY, RELOADING (with the time that systemd asks for), STOPPING. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/**
 * Write our process id, by a new file that takes the old one's place, so that a link there is never
 * followed. It stays locked as long as we live, which is how another daemon knows that it is in
 * use; what is left of one that died is no obstacle.
 * @param umask -1: the process's own
 * @param ret_fd has the lock, for pidfile_remove(); -1 on failure
 * @return ERR_BUSY (another daemon's), ERR_IO, ERR_LIMIT with a detail
 */
NODISCARD enum err pidfile_write(const char *path, int umask, int *ret_fd,
				 struct err_detail *detail);
/** Remove it when it still holds our process id. @param fd -1: it was not written */
void pidfile_remove(const char *path, int fd);

#endif
