/* Worker threads that share one queue. */
#include "signer/lane.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct worker {
	struct lane *lane;
	struct lane_job *job; /* runs now; NULL: idle */
	int64_t deadline_ms;  /* the job's, when it was taken */
	bool expired;	      /* its job was answered by lane_tick() */
	bool parked;
	bool rested; /* since its last job */
};

struct lane {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	pthread_cond_t unpark; /* on CLOCK_MONOTONIC */
	const struct lane_ops *ops;
	void *ctx;
	struct lane_job *head;
	struct lane_job **tail;
	size_t waiting;
	size_t max;
	unsigned idle;
	unsigned threads; /* that still use this memory */
	unsigned worker_count;
	bool closing;
	bool resting;
	char name[16];
	struct worker workers[];
};

static void lane_destroy(struct lane *lane)
{
	if (lane->ops->ctx_free != NULL)
		lane->ops->ctx_free(lane->ctx);
	(void)pthread_cond_destroy(&lane->work);
	(void)pthread_cond_destroy(&lane->unpark);
	(void)pthread_mutex_destroy(&lane->lock);
	free(lane);
}

/* The lock is held, but not while the worker lets go; it is not idle then. */
static void rest(struct worker *w, void *state)
{
	struct lane *lane = w->lane;

	w->rested = true;
	lane->idle--;
	(void)pthread_mutex_unlock(&lane->lock);
	if (lane->ops->worker_rest != NULL)
		lane->ops->worker_rest(state);
	(void)pthread_mutex_lock(&lane->lock);
	lane->idle++;
}

/* @return NULL when the lane closes and nothing waits; the lock is held */
static struct lane_job *take(struct worker *w, void *state)
{
	struct lane *lane = w->lane;
	struct lane_job *job;

	lane->idle++;
	while (lane->head == NULL && !lane->closing) {
		if (lane->resting && !w->rested)
			rest(w, state);
		else
			(void)pthread_cond_wait(&lane->work, &lane->lock);
	}
	lane->idle--;
	w->rested = false;
	job = lane->head;
	if (job == NULL)
		return NULL;
	lane->head = job->next;
	if (lane->head == NULL)
		lane->tail = &lane->head;
	job->next = NULL;
	lane->waiting--;
	return job;
}

/* The job to the front of the queue, the worker to rest; the lock is held. */
static void park(struct worker *w, struct lane_job *job)
{
	struct lane *lane = w->lane;
	bool closing = lane->closing;
	int64_t until_ms = clock_mono_ms() + (closing ? LANE_PARK_CLOSING_MS : LANE_PARK_MS);
	const struct timespec until = { .tv_sec = (time_t)(until_ms / 1000),
					.tv_nsec = (long)(until_ms % 1000) * 1000000L };
	int rc = 0;

	job->next = lane->head;
	if (lane->head == NULL)
		lane->tail = &job->next;
	lane->head = job;
	lane->waiting++;
	(void)pthread_cond_signal(&lane->work);
	w->parked = true;
	while (lane->closing == closing && rc == 0)
		rc = pthread_cond_timedwait(&lane->unpark, &lane->lock, &until);
	w->parked = false;
}

/* Take, run, free; the lock is held at both ends. @return false: the lane closes */
static bool work(struct worker *w, void *state)
{
	struct lane *lane = w->lane;
	struct lane_job *job = take(w, state);
	enum lane_result result = LANE_DONE;
	bool in_time;

	if (job == NULL)
		return false;
	in_time = job->deadline_ms > clock_mono_ms();
	w->job = in_time ? job : NULL;
	w->deadline_ms = job->deadline_ms;
	w->expired = false;
	(void)pthread_mutex_unlock(&lane->lock);
	if (in_time)
		result = job->run(job, state);
	else
		(void)job->expire(job, false);
	(void)pthread_mutex_lock(&lane->lock);
	w->job = NULL; /* from here on lane_tick() does not see it */
	if (result == LANE_PARK && !w->expired) {
		park(w, job);
		return true;
	}
	(void)pthread_mutex_unlock(&lane->lock);
	if (result == LANE_MOVE && lane_submit(job->next_lane, job) != ERR_OK) {
		(void)job->expire(job, false);
		result = LANE_DONE;
	}
	if (result != LANE_MOVE)
		job->free(job);
	(void)pthread_mutex_lock(&lane->lock);
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct lane *lane = w->lane;
	void *state = lane->ops->worker_new != NULL ? lane->ops->worker_new(lane->ctx) : NULL;
	bool last;

	(void)pthread_mutex_lock(&lane->lock);
	while (work(w, state))
		;
	(void)pthread_mutex_unlock(&lane->lock);
	if (lane->ops->worker_free != NULL)
		lane->ops->worker_free(state);
	(void)pthread_mutex_lock(&lane->lock);
	last = --lane->threads == 0;
	(void)pthread_mutex_unlock(&lane->lock);
	if (last)
		lane_destroy(lane);
	return NULL;
}

