/* Policy of the supervisor: see lifecycle.h. No system calls, no clock, no memory of its own. */
#include "daemon/lifecycle.h"

#include "config/handover.h"

#include <assert.h>
#include <string.h>
#include <sysexits.h>

const char *child_name(enum child_id child)
{
	static const char *const names[CHILD_COUNT] = { "signer", "milter" };

	return names[child];
}

static struct lifecycle_action *act(struct lifecycle *lc, enum lifecycle_do what,
				    enum child_id child)
{
	unsigned at = (lc->head + lc->count) % LIFECYCLE_QUEUE;

	/* One event makes a handful of actions, and the caller drains them after each. */
	assert(lc->count < LIFECYCLE_QUEUE);
	lc->count++;
	lc->queue[at] = (struct lifecycle_action){ .what = what, .child = child };
	return &lc->queue[at];
}

bool lifecycle_next(struct lifecycle *lc, struct lifecycle_action *ret_action)
{
	if (lc->count == 0)
		return false;
	*ret_action = lc->queue[lc->head];
	lc->head = (lc->head + 1) % LIFECYCLE_QUEUE;
	lc->count--;
	return true;
}

static void act_generation(struct lifecycle *lc, enum lifecycle_do what, enum child_id child,
			   uint32_t generation)
{
	act(lc, what, child)->generation = generation;
}

static void spawn(struct lifecycle *lc, enum child_id id, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	child->state = CHILD_LOADING;
	child->alive = true;
	child->ready = child->failed = child->switching = false;
	child->voted = child->refused = child->asked = false;
	child->since_ms = now_ms;
	child->deadline_ms = now_ms + lc->options.load_timeout_ms;
	(void)act(lc, LIFECYCLE_SPAWN, id);
	act_generation(lc, LIFECYCLE_LOAD, id, lc->current);
}

void lifecycle_start(struct lifecycle *lc, const struct lifecycle_options *options,
		     uint32_t generation, int64_t now_ms)
{
	memset(lc, 0, sizeof(*lc));
	lc->options = *options;
	lc->current = generation;
	spawn(lc, CHILD_SIGNER, now_ms);
	spawn(lc, CHILD_MILTER, now_ms);
}

static bool both_up(const struct lifecycle *lc)
{
	return lc->child[CHILD_SIGNER].state == CHILD_UP &&
	       lc->child[CHILD_MILTER].state == CHILD_UP;
}

/*
 * At a cold start the milter waits for the signer, so that a wrong KeyTable ends the start before a
 * message was taken. Later, and when the signer only crashed, it serves: its requests wait for the
 * signer until their deadline, then the MTA gets a 4xx.
 */
static void listen_when_due(struct lifecycle *lc)
{
	const struct lifecycle_child *signer = &lc->child[CHILD_SIGNER];

	if (lc->stopping || lc->listening || lc->child[CHILD_MILTER].state != CHILD_UP)
		return;
	if (signer->state != CHILD_UP && !signer->died && !lc->in_service)
		return;
	lc->listening = true;
	(void)act(lc, LIFECYCLE_LISTEN, CHILD_MILTER);
}

static void ask_candidate(struct lifecycle *lc, enum child_id id)
{
	struct lifecycle_child *child = &lc->child[id];

	if (lc->candidate == 0 || child->asked || child->state != CHILD_UP)
		return;
	child->asked = true;
	child->voted = child->refused = false;
	act_generation(lc, LIFECYCLE_LOAD, id, lc->candidate);
}

static void act_commit(struct lifecycle *lc, enum child_id id, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	child->switching = true;
	child->deadline_ms = now_ms + lc->options.commit_timeout_ms;
	act_generation(lc, LIFECYCLE_COMMIT, id, lc->current);
}

static void came_up(struct lifecycle *lc, enum child_id id, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	child->since_ms = now_ms;
	act_commit(lc, id, now_ms);
	if (both_up(lc))
		(void)act(lc, LIFECYCLE_PAIR, id);
	listen_when_due(lc);
	ask_candidate(lc, id);
}

