/* The milter engine: libmilter's callbacks over daemon/session.h. The only file that knows
 * libmilter. */
#ifndef DAEMON_MILTER_H
#define DAEMON_MILTER_H

#include "base/err.h"
#include "daemon/message.h"

/**
 * Get ready to serve a listening socket.
 * @param env       outlives milter_run()
 * @param listen_fd owned by libmilter from now on
 * @param debug     MilterDebug, 0 to 6
 * @return ERR_NOT_SUPPORTED: this libmilter cannot take a descriptor; ERR_INTERNAL
 */
NODISCARD enum err milter_prepare(struct milter_env *env, int listen_fd, int debug,
				  struct err_detail *detail);

/** Serve until the process is told to stop. @return ERR_OK, ERR_INTERNAL when libmilter gave up */
NODISCARD enum err milter_run(void);

/** "8.17.1" or the number that libmilter gives, for -V. */
void milter_version(char *out, size_t out_size);

#endif
