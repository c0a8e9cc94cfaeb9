/* The signer process's part of the operator's view. */
#include "signer/inform.h"

#include "base/clock.h"
#include "report/report.h"
#include "report/sections.h"

#include <stdio.h>

/* Key files are no token, but their signatures stand beside those of tokens. */
#define FILES_NAME "(key files)"
/* An answer about keys ends here, whatever the rows hold. */
#define KEYS_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* ---- process ---- */

static void add_status(const struct inform_view *v, struct buf *out)
{
	report_section(out, SECTION_SIGNER);
	report_number(out, v->ring != NULL ? keyring_key_count(v->ring) : 0);
	report_number(out, v->ring != NULL ? keyring_token_count(v->ring) : 0);
	report_number(out, v->under_way);
	report_number(out, v->bytes_held);
	report_number(out, histogram_read(&v->env->files_tally->latency).count);
	report_number(out, ratelimit_refused(v->env->rates));
	report_end_row(out);
}

/* ---- tokens ---- */

static const char *breaker_word(enum breaker_state state)
{
	static const char *const words[] = {
		[BREAKER_IN_SERVICE] = "closed",
		[BREAKER_DOUBTED] = "doubted",
		[BREAKER_RESTING] = "open",
		[BREAKER_ENDED] = "ended",
	};

	return words[state];
}

static bool takes_requests(const struct health_view *h)
{
	return h->tried && (h->state == BREAKER_IN_SERVICE || h->state == BREAKER_DOUBTED);
}

static const char *state_word(const struct health_view *h)
{
	if (!h->tried)
		return "not tried";
	return takes_requests(h) ? "in service" : "out of service";
}

static uint64_t failures_of(const struct tally *t)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ERR_COUNT; i++)
		sum += atomic_load_explicit(&t->failures[i], memory_order_relaxed);
	return sum;
}

static void add_quantile(struct buf *out, const struct histogram_view *latency, unsigned permille)
{
	if (latency->count > 0)
		report_number(out, histogram_quantile_us(latency, permille));
	else
		report_unknown(out);
}

static void add_last_error(struct buf *out, const struct health_view *h)
{
	char text[sizeof(h->last_detail.text) + 64];

	if (h->last_error == ERR_OK) {
		report_text(out, SLICE_LIT(""));
		report_unknown(out);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s%s%s", err_text(h->last_error),
		       h->last_detail.text[0] != '\0' ? ": " : "", h->last_detail.text);
	report_text(out, slice_str(text));
	report_number(out, (uint64_t)h->last_error_age_ms / 1000);
}

static void add_token(struct tokenlane *token, struct buf *out)
{
	struct tally *tally = tokenlane_tally(token);
	struct histogram_view latency = histogram_read(&tally->latency);
	struct health_view health;

	health_look(tokenlane_health(token), &health);
	report_text(out, slice_str(token_name(tokenlane_token(token))));
	report_text(out, slice_str(state_word(&health)));
	report_number(out, takes_requests(&health));
	report_text(out, slice_str(breaker_word(health.state)));
	report_number(out, (uint64_t)health.retry_in_ms);
	report_number(out, token_pin_refused(tokenlane_token(token)));
	report_number(out, token_open_sessions(tokenlane_token(token)));
	report_number(out, tokenlane_sessions(token));
	report_number(out, lane_load(tokenlane_lane(token)));
	report_number(out, latency.count);
	report_number(out, failures_of(tally));
	add_quantile(out, &latency, 500);
	add_quantile(out, &latency, 990);
	add_last_error(out, &health);
	report_end_row(out);
}

static void add_tokens(const struct inform_view *v, struct buf *out)
{
	report_section(out, SECTION_TOKENS);
	for (size_t i = 0; v->ring != NULL && i < keyring_token_count(v->ring); i++)
		add_token(keyring_token(v->ring, i), out);
}

/* ---- numbers for metrics ---- */

/* "token_timeout" for ERR_TOKEN_TIMEOUT. */
static struct slice class_of(enum err error, char *room, size_t size)
{
	const char *name = err_name(error) + strlen("ERR_");
	size_t len = 0;

	for (; len < size && name[len] != '\0'; len++)
		room[len] = ch_lower(name[len]);
	return slice_of(room, len);
}

static void add_failures(const char *name, const struct tally *t, struct buf *out)
{
	char room[64];

	for (unsigned i = 0; i < ERR_COUNT; i++) {
		uint64_t count = atomic_load_explicit(&t->failures[i], memory_order_relaxed);

		if (count == 0)
			continue;
		report_text(out, slice_str(name));
		report_text(out, class_of((enum err)i, room, sizeof(room)));
		report_number(out, count);
		report_end_row(out);
	}
}

static void add_latency(const char *name, const struct tally *t, struct buf *out)
{
	struct histogram_view latency = histogram_read(&t->latency);

	report_text(out, slice_str(name));
	report_number(out, latency.sum_us);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		report_number(out, latency.buckets[i]);
	report_end_row(out);
}

