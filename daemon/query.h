/* OpenDKIM's modes that ask and end: -e NAME prints a setting, -Q looks rows of a data set up. */
#ifndef DAEMON_QUERY_H
#define DAEMON_QUERY_H

#include "daemon/generation.h"

/** Print the value of a setting as the file would say it. @return EX_OK; EX_CONFIG: it has none, or
 * the configuration is wrong; EX_DATAERR: no such setting */
int query_setting(const struct generation_source *source, const char *name);

/**
 * Read a data set from the first line of standard input, then queries, one a line: KEY/N prints the
 * first N parts (between ':') of the value of KEY.
 * @return EX_OK; EX_SOFTWARE: the data set cannot be opened; EX_USAGE: a line that is no query
 */
int query_dataset(void);

#endif
