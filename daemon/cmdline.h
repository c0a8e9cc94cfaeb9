/* The command line: OpenDKIM's letters, as far as they have a meaning here. */
#ifndef DAEMON_CMDLINE_H
#define DAEMON_CMDLINE_H

#include "daemon/generation.h"
#include "daemon/testmode.h"

#include <stdio.h>

#define CMDLINE_DEFAULT_CONFIG "/etc/hsmdkim.conf"

struct cmdline {
	struct generation_source source;
	bool foreground;	      /**< -f */
	bool check;		      /**< -n */
	bool version;		      /**< -V */
	bool query;		      /**< -Q */
	bool help;		      /**< -h, --help */
	const char *show;	      /**< -e; NULL: not given */
	struct testmode_options test; /**< files NULL: no -t */
};

/**
 * Parse; what is wrong is said on standard error.
 * @param ret_options points into argv
 * @return EX_OK; EX_USAGE
 */
NODISCARD int cmdline_parse(int argc, char **argv, struct cmdline *ret_options);

/** The letters, a line each. */
void cmdline_print_usage(const char *program, FILE *out);

#endif
