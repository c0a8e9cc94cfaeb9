/*
 * The service manager's watchdog (WatchdogSec=): it hears from us only while both children answer.
 * A child that was not started yet, or loads, is daemon/lifecycle.h's care, with deadlines of its
 * own; one that is up and silent hangs, and only a new start of everything helps.
 */
#include "daemon/supervisor_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/notify.h"

#include <stdlib.h>
#include <unistd.h>

/* So often within the manager's time: one answer may be late. */
#define TURNS 3

void supervisor_watchdog_start(struct supervisor *s)
{
	const char *pid = getenv("WATCHDOG_PID");
	const char *time = getenv("WATCHDOG_USEC");
	unsigned long long number = 0;
	unsigned long long us = 0;
	bool ours = time != NULL && slice_u64(slice_str(time), &us) &&
		    (pid == NULL || (slice_u64(slice_str(pid), &number) &&
				     number == (unsigned long long)getpid()));

	(void)unsetenv("WATCHDOG_PID");
	(void)unsetenv("WATCHDOG_USEC");
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		s->watchdog.questions[i] = (struct question){ .fd = -1 };
	s->watchdog.interval_ms = ours && us / 1000 <= INT_MAX ? (int64_t)(us / 1000 / TURNS) : 0;
	if (ours && s->watchdog.interval_ms == 0)
		s->watchdog.interval_ms = 1;
	s->watchdog.next_ms = clock_mono_ms();
}

/* Did it answer since the last turn, as far as it had to? */
static bool is_well(struct supervisor *s, enum child_id id)
{
	struct question *q = &s->watchdog.questions[id];

	return !lifecycle_is_idle(&s->lifecycle, id) || q->number == 0 || q->answered;
}

static void ask_again(struct supervisor *s, enum child_id id)
{
	struct question *q = &s->watchdog.questions[id];

	if (!lifecycle_is_idle(&s->lifecycle, id)) {
		supervisor_question_done(q);
	} else if (q->number == 0 || q->answered) { /* else the answer may still come */
		supervisor_question_done(q);
		supervisor_ask(s, id, "ping", q);
	}
}

void supervisor_watchdog_tick(struct supervisor *s)
{
	struct watchdog *w = &s->watchdog;
	bool well = true;

	if (w->interval_ms == 0 || clock_mono_ms() < w->next_ms)
		return;
	w->next_ms = clock_mono_ms() + w->interval_ms;
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (is_well(s, (enum child_id)i))
			continue;
		well = false;
		if (!w->complained)
			log_line(LOG_LEVEL_ERROR,
				 "%s process: does not answer; the watchdog is told nothing until "
				 "it does",
				 child_name((enum child_id)i));
	}
	w->complained = !well;
	if (well)
		notify_state("WATCHDOG=1");
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		ask_again(s, (enum child_id)i);
}

void supervisor_watchdog_answered(struct supervisor *s, enum child_id id, uint32_t number)
{
	struct question *q = &s->watchdog.questions[id];

	if (q->number == number)
		q->answered = true;
}

int64_t supervisor_watchdog_wait_ms(const struct supervisor *s)
{
	int64_t left = s->watchdog.next_ms - clock_mono_ms();

	if (s->watchdog.interval_ms == 0)
		return -1;
	return left > 0 ? left : 0;
}

void supervisor_watchdog_exited(struct supervisor *s, enum child_id id)
{
	supervisor_question_done(&s->watchdog.questions[id]);
}