static void end_candidate(struct lifecycle *lc)
{
	lc->candidate = 0;
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		lc->child[i].asked = lc->child[i].voted = lc->child[i].refused = false;
}

static void abort_candidate(struct lifecycle *lc, const char *reason)
{
	struct lifecycle_action *failed;
	uint32_t generation = lc->candidate;

	if (generation == 0)
		return;
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (lc->child[i].asked && lc->child[i].alive)
			act_generation(lc, LIFECYCLE_ABORT, (enum child_id)i, generation);
	}
	end_candidate(lc);
	failed = act(lc, LIFECYCLE_RELOAD_FAILED, CHILD_SIGNER);
	failed->generation = generation;
	failed->reason = reason;
}

static void commit_candidate(struct lifecycle *lc, int64_t now_ms)
{
	uint32_t generation = lc->candidate;

	lc->current = lc->switching = generation;
	/* The signer first: it then knows the generation before the milter asks for it. */
	act_commit(lc, CHILD_SIGNER, now_ms);
	act_commit(lc, CHILD_MILTER, now_ms);
	end_candidate(lc);
	act_generation(lc, LIFECYCLE_SWITCHED, CHILD_SIGNER, generation);
}

/* A child said what it thinks of the candidate. One that is starting is asked when it is up. */
static void count_votes(struct lifecycle *lc, int64_t now_ms)
{
	unsigned votes = 0;
	bool refused = false;
	bool waiting = false;

	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		const struct lifecycle_child *child = &lc->child[i];

		votes += child->voted;
		refused |= child->refused;
		waiting |= child->alive && !child->voted && !child->refused;
	}
	if (refused && !waiting)
		abort_candidate(lc, "the new tables cannot be loaded");
	else if (votes == CHILD_COUNT)
		commit_candidate(lc, now_ms);
}

/* A child that died meanwhile comes back with the generation in force, and says so then. */
void lifecycle_committed(struct lifecycle *lc, enum child_id id, uint32_t generation)
{
	struct lifecycle_child *child = &lc->child[id];

	if (!child->switching || generation != lc->current)
		return;
	child->switching = false;
	if (!child->stopping)
		child->deadline_ms = 0;
	if (lc->stopping || lc->switching == 0 || !both_up(lc) ||
	    lc->child[CHILD_SIGNER].switching || lc->child[CHILD_MILTER].switching)
		return;
	lc->switching = 0;
	act_generation(lc, LIFECYCLE_RELOADED, CHILD_SIGNER, generation);
}

bool lifecycle_is_idle(const struct lifecycle *lc, enum child_id id)
{
	const struct lifecycle_child *child = &lc->child[id];

	return child->state == CHILD_UP && !child->switching && (!child->asked || child->voted);
}

/* Stop everything, then leave with this code. */
static void give_up(struct lifecycle *lc, int code, const char *reason, int64_t now_ms)
{
	struct lifecycle_action *action;

	if (lc->stopping)
		return;
	action = act(lc, LIFECYCLE_GIVE_UP, CHILD_SIGNER);
	action->code = code;
	action->reason = reason;
	lc->exit_code = code;
	lifecycle_stop(lc, now_ms);
}

/* A start has failed: over when no child loads any more, or one dies. @return false: it has not */
static bool start_failed(struct lifecycle *lc, bool died, int64_t now_ms)
{
	bool failed = false;
	bool waiting = false;

	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		const struct lifecycle_child *child = &lc->child[i];

		failed |= child->failed;
		waiting |= child->state == CHILD_LOADING && !child->failed;
	}
	if (lc->in_service || !failed)
		return false;
	if (died || !waiting)
		give_up(lc, EX_CONFIG, "the configuration cannot be loaded", now_ms);
	return true;
}

void lifecycle_loaded(struct lifecycle *lc, enum child_id id, uint32_t generation, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	if (lc->stopping)
		return;
	if (child->state == CHILD_LOADING && generation == lc->current) {
		child->state = CHILD_UP;
		if (!start_failed(lc, false, now_ms))
			came_up(lc, id, now_ms);
	} else if (child->asked && generation == lc->candidate && !child->switching) {
		child->voted = true;
		count_votes(lc, now_ms);
	}
}

