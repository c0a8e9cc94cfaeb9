/*
 * A token in files (SoftHSM) is left empty or half written when its writer is ended meanwhile, and
 * it writes at each login. So signals that ask a tool to end wait until it is through.
 */
#ifndef TOOLS_SIGHOLD_H
#define TOOLS_SIGHOLD_H

#include <signal.h>

/** SIGINT, SIGTERM and SIGHUP wait from now on. @param ret_before for sighold_end() */
void sighold_begin(sigset_t *ret_before);
/** What waited is delivered. */
void sighold_end(const sigset_t *before);

#endif