static void each_tally(const struct inform_view *v,
		       void (*fn)(const char *name, const struct tally *t, struct buf *out),
		       struct buf *out)
{
	fn(FILES_NAME, v->env->files_tally, out);
	for (size_t i = 0; v->ring != NULL && i < keyring_token_count(v->ring); i++) {
		struct tokenlane *token = keyring_token(v->ring, i);

		fn(token_name(tokenlane_token(token)), tokenlane_tally(token), out);
	}
}

static void add_metrics(const struct inform_view *v, struct buf *out)
{
	add_status(v, out);
	add_tokens(v, out);
	report_section(out, SECTION_FAILURES);
	each_tally(v, add_failures, out);
	report_section(out, SECTION_LATENCY);
	each_tally(v, add_latency, out);
}

/* ---- keys ---- */

struct listing {
	const struct inform_view *view;
	struct buf *out;
	size_t rows;
};

/* What an audit found on each token that has it. */
static void add_attributes(const struct signkey *key, struct buf *out)
{
	char text[1024] = "";
	size_t len = 0;

	for (size_t i = 0; i < key->replica_count && len < sizeof(text); i++) {
		const struct replica *r = &key->replicas[i];
		char what[256];

		if (atomic_load(&r->state) != REPLICA_HERE)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? "; " : "",
					token_key_describe(r->key, what, sizeof(what)));
	}
	report_text(out, slice_str(key->file != NULL ? "key file" : text));
}

static void add_what_is_known(const struct signkey *key, struct buf *out)
{
	if (key == NULL || !atomic_load(&key->opened)) {
		report_text(out, SLICE_LIT(""));
		report_unknown(out);
		report_text(out, SLICE_LIT(""));
	} else {
		report_text(out, pubkey_type(key->pubkey) == KEY_TYPE_RSA ? SLICE_LIT("RSA")
									  : SLICE_LIT("Ed25519"));
		report_number(out, pubkey_bits(key->pubkey));
		add_attributes(key, out);
	}
}

static void add_failure(struct signkey *key, struct buf *out)
{
	struct signkey_failure f;

	if (key == NULL || !signkey_failure(key, &f)) {
		report_text(out, SLICE_LIT(""));
		report_unknown(out);
		report_text(out, SLICE_LIT(""));
		return;
	}
	report_text(out, slice_str(err_text(f.error)));
	report_number(out, (uint64_t)(clock_mono_ms() - f.at_ms) / 1000);
	report_text(out, slice_str(f.detail.text));
}

static bool add_key(void *ctx, const struct keyring_view *view)
{
	struct listing *l = ctx;
	struct signkey *key = view->key;

	if (l->rows >= INFORM_KEYS_MAX || l->out->len > KEYS_BYTES_MAX)
		return false;
	l->rows++;
	report_text(l->out, view->name.len > 0 ? view->name : SLICE_LIT("KeyFile"));
	report_text(l->out, view->domain);
	report_text(l->out, view->selector);
	report_text(l->out,
		    view->kind == KEYREF_PEM ? SLICE_LIT("text in the KeyTable") : view->ref);
	add_what_is_known(key, l->out);
	report_number(l->out, key != NULL
				      ? atomic_load_explicit(&key->signatures, memory_order_relaxed)
				      : 0);
	add_failure(key, l->out);
	report_end_row(l->out);
	if (l->rows % INFORM_SLICE_ROWS == 0 && l->view->between != NULL)
		l->view->between(l->view->ctx);
	return true;
}

static void add_keys(const struct inform_view *v, struct slice name, struct buf *out)
{
	struct listing l = { .view = v, .out = out };
	size_t count = v->ring != NULL ? keyring_key_count(v->ring) : 0;

	report_section(out, SECTION_KEYS);
	if (v->ring != NULL)
		keyring_each(v->ring, name, add_key, &l);
	if (name.len > 0 || count <= l.rows)
		return;
	report_section(out, SECTION_MORE);
	report_number(out, count - l.rows);
	report_end_row(out);
}

void inform(const struct inform_view *view, struct slice question, struct buf *out)
{
	static const struct slice keys_prefix = SLICE_INIT("keys ");

	if (slice_eq(question, SLICE_LIT("status"))) {
		add_status(view, out);
		add_tokens(view, out);
	} else if (slice_eq(question, SLICE_LIT("tokens"))) {
		add_tokens(view, out);
	} else if (slice_eq(question, SLICE_LIT("metrics"))) {
		add_metrics(view, out);
	} else if (slice_eq(question, SLICE_LIT("keys"))) {
		add_keys(view, SLICE_LIT(""), out);
	} else if (slice_starts(question, keys_prefix)) {
		add_keys(view, slice_sub(question, keys_prefix.len, question.len), out);
	}
}
