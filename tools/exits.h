/* Exit statuses of the tools: sysexits.h, as OpenDKIM's. */
#ifndef TOOLS_EXITS_H
#define TOOLS_EXITS_H

#include "base/err.h"

#include <sysexits.h>

/** The status that belongs to an error. */
int exits_for(enum err e);

/** "PROGRAM: text (detail)" to standard error. @return exits_for(e) */
int exits_report(const char *program, enum err e, const struct err_detail *detail);

/**
 * At the end of a program: was all that it printed taken?
 * @return status; EX_OSERR, with a line, when it was EX_OK and standard output failed
 */
int exits_finish(const char *program, int status);

#endif
