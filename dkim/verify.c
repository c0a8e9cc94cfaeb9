/* The signatures of one message: which are looked at, what they need, and their verdicts. */
#include "dkim/verify.h"

#include "base/limits.h"
#include "dkim/domain.h"
#include "dkim/headerb.h"
#include "dkim/verify_priv.h"

/* The canonical header of one signature, twice (as it is made and as it is kept), and a key. */
#define SCRATCH_BYTES ((size_t)2 * LIMIT_SIGN_INPUT_BYTES + (size_t)4 * LIMIT_KEY_RECORD_BYTES)

static const struct slice field_name = SLICE_INIT("DKIM-Signature");

/* What a signature that is worth it waits for. */
struct needs {
	size_t lookup;
	size_t body;
};

struct dkim_verifier {
	struct arena *arena;
	const struct hdrstore *headers;
	struct dkim_verify_params params;
	struct bodyhash *bodies;
	size_t found;
	size_t count; /* looked at */
	struct dkim_verdict *verdicts;
	struct needs *needs; /* beside verdicts; for those whose reason is GOOD so far */
	struct idn_name *names;
	size_t names_count;
	bool finished;
};

/* How near a signature's domain is to the author's; 0 is the same. */
#define RANKS 3u

/* @param author in A-labels: there may be thousands of fields, and libidn2 is not cheap */
static unsigned char rank_of(struct slice value, struct slice author)
{
	struct idn_name name;
	struct slice domain;

	if (idn_to_ascii(sighdr_peek_domain(value), &name) != ERR_OK)
		return 2;
	domain = slice_of(name.text, name.len);
	if (slice_eq(domain, author))
		return 0;
	return dkim_domain_in(author, domain) || dkim_domain_in(domain, author) ? 1 : 2;
}

/* Marks the nearest ones in ranks[] with RANKS, max_signatures of them. */
static void choose(const struct dkim_verifier *v, unsigned char *ranks)
{
	size_t left = v->params.max_signatures;
	struct idn_name author;

	if (idn_to_ascii(v->params.author_domain, &author) != ERR_OK)
		author.len = 0; /* nobody is near */
	for (size_t i = 0; i < v->found; i++)
		ranks[i] = rank_of(hdrstore_from_top(v->headers, field_name, i)->value,
				   slice_of(author.text, author.len));
	for (unsigned rank = 0; rank < RANKS; rank++) {
		for (size_t i = 0; i < v->found && left != 0; i++) {
			if (ranks[i] == rank) {
				ranks[i] = RANKS;
				left--;
			}
		}
	}
}

/* @return its index among the names to ask for */
static size_t want_lookup(struct dkim_verifier *v, const struct idn_name *name)
{
	size_t i = 0;

	while (i < v->names_count && !slice_eq(slice_of(v->names[i].text, v->names[i].len),
					       slice_of(name->text, name->len)))
		i++;
	if (i == v->names_count)
		v->names[v->names_count++] = *name;
	return i;
}

static enum err want(struct dkim_verifier *v, const struct sighdr *sig, struct needs *needs)
{
	uint64_t limit = sig->length == SIGHDR_NO_LENGTH ? BODYHASH_NO_LIMIT : sig->length;

	needs->lookup = want_lookup(v, &sig->key_name);
	return bodyhash_want(v->bodies, sig->body_canon, dkim_alg_info(sig->alg)->hash, limit,
			     &needs->body);
}

static enum err plan_one(struct dkim_verifier *v, const struct hdr *field)
{
	struct dkim_verdict *verdict = &v->verdicts[v->count];
	enum err e = sighdr_parse(v->arena, field->value, &v->params.time, &verdict->sig,
				  &verdict->reason);

	if (e != ERR_OK)
		return e;
	verdict->field = field;
	if (verdict->reason == DKIM_REASON_GOOD &&
	    hdrstore_count_name(v->headers, SLICE_LIT("From")) != 1)
		verdict->reason = DKIM_REASON_MSG_AUTHOR;
	if (verdict->reason == DKIM_REASON_GOOD)
		e = want(v, &verdict->sig, &v->needs[v->count]);
	v->count++;
	return e;
}

static enum err plan_all(struct dkim_verifier *v)
{
	unsigned char *ranks = arena_calloc(v->arena, v->found + 1, 1);
	enum err e = ERR_OK;

	if (ranks == NULL)
		return ERR_NOMEM;
	if (v->found > v->params.max_signatures)
		choose(v, ranks);
	else
		memset(ranks, RANKS, v->found);
	for (size_t i = 0; i < v->found && e == ERR_OK; i++)
		if (ranks[i] == RANKS)
			e = plan_one(v, hdrstore_from_top(v->headers, field_name, i));
	return e;
}

enum err dkim_verify_plan(struct arena *arena, const struct hdrstore *headers,
			  const struct dkim_verify_params *params,
			  struct dkim_verifier **ret_verifier)
{
	AUTO(dkim_verify_free)
	struct dkim_verifier *v = arena_calloc(arena, 1, sizeof(*v));
	size_t room;
	enum err e;