void lifecycle_failed(struct lifecycle *lc, enum child_id id, uint32_t generation, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	if (lc->stopping)
		return;
	if (child->state == CHILD_LOADING && generation == lc->current) {
		child->failed = true;
		child->deadline_ms = 0;
		if (!start_failed(lc, false, now_ms))
			(void)act(lc, LIFECYCLE_KILL,
				  id); /* it worked before: memory, descriptors */
	} else if (child->asked && generation == lc->candidate) {
		child->refused = true;
		count_votes(lc, now_ms);
	}
}

void lifecycle_ready(struct lifecycle *lc, enum child_id id, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	if (child->state != CHILD_UP)
		return;
	child->ready = true;
	child->since_ms = now_ms;
	if (!lc->in_service && !lc->stopping && lc->child[CHILD_SIGNER].ready &&
	    lc->child[CHILD_MILTER].ready) {
		lc->in_service = true;
		(void)act(lc, LIFECYCLE_IN_SERVICE, id);
	}
}

static int64_t backoff_ms(unsigned fails)
{
	int64_t delay = LIFECYCLE_BACKOFF_FIRST_MS;

	if (fails == 0)
		return 0;
	while (--fails > 0 && delay < LIFECYCLE_BACKOFF_MAX_MS)
		delay *= 2;
	return delay < LIFECYCLE_BACKOFF_MAX_MS ? delay : LIFECYCLE_BACKOFF_MAX_MS;
}

/* Count one more restart. @return why it may not be, NULL: it may */
static const char *count_restart(struct lifecycle *lc, int64_t now_ms)
{
	const struct lifecycle_options *o = &lc->options;

	if (!o->restart)
		return "AutoRestart is no";
	lc->restarts++;
	if (o->max_restarts > 0 && lc->restarts > o->max_restarts)
		return "AutoRestartCount is reached";
	if (o->rate_count <= 0)
		return NULL;
	if (lc->window_restarts == 0 || now_ms - lc->window_start_ms >= o->rate_period_ms) {
		lc->window_start_ms = now_ms;
		lc->window_restarts = 0;
	}
	lc->window_restarts++;
	return lc->window_restarts > o->rate_count ? "restarts come faster than AutoRestartRate"
						   : NULL;
}

static void restart_later(struct lifecycle *lc, enum child_id id, enum lifecycle_do what,
			  int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];
	struct lifecycle_action *action;

	if (child->ready && now_ms - child->since_ms >= LIFECYCLE_QUIET_MS)
		child->fails = 0;
	child->start_at_ms = now_ms + backoff_ms(child->fails);
	child->fails++;
	child->ready = false;
	action = act(lc, what, id);
	action->delay_ms = child->start_at_ms - now_ms;
	listen_when_due(lc);
	lifecycle_tick(lc, now_ms);
}

/* The next step of a stop: the milter ends its messages first, for that it needs the signer. */
static void stop_next(struct lifecycle *lc, int64_t now_ms)
{
	static const enum child_id order[] = { CHILD_MILTER, CHILD_SIGNER };

	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		struct lifecycle_child *child = &lc->child[order[i]];

		if (!child->alive)
			continue;
		if (!child->stopping) {
			child->stopping = true;
			child->deadline_ms = now_ms + lc->options.stop_timeout_ms;
			(void)act(lc, LIFECYCLE_STOP, order[i]);
		}
		return;
	}
	if (!lc->gone)
		act(lc, LIFECYCLE_EXIT, CHILD_SIGNER)->code = lc->exit_code;
	lc->gone = true;
}

bool lifecycle_is_planned(enum child_id id, int code)
{
	return id == CHILD_SIGNER && code == HANDOVER_EXIT_RESTART;
}

