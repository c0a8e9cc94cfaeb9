/*
 * The supervisor: reads the configuration, owns the listening socket, starts and restarts the
 * milter and the signer process, reloads, stops. It sees no mail and no token. Policy is
 * daemon/lifecycle.h's.
 */
#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

#include "daemon/generation.h"

struct supervisor_options {
	struct generation_source source;
	bool foreground;       /**< -f; else the settings' Background decides */
	const char *arguments; /**< as given, for the first log line */
};

/** Run the daemon until it is told to stop. @return exit status (sysexits.h) */
int supervisor_main(const struct supervisor_options *options);

#endif
