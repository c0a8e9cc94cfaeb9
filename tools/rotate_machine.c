/* The transitions of a rotation. Pure. */
#include "tools/rotate.h"

#include <stdio.h>
#include <time.h>

struct row {
	const char *word;
	enum rotate_step step;
	enum rotate_phase next;
	enum rotate_delay delay;
};

static const struct row rows[] = {
#define X(phase, word, step, next, delay) { word, step, next, delay },
	ROTATE_PHASES(X)
#undef X
};

const char *rotate_phase_word(enum rotate_phase phase)
{
	return rows[phase].word;
}

bool rotate_phase_find(struct slice word, enum rotate_phase *ret_phase)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (slice_eq(word, slice_str(rows[i].word))) {
			*ret_phase = (enum rotate_phase)i;
			return true;
		}
	return false;
}

enum rotate_step rotate_step_of(enum rotate_phase phase)
{
	return rows[phase].step;
}

enum rotate_phase rotate_phase_after(enum rotate_phase phase)
{
	return rows[phase].next;
}

int64_t rotate_due(enum rotate_phase phase, int64_t since, const struct rotate_policy *policy)
{
	int64_t delay_s = 0;

	switch (rows[phase].delay) {
	case ROTATE_AT_ONCE:
		break;
	case ROTATE_AFTER_KEEP:
		delay_s = policy->keep_s;
		break;
	case ROTATE_AFTER_GRACE:
		delay_s = policy->grace_s;
		break;
	case ROTATE_AFTER_EVERY:
		delay_s = policy->every_s;
		break;
	}
	return since + delay_s;
}

bool rotate_can_roll_back(enum rotate_phase phase)
{
	return phase != ROTATE_REVOKED && phase != ROTATE_DONE && phase != ROTATE_CHOSEN;
}

void rotate_roll_back(struct rotate_key *key, int64_t now)
{
	struct rotate_half half = key->old;

	key->old = key->new;
	key->new = half;
	key->phase = ROTATE_VISIBLE;
	key->since = now;
}

void rotate_selector(int64_t now, unsigned i, char out[static 32])
{
	time_t when = (time_t)now;
	struct tm day;
	char date[16] = "19700101";

	if (gmtime_r(&when, &day) != NULL)
		(void)strftime(date, sizeof(date), "%Y%m%d", &day);
	(void)snprintf(out, 32, "s%.8s", date);
	if (i != 0)
		(void)snprintf(out + strlen(out), 8, "%c", (char)('a' + i % 26));
}
