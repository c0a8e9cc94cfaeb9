/* The supervisor's state and its three parts: start and end, actions, loop. */
#ifndef DAEMON_SUPERVISOR_PRIV_H
#define DAEMON_SUPERVISOR_PRIV_H

#include "daemon/child.h"
#include "daemon/daemonize.h"
#include "daemon/generation.h"
#include "daemon/lifecycle.h"
#include "daemon/listen.h"
#include "daemon/supervisor.h"

#include <limits.h>

/* Notes of the signer that outlive it; it makes one a token. */
#define NOTES_MAX 256u

/* Lies beside our own program. */

struct child {
	pid_t pid; /* -1: none */
	int sock;  /* -1: none */
	struct child_user user;
	char path[PATH_MAX];
};

/* current is never NULL once supervisor_prepare() said EX_OK. */
struct supervisor {
	const struct supervisor_options *options;
	struct generation *current;
	struct generation *candidate;
	uint32_t last_number;
	struct child child[CHILD_COUNT];
	struct listen_addr addr;
	int listen_fd;
	int signal_fd;
	struct lifecycle lifecycle;
	char *notes[NOTES_MAX];
	size_t notes_count;
	struct daemonize daemonize;
	bool background;
	bool done;
	int status;
};

/** Everything that can be wrong before the first child. @return exit status; EX_OK: go on */
int supervisor_prepare(struct supervisor *s);
void supervisor_cleanup(struct supervisor *s);
/** Log an error that ends the start. @return the exit status for it */
int supervisor_complain(enum err err, const struct err_detail *detail);

/** Carry out what the lifecycle wants. */
void supervisor_act(struct supervisor *s);
/** A child that cannot be spoken to any more: it is killed, its end is an event like any other. */
void supervisor_lost(struct supervisor *s, enum child_id id, const char *what, enum err err);
void supervisor_forget_notes(struct supervisor *s);

#endif
