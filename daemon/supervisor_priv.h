/* The supervisor's state and its parts: start and end, actions, loop, control socket. */
#ifndef DAEMON_SUPERVISOR_PRIV_H
#define DAEMON_SUPERVISOR_PRIV_H

#include "config/notes.h"
#include "config/question.h"
#include "daemon/child.h"
#include "daemon/control.h"
#include "daemon/daemonize.h"
#include "daemon/generation.h"
#include "daemon/lifecycle.h"
#include "daemon/listen.h"
#include "daemon/sidechild.h"
#include "daemon/supervisor.h"

#include <limits.h>

/* A question to a child (config/question.h). */
struct question {
	uint32_t number; /* 0: not asked */
	int fd;		 /* where the answer will be */
	bool answered;
};

/* What a client of the control socket waits for. */
struct command {
	const struct command_row *row; /* NULL: nothing */
	struct question questions[CHILD_COUNT];
	uint32_t generation; /* 0: of no reload */
	int64_t deadline_ms;
};

/* A reload, or the last one; the PIN of one token is a small reload. */
struct reload {
	char token[256];    /* whose PIN is read anew; empty: everything is */
	char switched[256]; /* the same of the one that is in force, but not yet in each child */
	char text[512];	    /* "ok", or why it failed; empty: none so far */
	char refusal[512];  /* what a child said of the candidate first; empty: nothing */
	uint64_t done;
	uint64_t failed;
};

/* The metrics process. */
struct metrics {
	struct sidechild process;
	struct listen_addr addr;
	int listen_fd;	 /* -1: none is wanted */
	bool complained; /* that the numbers are too long */
};

/* The reports process, and the socket by which the milter process asks it: both ends stay ours, so
 * that either process may start anew. */
struct reports {
	struct sidechild process;
	int ask_fd;
	int serve_fd;
};

/* The service manager's; interval_ms 0: it wants none. */
struct watchdog {
	int64_t interval_ms;
	int64_t next_ms;
	struct question questions[CHILD_COUNT];
	bool complained;
};

struct child {
	pid_t pid; /* -1: none */
	int sock;  /* -1: none */
	unsigned starts;
	struct questions_owed owed;
	bool lost; /* given up: it is killed */
	int64_t started_ms;
	int64_t heard_ms; /* its last message */
	struct userid user;
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
	struct control control;
	struct listen_addr control_addr;
	struct command commands[CONTROL_CLIENTS_MAX];
	uint32_t last_question;
	struct reload reload;
	struct metrics metrics;
	struct reports reports;
	struct watchdog watchdog;
	int64_t started_ms;
	struct notes notes; /* of the signer, which outlive it */
	struct daemonize daemonize;
	bool background;
	bool done;
	int status;
};

/** Everything that can be wrong before the first child. @return exit status; EX_OK: go on */
int supervisor_prepare(struct supervisor *s);
void supervisor_cleanup(struct supervisor *s);
/** Log an error that ends the start, with the place of the setting that it names.
 * @return the exit status for it */
int supervisor_complain(const struct supervisor *s, enum err err, struct err_detail *detail);

/** Carry out what the lifecycle wants. */
void supervisor_act(struct supervisor *s);
/** A child that cannot be spoken to any more: it is killed, its end is an event like any other. */
void supervisor_lost(struct supervisor *s, enum child_id id, const char *what, enum err err);

/**
 * Read the configuration, or the PIN of one token, and offer it to the children.
 * @param token NULL: everything
 * @return its number; 0: it could not be read, s->reload.text says why
 */
uint32_t supervisor_reload(struct supervisor *s, const char *token);
/** A reload ended. @param text "ok", or why it failed */
void supervisor_reload_ended(struct supervisor *s, uint32_t generation, const char *text);

/** Ask a child; it may be gone or silent, then it is not asked. One that is silent for too long, or
 * reads nothing, is given up. */
void supervisor_ask(struct supervisor *s, enum child_id id, const char *text,
		    struct question *ret_question);
void supervisor_question_done(struct question *q);
/** HANDOVER_ANSWER came: to whom it belongs. */
void supervisor_answered(struct supervisor *s, enum child_id id, uint32_t number);

/** Bind the control socket. @return as listen_open() */
NODISCARD enum err supervisor_control_open(struct supervisor *s, struct err_detail *detail);
void supervisor_control_close(struct supervisor *s);
/** HANDOVER_ANSWER came. */
void supervisor_control_answered(struct supervisor *s, enum child_id id, uint32_t number);
/** Give up what takes too long. */
void supervisor_control_tick(struct supervisor *s);
/** @return milliseconds until it has to be called; -1: not at all */
int64_t supervisor_control_wait_ms(const struct supervisor *s);

void supervisor_metrics_init(struct supervisor *s);
/** Bind MetricsListen. @return as metrics_addr_parse() and listen_open() */
NODISCARD enum err supervisor_metrics_open(struct supervisor *s, struct err_detail *detail);
void supervisor_metrics_close(struct supervisor *s);
/** Start it when it is time. */
void supervisor_metrics_tick(struct supervisor *s);
/** See whether it ended. */
void supervisor_metrics_reap(struct supervisor *s);
int64_t supervisor_metrics_wait_ms(const struct supervisor *s);

void supervisor_reports_init(struct supervisor *s);
/** @return ERR_IO, ERR_LIMIT with a detail */
NODISCARD enum err supervisor_reports_open(struct supervisor *s, struct err_detail *detail);
void supervisor_reports_close(struct supervisor *s);
/** Another configuration is in force: it starts anew with it, or ends. */
void supervisor_reports_reloaded(struct supervisor *s);
void supervisor_reports_tick(struct supervisor *s);
void supervisor_reports_reap(struct supervisor *s);
int64_t supervisor_reports_wait_ms(const struct supervisor *s);

/** Read $WATCHDOG_USEC: in the process that stays. */
void supervisor_watchdog_start(struct supervisor *s);
void supervisor_watchdog_tick(struct supervisor *s);
void supervisor_watchdog_answered(struct supervisor *s, enum child_id id, uint32_t number);
/** The child's questions went with it. */
void supervisor_watchdog_exited(struct supervisor *s, enum child_id id);
int64_t supervisor_watchdog_wait_ms(const struct supervisor *s);

#endif
