/* What a token was seen to do: see health.h. */
#include "signer/health.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys that are kept for probes: when one is deleted there is another one. */
#define PROBE_KEYS 4u

/* So many probes in a row without success: perhaps the module cannot find back by itself. */
#define PROBES_BEFORE_RESTART 2u

struct health {
	pthread_mutex_t lock; /* guards all below but name and pin_source */
	char *name;
	char *pin_source;
	struct breaker breaker;
	enum err error; /* why it is out of service */
	struct err_detail detail;
	enum err last_error; /* of any request or probe, for people */
	struct err_detail last_detail;
	int64_t last_error_ms;
	struct {
		struct signkey *key; /* holds replica; NULL: a free place */
		const struct token_key *replica;
	} probe_keys[PROBE_KEYS]; /* that signed, the first of them */
	bool worked;
};

struct health *health_new(const char *name, const char *pin_source)
{
	struct health *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	(void)pthread_mutex_init(&h->lock, NULL);
	h->name = slice_dup(slice_str(name));
	h->pin_source = slice_dup(slice_str(pin_source != NULL ? pin_source : "nowhere"));
	if (h->name == NULL || h->pin_source == NULL)
		health_free(&h);
	return h;
}

void health_free(struct health **health)
{
	struct health *h = *health;

	if (h == NULL)
		return;
	for (size_t i = 0; i < PROBE_KEYS; i++)
		signkey_unref(&h->probe_keys[i].key);
	(void)pthread_mutex_destroy(&h->lock);
	free(h->name);
	free(h->pin_source);
	free(h);
	*health = NULL;
}

/* The lock is held. */
static void keep_probe_key(struct health *h, struct signkey *key, const struct token_key *replica)
{
	size_t i = 0;

	while (i < PROBE_KEYS && h->probe_keys[i].key != NULL && h->probe_keys[i].key != key)
		i++;
	if (i == PROBE_KEYS || h->probe_keys[i].key == key)
		return;
	h->probe_keys[i].key = signkey_ref(key);
	h->probe_keys[i].replica = replica;
}

void health_worked(struct health *h, struct signkey *key, const struct token_key *replica)
{
	int64_t now_ms = clock_mono_ms();
	int64_t down_ms;
	bool back;

	(void)pthread_mutex_lock(&h->lock);
	down_ms = now_ms - h->breaker.down_since_ms;
	back = breaker_worked(&h->breaker, now_ms);
	h->worked = true;
	keep_probe_key(h, key, replica);
	(void)pthread_mutex_unlock(&h->lock);
	if (back)
		log_line(LOG_LEVEL_WARNING, "token %s: back in service after %lld ms", h->name,
			 (long long)down_ms);
}

void health_answered(struct health *h)
{
	(void)pthread_mutex_lock(&h->lock);
	breaker_answered(&h->breaker, clock_mono_ms());
	(void)pthread_mutex_unlock(&h->lock);
}

/* @return false: says nothing about the token */
static bool evidence_of(enum err error, bool reached, enum breaker_evidence *ret_evidence)
{
	switch ((int)error) {
	case ERR_TOKEN_PIN:
		*ret_evidence = BREAKER_PIN_REFUSED;
		return true;
	case ERR_TOKEN_ABSENT:
	case ERR_MODULE:
		*ret_evidence = BREAKER_WHOLE_TOKEN;
		return true;
	case ERR_TOKEN_BUSY:
	case ERR_TOKEN_FAILED:
	case ERR_TOKEN_LIED:
	case ERR_TOKEN_TIMEOUT:
		*ret_evidence = reached ? BREAKER_ONE_REQUEST : BREAKER_WHOLE_TOKEN;
		return true;
	default:
		return false;
	}
}

bool health_blames_token(enum err error)
{
	enum breaker_evidence evidence;

	return evidence_of(error, true, &evidence);
}

static void log_down(const struct health *h, const struct err_detail *detail, bool ended)
{
	char said[sizeof(detail->text)];
	const char *why = detail->text;

	(void)snprintf(said, sizeof(said), "token %s: ", h->name);
	if (slice_starts(slice_str(why), slice_str(said)))
		why += strlen(said); /* who found it has named the token */
	if (ended)
		log_line(LOG_LEVEL_ERROR, "token %s: out of service: %s (PIN from %s)", h->name,
			 why, h->pin_source);
	else
		log_line(LOG_LEVEL_ERROR,
			 "token %s: out of service: %s; it is tried again by itself", h->name, why);
}

/* The lock is held. */
static void note_error(struct health *h, enum err error, const struct err_detail *detail)
{
	h->last_error = error;
	h->last_detail = *detail;
	h->last_error_ms = clock_mono_ms();
}

/* The lock is held. */
static void remember(struct health *h, enum err error, const struct err_detail *detail)
{
	h->error = error;
	h->detail = *detail;
}

