/* The command line: OpenDKIM's letters, as far as they have a meaning here. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "daemon/generation.h"

#define OPTIONS_DEFAULT_CONFIG "/etc/hsmdkim.conf"

struct options {
	struct generation_source source;
	bool foreground;  /**< -f */
	bool check;	  /**< -n */
	bool version;	  /**< -V */
	bool query;	  /**< -Q */
	const char *show; /**< -e; NULL: not given */
};

/**
 * Parse; what is wrong is said on standard error.
 * @param ret_options points into argv
 * @return EX_OK; EX_USAGE
 */
NODISCARD int options_parse(int argc, char **argv, struct options *ret_options);

#endif
