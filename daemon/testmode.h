/*
 * hsmdkim -t: messages on files are signed or verified as the daemon would, in the foreground and
 * without a socket. OpenDKIM's lines, on standard output and error.
 */
#ifndef DAEMON_TESTMODE_H
#define DAEMON_TESTMODE_H

#include "daemon/generation.h"

struct testmode_options {
	const char *program; /**< how we were called, for the lines */
	const char *files;   /**< separated by commas, "-" is standard input */
	unsigned verbose;    /**< -v, counted */
	bool fixed;	     /**< -F: signatures and verdicts are of time_s */
	int64_t time_s;
};

/** @return an exit status of sysexits.h */
int testmode_run(const struct generation_source *source, const struct testmode_options *options);

#endif