void lifecycle_exited(struct lifecycle *lc, enum child_id id, int code, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];
	const char *refused;

	child->state = CHILD_DOWN;
	child->alive = false;
	child->died = true;
	child->switching = false;
	child->deadline_ms = 0;
	if (id == CHILD_MILTER)
		lc->listening = false;
	if (lc->stopping) {
		stop_next(lc, now_ms);
		return;
	}
	if (lifecycle_is_planned(id, code)) {
		restart_later(lc, id, LIFECYCLE_STARTING_ANEW, now_ms);
		return;
	}
	abort_candidate(lc, "a process died while it loaded the new tables");
	if (start_failed(lc, true, now_ms))
		return;
	child->failed = false;
	if (!lc->in_service && code > 0) {
		give_up(lc, code, "a process could not start", now_ms);
		return;
	}
	refused = count_restart(lc, now_ms);
	if (refused != NULL)
		give_up(lc, lc->options.restart ? EX_UNAVAILABLE : EX_SOFTWARE, refused, now_ms);
	else
		restart_later(lc, id, LIFECYCLE_RESTARTING, now_ms);
}

void lifecycle_abort_reload(struct lifecycle *lc)
{
	abort_candidate(lc, "a newer reload was asked for");
}

void lifecycle_reload(struct lifecycle *lc, uint32_t generation, int64_t now_ms)
{
	if (lc->stopping)
		return;
	lifecycle_abort_reload(lc);
	lc->candidate = generation;
	lc->candidate_deadline_ms = now_ms + lc->options.load_timeout_ms;
	ask_candidate(lc, CHILD_SIGNER);
	ask_candidate(lc, CHILD_MILTER);
}

void lifecycle_stop(struct lifecycle *lc, int64_t now_ms)
{
	if (lc->stopping) {
		for (unsigned i = 0; i < CHILD_COUNT; i++) {
			if (lc->child[i].alive)
				(void)act(lc, LIFECYCLE_KILL, (enum child_id)i);
		}
		return;
	}
	abort_candidate(lc, "the daemon stops");
	lc->stopping = true;
	stop_next(lc, now_ms);
}

/* NULL: it was told to stop, which is no surprise. */
static const char *why_late(const struct lifecycle_child *child)
{
	if (child->stopping)
		return NULL;
	return child->switching ? "it did not switch to its tables in time"
				: "it did not load its tables in time";
}

static void tick_child(struct lifecycle *lc, enum child_id id, int64_t now_ms)
{
	struct lifecycle_child *child = &lc->child[id];

	if (child->deadline_ms != 0 && now_ms >= child->deadline_ms) {
		child->deadline_ms = 0;
		if (child->alive)
			act(lc, LIFECYCLE_KILL, id)->reason = why_late(child);
	}
	if (!lc->stopping && child->state == CHILD_DOWN && now_ms >= child->start_at_ms)
		spawn(lc, id, now_ms);
}

void lifecycle_tick(struct lifecycle *lc, int64_t now_ms)
{
	tick_child(lc, CHILD_SIGNER, now_ms);
	tick_child(lc, CHILD_MILTER, now_ms);
	if (lc->candidate != 0 && now_ms >= lc->candidate_deadline_ms)
		abort_candidate(lc, "the new tables were not loaded in time");
}

static void sooner(int64_t *wait_ms, int64_t at_ms, int64_t now_ms)
{
	int64_t left = at_ms > now_ms ? at_ms - now_ms : 0;

	if (*wait_ms < 0 || left < *wait_ms)
		*wait_ms = left;
}

int64_t lifecycle_wait_ms(const struct lifecycle *lc, int64_t now_ms)
{
	int64_t wait_ms = -1;

	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		const struct lifecycle_child *child = &lc->child[i];

		if (child->deadline_ms != 0)
			sooner(&wait_ms, child->deadline_ms, now_ms);
		if (child->state == CHILD_DOWN && !lc->stopping)
			sooner(&wait_ms, child->start_at_ms, now_ms);
	}
	if (lc->candidate != 0)
		sooner(&wait_ms, lc->candidate_deadline_ms, now_ms);
	return wait_ms;
}
