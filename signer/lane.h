/*
 * A lane: worker threads that share one queue, oldest job first. A worker may hang in a vendor's
 * module for ever; its job is then answered by lane_tick() at its deadline and the others go on.
 */
#ifndef SIGNER_LANE_H
#define SIGNER_LANE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane;

enum lane_result {
	LANE_DONE, /**< the job is over, the lane frees it */
	LANE_MOVE, /**< the job goes on in job->next_lane; when that is full it expires */
	LANE_PARK, /**< this worker can't work now: the job goes back to the front of the queue, the
		      worker pauses for LANE_PARK_MS */
};

#define LANE_PARK_MS 30000
/** The pause when the lane closes: somebody must end what waits. */
#define LANE_PARK_CLOSING_MS 100

/** The head of every job. The lane owns it from lane_submit() on. */
struct lane_job {
	struct lane_job *next;
	int64_t deadline_ms;	/**< run() may change it: for the next lane */
	struct lane *next_lane; /**< for LANE_MOVE */
	/** In a worker. @param worker what worker_new() made, may be NULL */
	enum lane_result (*run)(struct lane_job *job, void *worker);
	/**
	 * The deadline has passed. Any thread; must not block.
	 * @param running false: the job waited in a queue and is freed next, nobody else has it.
	 * true: run() has it and has not come back @return false: run() is just deciding; ask again
	 */
	bool (*expire)(struct lane_job *job, bool running);
	void (*free)(struct lane_job *job);
};

struct lane_ops {
	/** In the new thread; must not block. NULL: workers have no state. */
	void *(*worker_new)(void *ctx);
	/** In its thread, after lane_rest(), when no job waits: let go of what is kept for the next
	 * one. NULL: nothing. */
	void (*worker_rest)(void *worker);
	void (*worker_free)(void *worker);
	/** When the last worker is gone; may be NULL. */
	void (*ctx_free)(void *ctx);
};

/**
 * @param name    for thread names, at most 15 bytes are used
 * @param workers threads to start, at least 1
 * @param max     jobs that may wait
 * @return ERR_NOMEM (also: no thread could be started); ctx stays the caller's then
 */
NODISCARD enum err lane_new(const char *name, unsigned workers, size_t max,
			    const struct lane_ops *ops, void *ctx, struct lane **ret_lane);

/** Let the workers finish what waits and go; the last one frees the lane. Returns at once. */
void lane_close(struct lane **lane);

/** From now on workers that have nothing to do let go of what they hold. Returns at once. */
void lane_rest(struct lane *lane);

/** @return ERR_BUSY: max jobs wait; the job stays the caller's then */
NODISCARD enum err lane_submit(struct lane *lane, struct lane_job *job);

/** Workers that wait for a job, less the jobs that wait for a worker: below 0 when there is a
 * queue. A job counts from lane_submit() on, also while its worker has not woken up yet. */
long lane_free(struct lane *lane);

/** Jobs that wait or run. */
size_t lane_load(struct lane *lane);

/** For how many ms workers have been over the deadline of their job. */
struct lane_stuck {
	int64_t all_ms;	    /**< every worker, parked ones aside; 0 when one is not */
	int64_t longest_ms; /**< the worst one */
};

/** Expire what is over its deadline, then say how the workers are. */
struct lane_stuck lane_tick(struct lane *lane, int64_t now_ms);

#endif
