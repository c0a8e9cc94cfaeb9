/* What is right in form and surely not what was meant: mail would leave unsigned in silence. */
#ifndef DAEMON_DOUBTS_H
#define DAEMON_DOUBTS_H

#include "daemon/snapshot.h"

/** Table rows that are named one by one; the others are counted. */
#define DOUBTS_LISTED 20u

/**
 * Add a text to warnings for each; rows are named with FILE:LINE.
 * @param thorough for -n: rows of tables that stay in their file (lmdb:) are walked, too, and
 * "Mode sv" without a key counts
 */
void doubts_find(const struct snapshot *snapshot, bool thorough,
		 struct settings_warnings *warnings);

#endif
