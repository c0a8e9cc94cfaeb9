/*
 * The supervisor's mind: when a child is started, loaded, switched, restarted, stopped. Pure:
 * events and times go in, actions come out of a queue; daemon/supervisor.c carries them out.
 *
 * A child:   DOWN --SPAWN--> LOADING --LOADED/COMMIT--> UP --READY--> in service
 * A reload:  LOAD to both, both say LOADED, COMMIT to both: the new generation is in force. Both
 * say COMMITTED: the reload is done. One FAILED, when the other has answered, too (so that all that
 * is wrong is told), one death or the deadline before COMMIT: ABORT, the old generation stays in
 * force. A child that does not say COMMITTED in time is killed. A child
 * that starts gets the generation in force.
 */
#ifndef DAEMON_LIFECYCLE_H
#define DAEMON_LIFECYCLE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum child_id { CHILD_SIGNER, CHILD_MILTER, CHILD_COUNT };

/** "signer", "milter" */
const char *child_name(enum child_id child);

enum lifecycle_do {
	LIFECYCLE_SPAWN,	 /**< start child */
	LIFECYCLE_LOAD,		 /**< send generation to child */
	LIFECYCLE_COMMIT,	 /**< child switches to generation */
	LIFECYCLE_ABORT,	 /**< child drops generation */
	LIFECYCLE_PAIR,		 /**< a new socket pair between milter and signer */
	LIFECYCLE_LISTEN,	 /**< give the listening socket to the milter */
	LIFECYCLE_STOP,		 /**< ask child to finish */
	LIFECYCLE_KILL,		 /**< SIGKILL to child; reason for the log, NULL: it is known */
	LIFECYCLE_IN_SERVICE,	 /**< the first time that both are ready */
	LIFECYCLE_SWITCHED,	 /**< generation is in force, the one before can go */
	LIFECYCLE_RELOADED,	 /**< both children use generation */
	LIFECYCLE_RELOAD_FAILED, /**< generation was dropped; reason says why */
	LIFECYCLE_RESTARTING,	 /**< for the log: child died and starts again in delay_ms */
	LIFECYCLE_STARTING_ANEW, /**< for the log: the same for a child that asked for it */
	LIFECYCLE_GIVE_UP,	 /**< for the log: reason; everything stops */
	LIFECYCLE_EXIT,		 /**< all children are gone: leave with code */
};

struct lifecycle_action {
	enum lifecycle_do what;
	enum child_id child;
	uint32_t generation;
	int64_t delay_ms;
	int code;
	const char *reason; /**< static text */
};

struct lifecycle_options {
	bool restart;	      /**< AutoRestart */
	int64_t max_restarts; /**< AutoRestartCount; 0: no limit */
	int64_t rate_count;   /**< AutoRestartRate; 0: no limit */
	int64_t rate_period_ms;
	int64_t load_timeout_ms;   /**< for LOADED after LOAD */
	int64_t commit_timeout_ms; /**< for COMMITTED after COMMIT */
	int64_t stop_timeout_ms;   /**< for each child's exit after STOP */
};

/** The first restart is at once, then 100 ms, doubled each time up to this; forgotten after a quiet
 * time. */
#define LIFECYCLE_BACKOFF_FIRST_MS 100
#define LIFECYCLE_BACKOFF_MAX_MS 10000
#define LIFECYCLE_QUIET_MS 30000

#define LIFECYCLE_QUEUE 64u

enum child_state { CHILD_DOWN, CHILD_LOADING, CHILD_UP };

struct lifecycle_child {
	enum child_state state;
	bool alive;	/**< a process is there */
	bool ready;	/**< it said READY */
	bool voted;	/**< it said LOADED for the candidate */
	bool failed;	/**< it said FAILED for the generation in force, when it started */
	bool refused;	/**< it said FAILED for the candidate */
	bool asked;	/**< it got LOAD for the candidate */
	bool switching; /**< it got COMMIT and did not say COMMITTED yet */
	bool stopping;	/**< it got STOP */
	bool died;	/**< at least once */
	unsigned fails; /**< deaths, planned ones too, without a quiet time between them */
	int64_t start_at_ms;
	int64_t since_ms;    /**< when it was started, then when it came up */
	int64_t deadline_ms; /**< for LOADED, COMMITTED or the exit; 0: none */
};

/** The fields are private to lifecycle.c. */
struct lifecycle {
	struct lifecycle_options options;
	struct lifecycle_child child[CHILD_COUNT];
	uint32_t current;
	uint32_t candidate; /**< 0: no reload under way */
	uint32_t switching; /**< in force, but not yet in each child; 0: it is */
	int64_t candidate_deadline_ms;
	bool in_service;
	bool listening;
	bool stopping;
	bool gone;
	int exit_code;
	int64_t restarts;
	int64_t window_start_ms;
	int64_t window_restarts;
	struct lifecycle_action queue[LIFECYCLE_QUEUE];
	unsigned head;
	unsigned count;
};

/** Begin with this generation (not 0). */
void lifecycle_start(struct lifecycle *lc, const struct lifecycle_options *options,
		     uint32_t generation, int64_t now_ms);

/** A child said LOADED or FAILED for a generation. */
void lifecycle_loaded(struct lifecycle *lc, enum child_id child, uint32_t generation,
		      int64_t now_ms);
void lifecycle_failed(struct lifecycle *lc, enum child_id child, uint32_t generation,
		      int64_t now_ms);
void lifecycle_committed(struct lifecycle *lc, enum child_id child, uint32_t generation);
void lifecycle_ready(struct lifecycle *lc, enum child_id child, int64_t now_ms);

/** Does it wait for its next order? One that starts, loads or switches tables may be silent for a
 * while, with deadlines of its own. */
bool lifecycle_is_idle(const struct lifecycle *lc, enum child_id child);

/** Did the child end because it wants to be started anew? */
bool lifecycle_is_planned(enum child_id child, int code);

/** A child's process is gone. One that wants to be started anew has not crashed: AutoRestart and
 * its limits are for crashes, and a reload waits for it. It has the back-off of a crash.
 * @param code its exit status, or minus the signal that ended it */
void lifecycle_exited(struct lifecycle *lc, enum child_id child, int code, int64_t now_ms);

/** A newer generation was read and shall come into force. */
void lifecycle_reload(struct lifecycle *lc, uint32_t generation, int64_t now_ms);

/** Give up the reload that is under way, if there is one, for a newer. */
void lifecycle_abort_reload(struct lifecycle *lc);

/** Stop; asked a second time it does not wait. */
void lifecycle_stop(struct lifecycle *lc, int64_t now_ms);

/** Time has passed. */
void lifecycle_tick(struct lifecycle *lc, int64_t now_ms);
/** @return milliseconds until lifecycle_tick() is due, -1: nothing waits for time */
int64_t lifecycle_wait_ms(const struct lifecycle *lc, int64_t now_ms);

/** Take the oldest action. @return false: there is none */
bool lifecycle_next(struct lifecycle *lc, struct lifecycle_action *ret_action);

#endif
