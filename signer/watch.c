/* The tokens under watch: see watch.h. */
#include "signer/watch.h"

#include "base/clock.h"
#include "signer/probe.h"

#include <stdio.h>

/* All sessions of a token hang this long beyond their deadlines: a new process. Longer for a token
 * that never worked here, for then a restart may not help; and much longer when other tokens work,
 * for it costs them a pause. (Key files have that pause, too, but no request is lost by it.) */
#define STUCK_MS 500
#define STUCK_NEVER_WORKED_MS 5000
#define STUCK_OTHERS_WORK_MS 30000
/* One session hangs, others work: it is worth a restart, not a hurry. */
#define STUCK_ONE_MS 60000

static int64_t patience_ms(struct keyring *ring, struct tokenlane *token)
{
	if (health_has_worked(tokenlane_health(token)))
		return STUCK_MS;
	for (size_t i = 0; i < keyring_token_count(ring); i++) {
		if (health_has_worked(tokenlane_health(keyring_token(ring, i))))
			return STUCK_OTHERS_WORK_MS;
	}
	return STUCK_NEVER_WORKED_MS;
}

static void judge(const struct request_env *env, struct keyring *ring, struct tokenlane *token,
		  struct lane_stuck stuck)
{
	bool all = stuck.all_ms > patience_ms(ring, token);
	char why[256];

	if (stuck.all_ms > STUCK_MS)
		health_hangs(tokenlane_health(token));
	if (!all && stuck.longest_ms <= STUCK_ONE_MS)
		return;
	(void)snprintf(why, sizeof(why), "token %s: %s hangs in its module",
		       token_name(tokenlane_token(token)), all ? "every session" : "a session");
	env->restart(env->ctx, why);
}

static void probe_if_due(const struct request_env *env, struct keyring *ring,
			 struct tokenlane *token, int64_t now_ms)
{
	bool first = !health_tried(tokenlane_health(token));

	if (!health_take_probe(tokenlane_health(token)))
		return;
	if (probe_start(env, token, now_ms + keyring_settings(ring)->token_timeout_ms, first) ==
	    ERR_OK)
		return;
	health_probe_lost(tokenlane_health(token)); /* its queue is full: requests tell enough */
}

void watch_tokens(const struct request_env *env, struct keyring *ring, bool probe)
{
	int64_t now_ms = clock_mono_ms();

	for (size_t i = 0; ring != NULL && i < keyring_token_count(ring); i++) {
		struct tokenlane *token = keyring_token(ring, i);
		struct lane_stuck stuck;

		stuck = lane_tick(tokenlane_lane(token), now_ms);
		if (!tokenlane_reads(token))
			judge(env, ring, token, stuck);
		if (probe)
			probe_if_due(env, ring, token, now_ms);
	}
}

bool watch_all_tried(const struct keyring *ring)
{
	for (size_t i = 0; i < keyring_token_count(ring); i++) {
		if (!health_tried(tokenlane_health(keyring_token(ring, i))))
			return false;
	}
	return true;
}
