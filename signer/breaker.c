/* The rests of a token that fails: see breaker.h. */
#include "signer/breaker.h"

static int64_t rest_ms(unsigned rests_before)
{
	int64_t rest = BREAKER_REST_FIRST_MS;

	while (rests_before-- > 0 && rest < BREAKER_REST_MAX_MS)
		rest *= 2;
	return rest < BREAKER_REST_MAX_MS ? rest : BREAKER_REST_MAX_MS;
}

static void rest(struct breaker *b, int64_t now_ms)
{
	b->state = BREAKER_RESTING;
	b->probe_at_ms = now_ms + rest_ms(b->rests++);
}

bool breaker_worked(struct breaker *b, int64_t now_ms)
{
	bool was_down = b->down;

	b->last_used_ms = now_ms;
	b->used = true;
	b->probing = false;
	if (b->state == BREAKER_ENDED)
		return false;
	b->state = BREAKER_IN_SERVICE;
	b->failures = 0;
	b->failed_probes = 0;
	b->rests = 0;
	b->down = false;
	return was_down;
}

void breaker_answered(struct breaker *b, int64_t now_ms)
{
	b->last_used_ms = now_ms;
	b->used = true;
	b->probing = false;
	if (b->state == BREAKER_IN_SERVICE || b->state == BREAKER_ENDED)
		return;
	b->state = BREAKER_DOUBTED;
	b->failed_probes = 0;
	b->probe_at_ms = now_ms + rest_ms(b->rests);
}

/* The state changed or not. @return true: it left service */
static bool settle(struct breaker *b, bool was_allowed, int64_t now_ms)
{
	b->last_used_ms = now_ms;
	b->used = true;
	if (!was_allowed || breaker_allows(b))
		return false;
	if (!b->down)
		b->down_since_ms = now_ms;
	b->down = true;
	return true;
}

bool breaker_failed(struct breaker *b, enum breaker_evidence evidence, int64_t now_ms)
{
	bool was_allowed = breaker_allows(b);

	b->failures++;
	if (evidence == BREAKER_PIN_REFUSED)
		b->state = BREAKER_ENDED;
	else if (evidence == BREAKER_WHOLE_TOKEN && was_allowed)
		rest(b, now_ms);
	else if (b->state == BREAKER_IN_SERVICE && b->failures >= BREAKER_DOUBT_FAILURES) {
		b->state = BREAKER_DOUBTED;
		b->probe_at_ms = now_ms;
	}
	return settle(b, was_allowed, now_ms);
}

void breaker_probe_lost(struct breaker *b)
{
	b->probing = false;
}

bool breaker_probe_failed(struct breaker *b, enum breaker_evidence evidence, int64_t now_ms)
{
	bool was_allowed = breaker_allows(b);

	b->probing = false;
	if (evidence == BREAKER_PIN_REFUSED) {
		b->state = BREAKER_ENDED;
	} else if (b->state != BREAKER_ENDED) {
		b->failed_probes++;
		rest(b, now_ms);
	}
	return settle(b, was_allowed, now_ms);
}

bool breaker_allows(const struct breaker *b)
{
	return b->state == BREAKER_IN_SERVICE || b->state == BREAKER_DOUBTED;
}

static bool probe_due(const struct breaker *b, int64_t now_ms)
{
	switch (b->state) {
	case BREAKER_IN_SERVICE:
		return !b->used || now_ms - b->last_used_ms >= BREAKER_IDLE_MS;
	case BREAKER_DOUBTED:
	case BREAKER_RESTING:
		return now_ms >= b->probe_at_ms;
	case BREAKER_ENDED:
		break;
	}
	return false;
}

bool breaker_take_probe(struct breaker *b, int64_t now_ms)
{
	if (b->probing || !probe_due(b, now_ms))
		return false;
	b->probing = true;
	return true;
}
