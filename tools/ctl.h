/* hsmdkim-ctl(8): asks the daemon over its control socket and prints what it says. */
#ifndef TOOLS_CTL_H
#define TOOLS_CTL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "tools/options.h"

struct ctl_options {
	const char *config;
	const char *socket;
	bool json;
	unsigned timeout_s;
};

extern const struct option_spec ctl_spec;

/**
 * Send one line, read the answer to its end.
 * @param ret_report the report in answer, without the lines around it
 * @return ERR_PEER_LOST (nobody listens, or the answer was cut), ERR_DENIED (not the socket's
 * owner), ERR_NOT_SUPPORTED (the daemon refused), ERR_TIMEOUT, ERR_PROTOCOL, ERR_IO with a detail
 */
NODISCARD enum err ctl_ask(const char *socket_path, const char *line, int timeout_ms,
			   struct buf *answer, struct slice *ret_report, struct err_detail *detail);

/**
 * After a relogin: wait until the token is in service, its PIN is refused, or 15 s are over.
 * @param timeout_ms of each question
 * @return ERR_OK: it is in service; ERR_NOT_SUPPORTED with a detail: it is not; else as ctl_ask()
 */
NODISCARD enum err ctl_wait_for_login(const char *socket_path, const char *token, int timeout_ms,
				      struct err_detail *detail);

/** @return exit status */
int ctl_main(int argc, char **argv);

#endif
