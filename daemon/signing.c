/* The signatures of one message: see signing.h. Steps "end of headers" and "end of message". */
#include "daemon/signing.h"

#include "base/text.h"
#include "config/settings.h"
#include "dkim/idn.h"

#include <string.h>

/* A key name in a log line is cut at this many bytes. */
#define SHOWN_BYTES 256u

struct slot {
	struct signature pub;
	struct err_detail detail;
	const struct signtable_match *match;
	struct sigjob *job; /* what the signer works on: the key, then the signature */
	struct sigkey *key;
	struct dkim_sign_prepared *prepared;
};

struct signing {
	struct arena *arena;
	struct sigclient *signer;
	const struct snapshot *snapshot;
	struct slice from_domain;
	size_t count;
	struct slot *slots;
};

static void fail(struct slot *slot, enum err err)
{
	slot->pub.error = err;
}

static void open_key(struct signing *s, struct slot *slot, int64_t deadline_ms)
{
	uint32_t generation = s->snapshot->generation;
	struct slice name = slot->match->key_name;
	enum err err;

	/* As a rule: so no job is held while the body arrives. */
	slot->key = sigclient_known(s->signer, generation, name, s->from_domain);
	slot->pub.key = slot->key;
	if (slot->key != NULL)
		return;
	err = sigclient_open(s->signer, generation, name, s->from_domain, deadline_ms, &slot->job);
	if (err != ERR_OK)
		fail(slot, err);
}

enum err signing_start(struct arena *arena, struct sigclient *signer,
		       const struct snapshot *snapshot, const struct decision *decision,
		       int64_t deadline_ms, struct signing **ret_signing)
{
	struct signing *s = arena_calloc(arena, 1, sizeof(*s));
	char name[SHOWN_BYTES];

	if (s == NULL)
		return ERR_NOMEM;
	s->arena = arena;
	s->signer = signer;
	s->snapshot = snapshot;
	s->from_domain = decision->key_domain;
	s->slots = arena_calloc(arena, decision->keys_count, sizeof(*s->slots));
	if (s->slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < decision->keys_count; i++) {
		struct slice copy;

		/* The single key has no name in a table; the log says which setting it is. */
		(void)text_sanitize(slice_empty(decision->keys[i].key_name)
					    ? SLICE_LIT("KeyFile")
					    : decision->keys[i].key_name,
				    name, sizeof(name));
		if (arena_dup(arena, slice_str(name), &copy) != ERR_OK)
			return ERR_NOMEM;
		s->slots[i].match = &decision->keys[i];
		s->slots[i].pub.key_name = copy.ptr;
		s->slots[i].pub.detail = &s->slots[i].detail;
	}
	s->count = decision->keys_count;
	for (size_t i = 0; i < s->count; i++)
		open_key(s, &s->slots[i], deadline_ms);
	*ret_signing = s;
	return ERR_OK;
}

/* A body may take longer than the signer was given for the key: then it is asked once more. */
static void wait_key(struct signing *s, struct slot *slot, const struct signing_input *input)
{
	enum err err;

	if (slot->job == NULL)
		return;
	err = sigclient_open_wait(&slot->job, &slot->key, &slot->pub.names, &slot->detail);
	if (err == ERR_TIMEOUT && input->now_ms < input->deadline_ms) {
		open_key(s, slot, input->deadline_ms);
		if (slot->job == NULL)
			return;
		err = sigclient_open_wait(&slot->job, &slot->key, &slot->pub.names, &slot->detail);
	}
	if (err != ERR_OK)
		fail(slot, err);
	else
		slot->pub.key = slot->key;
}

/* i= must be in d=, else it is left out as OpenDKIM does. */
static struct slice usable_identity(struct slice identity, struct slice domain)
{
	size_t at = slice_rfind(identity, '@');

	if (at == identity.len || !idn_in(slice_sub(identity, at + 1, identity.len), domain))
		return (struct slice){ "", 0 };
	return identity;
}

static void ask_signature(struct signing *s, struct slot *slot, const struct signing_input *input)
{
	const struct settings *settings = s->snapshot->settings;
	struct dkim_sign_params params = {
		.select = s->snapshot->hdrselect,
		.header_canon = (input->canonicalization & CANONICALIZATION_RELAXED_HEADER) != 0
					? DKIM_CANON_RELAXED
					: DKIM_CANON_SIMPLE,
		.body_canon = (input->canonicalization & CANONICALIZATION_RELAXED_BODY) != 0
				      ? DKIM_CANON_RELAXED
				      : DKIM_CANON_SIMPLE,
		.now = input->now_s,
		.ttl_s = settings->signature_ttl_s,
		.copy_headers = settings->diagnostics,
		.request_reports = settings->request_reports,
		.write_length = input->write_length,
		.body_length = input->body_length,
		.body_digest = input->body_digest,
		.leading_space = input->leading_space,
	};
	struct dkim_sign_request request = { .alg = slot->key->alg };
	struct slice digest;
	struct slice bytes;
	enum err err;

	request.domain = slice_str(slot->key->domain);
	request.selector = slice_str(slot->key->selector);
	request.identity = usable_identity(slot->match->identity, request.domain);
	err = dkim_sign_prepare(s->arena, input->headers, &params, &request, &slot->prepared,
				&bytes, &digest);
	if (err == ERR_OK)
		err = sigclient_sign(s->signer, s->snapshot->generation, slot->key, s->from_domain,
				     slot->key->wants_input ? bytes : digest, input->deadline_ms,
				     &slot->job);
	if (err != ERR_OK)
		fail(slot, err);
}

static void wait_signature(struct signing *s, struct slot *slot)
{
	unsigned char bytes[LIMIT_SIGNATURE_BYTES];
	size_t len = 0;
	enum err err = sigclient_sign_wait(&slot->job, bytes, &len, &slot->detail);

	if (err == ERR_OK)
		err = dkim_sign_finish(s->arena, slot->prepared, slice_of(bytes, len),
				       &slot->pub.value);
	if (err != ERR_OK)
		fail(slot, err);
}

void signing_finish(struct signing *s, const struct signing_input *input)
{
	for (size_t i = 0; i < s->count; i++)
		wait_key(s, &s->slots[i], input);
	for (size_t i = 0; i < s->count; i++) {
		if (s->slots[i].pub.error == ERR_OK)
			ask_signature(s, &s->slots[i], input);
	}
	for (size_t i = 0; i < s->count; i++) {
		if (s->slots[i].pub.error == ERR_OK)
			wait_signature(s, &s->slots[i]);
	}
}

size_t signing_count(const struct signing *s)
{
	return s->count;
}

const struct signature *signing_at(const struct signing *s, size_t i)
{
	return &s->slots[i].pub;
}

void signing_done(struct signing **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < (*s)->count; i++) {
		sigjob_free(&(*s)->slots[i].job);
		sigkey_unref(&(*s)->slots[i].key);
	}
	*s = NULL; /* its memory is the arena's */
}
