/* The lifecycle with a clock of the test's own, and what it wants done as a line of text. */
#ifndef TESTS_UNIT_LIFECYCLE_WORLD_H
#define TESTS_UNIT_LIFECYCLE_WORLD_H

#include <stdio.h>

#include "daemon/lifecycle.h"

static struct lifecycle lc;
static int64_t now = 1000;

static const struct lifecycle_options defaults = {
	.restart = true,
	.load_timeout_ms = 60000,
	.commit_timeout_ms = 10000,
	.stop_timeout_ms = 25000,
};

/* All actions since the last call, in one line: "spawn(signer) load(signer,1) ...". */
static inline const char *actions(void)
{
	static const char *const names[] = {
		[LIFECYCLE_SPAWN] = "spawn",
		[LIFECYCLE_LOAD] = "load",
		[LIFECYCLE_COMMIT] = "commit",
		[LIFECYCLE_ABORT] = "abort",
		[LIFECYCLE_PAIR] = "pair",
		[LIFECYCLE_LISTEN] = "listen",
		[LIFECYCLE_STOP] = "stop",
		[LIFECYCLE_KILL] = "kill",
		[LIFECYCLE_IN_SERVICE] = "service",
		[LIFECYCLE_SWITCHED] = "switched",
		[LIFECYCLE_RELOADED] = "reloaded",
		[LIFECYCLE_RELOAD_FAILED] = "failed",
		[LIFECYCLE_RESTARTING] = "restarting",
		[LIFECYCLE_STARTING_ANEW] = "anew",
		[LIFECYCLE_GIVE_UP] = "giveup",
		[LIFECYCLE_EXIT] = "exit",
	};
	static char line[2048];
	struct lifecycle_action a;
	size_t len = 0;

	line[0] = '\0';
	while (lifecycle_next(&lc, &a)) {
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", len > 0 ? " " : "",
					names[a.what]);
		if (a.what == LIFECYCLE_LOAD || a.what == LIFECYCLE_COMMIT ||
		    a.what == LIFECYCLE_ABORT)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "(%s,%u)",
						child_name(a.child), a.generation);
		else if (a.what == LIFECYCLE_SWITCHED || a.what == LIFECYCLE_RELOADED ||
			 a.what == LIFECYCLE_RELOAD_FAILED)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "(%u)",
						a.generation);
		else if (a.what == LIFECYCLE_EXIT)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "(%d)", a.code);
		else if (a.what == LIFECYCLE_RESTARTING || a.what == LIFECYCLE_STARTING_ANEW)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "(%s,%lld)",
						child_name(a.child), (long long)a.delay_ms);
		else if (a.what == LIFECYCLE_SPAWN || a.what == LIFECYCLE_STOP ||
			 a.what == LIFECYCLE_KILL)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "(%s)",
						child_name(a.child));
	}
	return line;
}

static inline void begin(const struct lifecycle_options *options)
{
	now = 1000;
	lifecycle_start(&lc, options, 1, now);
}

static inline void both_committed(uint32_t generation)
{
	lifecycle_committed(&lc, CHILD_SIGNER, generation);
	lifecycle_committed(&lc, CHILD_MILTER, generation);
}

/* Both processes in service with generation 1. */
static inline void in_service(const struct lifecycle_options *options)
{
	begin(options);
	lifecycle_loaded(&lc, CHILD_SIGNER, 1, now);
	lifecycle_loaded(&lc, CHILD_MILTER, 1, now);
	both_committed(1);
	lifecycle_ready(&lc, CHILD_SIGNER, now);
	lifecycle_ready(&lc, CHILD_MILTER, now);
	(void)actions();
}

#endif
