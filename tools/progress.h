/* A progress bar on a terminal, nothing elsewhere. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include "base/slice.h"

struct progress {
	size_t total;
	bool on_terminal;
};

/** Standard error decides. */
void progress_start(struct progress *p, size_t total);
/** @param what the thing that was just done */
void progress_show(const struct progress *p, size_t done, struct slice what);
/** Leaves the last state on its line. */
void progress_end(const struct progress *p);

#endif