	if (v == NULL)
		return ERR_NOMEM;
	v->arena = arena;
	v->headers = headers;
	v->params = *params;
	if (v->params.max_signatures > LIMIT_VERIFY_SIGNATURES)
		v->params.max_signatures = LIMIT_VERIFY_SIGNATURES;
	v->found = hdrstore_count_name(headers, field_name);
	room = v->found < v->params.max_signatures ? v->found : v->params.max_signatures;
	v->verdicts = arena_calloc(arena, room + 1, sizeof(*v->verdicts));
	v->needs = arena_calloc(arena, room + 1, sizeof(*v->needs));
	v->names = arena_calloc(arena, room + 1, sizeof(*v->names));
	if (v->verdicts == NULL || v->needs == NULL || v->names == NULL)
		return ERR_NOMEM;
	e = bodyhash_new(arena, &v->bodies);
	if (e == ERR_OK)
		e = plan_all(v);
	if (e != ERR_OK)
		return e;
	*ret_verifier = v;
	v = NULL; /* handed over */
	return ERR_OK;
}

void dkim_verify_free(struct dkim_verifier **verifier)
{
	if (verifier == NULL || *verifier == NULL)
		return;
	bodyhash_free(&(*verifier)->bodies);
	*verifier = NULL;
}

size_t dkim_verify_found(const struct dkim_verifier *v)
{
	return v->found;
}

size_t dkim_verify_lookups(const struct dkim_verifier *v, const struct idn_name **ret_names)
{
	*ret_names = v->names;
	return v->names_count;
}

void dkim_verify_body(struct dkim_verifier *v, const char *data, size_t len)
{
	bodyhash_update(v->bodies, data, len);
}

/* Whether it must still be seen if the body is longer than l=, or how long it is. */
static bool length_open(const struct dkim_verifier *v, size_t i)
{
	uint64_t length = v->verdicts[i].sig.length;

	if (v->verdicts[i].reason != DKIM_REASON_GOOD || length == SIGHDR_NO_LENGTH)
		return false;
	if (v->params.minimum == DKIM_MINIMUM_PERCENT || v->params.minimum == DKIM_MINIMUM_BUT)
		return true;
	return bodyhash_length(v->bodies, v->needs[i].body) <= length;
}

bool dkim_verify_body_satisfied(const struct dkim_verifier *v)
{
	for (size_t i = 0; i < v->count; i++)
		if (length_open(v, i))
			return false;
	return bodyhash_satisfied(v->bodies);
}

static void finish_one(const struct dkim_verifier *v, struct arena *scratch, size_t i,
		       const struct dkim_key_answer *answers)
{
	struct dkim_verdict *verdict = &v->verdicts[i];

	if (verdict->reason == DKIM_REASON_GOOD) {
		struct verify_job job = {
			.scratch = scratch,
			.headers = v->headers,
			.params = &v->params,
			.body_digest = bodyhash_digest(v->bodies, v->needs[i].body),
			.body_length = bodyhash_length(v->bodies, v->needs[i].body),
		};

		arena_reset(scratch);
		verdict->reason = verify_check(&job, &answers[v->needs[i].lookup], verdict);
	}
	verdict->result = dkim_reason_result(verdict->reason);
}

enum err dkim_verify_finish(struct dkim_verifier *v, const struct dkim_key_answer *answers)
{
	AUTO(arena_free) struct arena *scratch = arena_new(SCRATCH_BYTES);
	enum err e = bodyhash_finish(v->bodies);

	if (scratch == NULL)
		return ERR_NOMEM;
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < v->count; i++)
		finish_one(v, scratch, i, answers);
	headerb_set(v->verdicts, v->count);
	v->finished = true;
	return ERR_OK;
}

size_t dkim_verify_verdicts(const struct dkim_verifier *v, const struct dkim_verdict **ret_verdicts)
{
	*ret_verdicts = v->verdicts;
	return v->finished ? v->count : 0;
}

enum dkim_cause dkim_verify_cause(const struct dkim_verdict *verdicts, size_t count)
{
	/* From what matters least. */
	static const enum dkim_cause order[] = {
		DKIM_CAUSE_NONE,     DKIM_CAUSE_KEY_NOT_FOUND, DKIM_CAUSE_BAD_SIGNATURE,
		DKIM_CAUSE_INTERNAL, DKIM_CAUSE_DNS,
	};
	size_t worst = 0;

	for (size_t i = 0; i < count; i++) {
		enum dkim_cause cause = dkim_reason_cause(verdicts[i].reason);
		size_t at = 0;

		if (verdicts[i].result == DKIM_RESULT_PASS)
			return DKIM_CAUSE_NONE;
		while (order[at] != cause)
			at++;
		if (!verdicts[i].testing && at > worst)
			worst = at;
	}
	return order[worst];
}