void health_failed(struct health *h, enum err error, bool reached, const struct err_detail *detail)
{
	enum breaker_evidence evidence;
	bool down;

	if (!evidence_of(error, reached, &evidence))
		return;
	(void)pthread_mutex_lock(&h->lock);
	note_error(h, error, detail);
	down = breaker_failed(&h->breaker, evidence, clock_mono_ms());
	if (down)
		remember(h, error, detail);
	(void)pthread_mutex_unlock(&h->lock);
	if (down)
		log_down(h, detail, evidence == BREAKER_PIN_REFUSED);
}

void health_hangs(struct health *h)
{
	static const struct err_detail detail = { "every session hangs in its module" };
	struct err_detail before;

	if (health_check(h, &before) == ERR_OK)
		health_failed(h, ERR_TOKEN_TIMEOUT, false, &detail);
}

bool health_probe_failed(struct health *h, enum err error, const struct err_detail *detail)
{
	enum breaker_evidence evidence = BREAKER_WHOLE_TOKEN;
	bool down;
	bool restart;

	(void)evidence_of(error, false, &evidence);
	(void)pthread_mutex_lock(&h->lock);
	note_error(h, error, detail);
	down = breaker_probe_failed(&h->breaker, evidence, clock_mono_ms());
	remember(h, error, detail);
	restart = h->worked && evidence != BREAKER_PIN_REFUSED &&
		  h->breaker.failed_probes >= PROBES_BEFORE_RESTART;
	(void)pthread_mutex_unlock(&h->lock);
	if (down)
		log_down(h, detail, evidence == BREAKER_PIN_REFUSED);
	return restart;
}

bool health_take_probe(struct health *h)
{
	bool due;

	(void)pthread_mutex_lock(&h->lock);
	due = breaker_take_probe(&h->breaker, clock_mono_ms());
	(void)pthread_mutex_unlock(&h->lock);
	return due;
}

void health_probe_lost(struct health *h)
{
	(void)pthread_mutex_lock(&h->lock);
	breaker_probe_lost(&h->breaker);
	(void)pthread_mutex_unlock(&h->lock);
}

bool health_tried(struct health *h)
{
	bool tried;

	(void)pthread_mutex_lock(&h->lock);
	tried = h->breaker.used;
	(void)pthread_mutex_unlock(&h->lock);
	return tried;
}

void health_look(struct health *h, struct health_view *ret_view)
{
	int64_t now_ms = clock_mono_ms();

	(void)pthread_mutex_lock(&h->lock);
	*ret_view = (struct health_view){
		.state = h->breaker.state,
		.tried = h->breaker.used,
		.last_error = h->last_error,
		.last_detail = h->last_detail,
		.last_error_age_ms = now_ms - h->last_error_ms,
	};
	if (h->breaker.state == BREAKER_RESTING && h->breaker.probe_at_ms > now_ms)
		ret_view->retry_in_ms = h->breaker.probe_at_ms - now_ms;
	(void)pthread_mutex_unlock(&h->lock);
}

struct signkey *health_probe_key(struct health *h, const struct token_key **ret_replica)
{
	struct signkey *key;

	(void)pthread_mutex_lock(&h->lock);
	key = h->probe_keys[0].key != NULL ? signkey_ref(h->probe_keys[0].key) : NULL;
	*ret_replica = h->probe_keys[0].replica;
	(void)pthread_mutex_unlock(&h->lock);
	return key;
}

void health_forget_key(struct health *h, const struct signkey *key)
{
	struct signkey *gone = NULL;
	size_t i = 0;

	(void)pthread_mutex_lock(&h->lock);
	while (i < PROBE_KEYS && h->probe_keys[i].key != key)
		i++;
	if (i < PROBE_KEYS) {
		gone = h->probe_keys[i].key;
		memmove(&h->probe_keys[i], &h->probe_keys[i + 1],
			(PROBE_KEYS - 1 - i) * sizeof(h->probe_keys[0]));
		h->probe_keys[PROBE_KEYS - 1].key = NULL;
	}
	(void)pthread_mutex_unlock(&h->lock);
	signkey_unref(&gone);
}

enum err health_check(struct health *h, struct err_detail *detail)
{
	enum err e = ERR_OK;

	(void)pthread_mutex_lock(&h->lock);
	if (!breaker_allows(&h->breaker)) {
		e = h->error;
		*detail = h->detail;
	}
	(void)pthread_mutex_unlock(&h->lock);
	return e;
}

bool health_doubted(struct health *h)
{
	bool doubted;

	(void)pthread_mutex_lock(&h->lock);
	doubted = h->breaker.state == BREAKER_DOUBTED;
	(void)pthread_mutex_unlock(&h->lock);
	return doubted;
}

bool health_has_worked(struct health *h)
{
	bool worked;

	(void)pthread_mutex_lock(&h->lock);
	worked = h->worked;
	(void)pthread_mutex_unlock(&h->lock);
	return worked;
}
