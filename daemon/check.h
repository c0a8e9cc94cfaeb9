/* hsmdkim -n: is the configuration good? Reads every table as a start would, opens no key and no
 * token. */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "daemon/generation.h"

/** Print what is found: faults and warnings to standard error, the rest to standard output. @return
 * EX_OK, EX_CONFIG */
int check_configuration(const struct generation_source *source);

#endif