static bool start_worker(struct lane *lane, unsigned i)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	lane->workers[i].lane = lane;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = pthread_create(&thread, &attr, worker_main, &lane->workers[i]) == 0;
	(void)pthread_attr_destroy(&attr);
	return ok;
}

enum err lane_new(const char *name, unsigned workers, size_t max, const struct lane_ops *ops,
		  void *ctx, struct lane **ret_lane)
{
	struct lane *lane = calloc(1, sizeof(*lane) + workers * sizeof(struct worker));
	pthread_condattr_t attr;

	if (lane == NULL)
		return ERR_NOMEM;
	(void)pthread_mutex_init(&lane->lock, NULL);
	(void)pthread_cond_init(&lane->work, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&lane->unpark, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)snprintf(lane->name, sizeof(lane->name), "%.15s", name);
	lane->ops = ops;
	lane->ctx = ctx;
	lane->max = max;
	lane->tail = &lane->head;
	(void)pthread_mutex_lock(&lane->lock);
	while (lane->threads < workers && start_worker(lane, lane->threads))
		lane->threads++;
	lane->worker_count = lane->threads;
	(void)pthread_mutex_unlock(&lane->lock);
	if (lane->worker_count == 0) {
		(void)pthread_cond_destroy(&lane->work);
		(void)pthread_cond_destroy(&lane->unpark);
		(void)pthread_mutex_destroy(&lane->lock);
		free(lane);
		return ERR_NOMEM;
	}
	*ret_lane = lane;
	return ERR_OK;
}

void lane_close(struct lane **lane)
{
	struct lane *l;

	if (lane == NULL || *lane == NULL)
		return;
	l = *lane;
	*lane = NULL;
	(void)pthread_mutex_lock(&l->lock);
	l->closing = true;
	(void)pthread_cond_broadcast(&l->work);
	(void)pthread_cond_broadcast(&l->unpark);
	(void)pthread_mutex_unlock(&l->lock);
}

void lane_rest(struct lane *lane)
{
	(void)pthread_mutex_lock(&lane->lock);
	lane->resting = true;
	(void)pthread_cond_broadcast(&lane->work);
	(void)pthread_mutex_unlock(&lane->lock);
}

enum err lane_submit(struct lane *lane, struct lane_job *job)
{
	enum err e = ERR_OK;

	(void)pthread_mutex_lock(&lane->lock);
	if (lane->waiting >= lane->max) {
		e = ERR_BUSY;
	} else {
		job->next = NULL;
		*lane->tail = job;
		lane->tail = &job->next;
		lane->waiting++;
		(void)pthread_cond_signal(&lane->work);
	}
	(void)pthread_mutex_unlock(&lane->lock);
	return e;
}

long lane_free(struct lane *lane)
{
	long n;

	(void)pthread_mutex_lock(&lane->lock);
	n = (long)lane->idle - (long)lane->waiting;
	(void)pthread_mutex_unlock(&lane->lock);
	return n;
}

size_t lane_load(struct lane *lane)
{
	size_t n;

	(void)pthread_mutex_lock(&lane->lock);
	n = lane->waiting + lane->worker_count - lane->idle;
	(void)pthread_mutex_unlock(&lane->lock);
	return n;
}

/* Unlink what waits beyond its deadline. @return the unlinked, as a list; the lock is held */
static struct lane_job *take_expired(struct lane *lane, int64_t now_ms)
{
	struct lane_job *expired = NULL;
	struct lane_job **link = &lane->head;

	while (*link != NULL) {
		struct lane_job *job = *link;

		if (job->deadline_ms > now_ms) {
			link = &job->next;
			continue;
		}
		*link = job->next;
		job->next = expired;
		expired = job;
		lane->waiting--;
	}
	lane->tail = link;
	return expired;
}

/* Answer for workers that hang; the lock is held. */
static struct lane_stuck expire_running(struct lane *lane, int64_t now_ms)
{
	struct lane_stuck stuck = { .all_ms = INT64_MAX };

	for (unsigned i = 0; i < lane->worker_count; i++) {
		struct worker *w = &lane->workers[i];
		int64_t over_ms = w->job != NULL ? now_ms - w->deadline_ms : 0;

		if (w->parked)
			continue;
		if (over_ms < 0)
			over_ms = 0;
		if (over_ms > 0 && !w->expired)
			w->expired = w->job->expire(w->job, true);
		if (over_ms < stuck.all_ms)
			stuck.all_ms = over_ms;
		if (over_ms > stuck.longest_ms)
			stuck.longest_ms = over_ms;
	}
	if (stuck.all_ms == INT64_MAX)
		stuck.all_ms = 0;
	return stuck;
}

struct lane_stuck lane_tick(struct lane *lane, int64_t now_ms)
{
	struct lane_job *expired;
	struct lane_stuck stuck;

	(void)pthread_mutex_lock(&lane->lock);
	expired = take_expired(lane, now_ms);
	stuck = expire_running(lane, now_ms);
	(void)pthread_mutex_unlock(&lane->lock);
	while (expired != NULL) {
		struct lane_job *next = expired->next;

		(void)expired->expire(expired, false);
		expired->free(expired);
		expired = next;
	}
	return stuck;
}
