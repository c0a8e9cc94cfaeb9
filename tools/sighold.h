/*
 * A token in files (SoftHSM) is left empty or half written when its writer is ended meanwhile, and
 * it writes at each login. So a signal that asks a tool to end waits until it is through; a second
 * one ends the tool at once, for a module that hangs.
 */
#ifndef TOOLS_SIGHOLD_H
#define TOOLS_SIGHOLD_H

#include <signal.h>

#define SIGHOLD_COUNT 3

/** What the signals did before. */
struct sighold {
	struct sigaction before[SIGHOLD_COUNT];
};

/** The first SIGINT, SIGTERM and SIGHUP waits from now on, unless it is ignored. */
void sighold_begin(struct sighold *ret_hold);
/** All is as before, and what waited is delivered. */
void sighold_end(const struct sighold *hold);

#endif
