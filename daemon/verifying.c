/* The signatures of one message: see verifying.h. */
#include "daemon/verifying.h"

#include "daemon/keylookup.h"
#include "dkim/idn.h"

struct verifying {
	struct arena *arena;
	struct verifying_input in;
	struct dkim_verify_params params; /* the verifier points to it */
	struct dkim_verifier *verifier;
	struct keylookup *lookup;      /* NULL: there is nothing to ask */
	struct dkim_verdict *verdicts; /* first those that count, then the others */
	size_t count;
	size_t ignored;
};

enum err verifying_start(struct arena *arena, const struct verifying_input *input,
			 struct verifying **ret_verifying)
{
	struct verifying *v = arena_calloc(arena, 1, sizeof(*v));
	const struct idn_name *names;
	size_t count;
	enum err err;

	if (v == NULL)
		return ERR_NOMEM;
	v->arena = arena;
	v->in = *input;
	v->params = input->rules->params;
	v->params.time.now = input->now_s;
	v->params.author_domain = input->author_domain;
	err = dkim_verify_plan(arena, input->headers, &v->params, &v->verifier);
	if (err != ERR_OK)
		return err;
	count = dkim_verify_lookups(v->verifier, &names);
	if (count != 0 && input->dns != NULL)
		err = keylookup_start(arena, input->dns, names, count, &v->lookup);
	if (err == ERR_OK)
		*ret_verifying = v;
	else
		verifying_done(&v);
	return err;
}

void verifying_body(struct verifying *v, const char *data, size_t len)
{
	dkim_verify_body(v->verifier, data, len);
}

bool verifying_body_satisfied(const struct verifying *v)
{
	return dkim_verify_body_satisfied(v->verifier);
}

static enum err take_answers(struct verifying *v, bool dnssec,
			     const struct dkim_key_answer **ret_answers)
{
	const struct idn_name *names;
	size_t count = dkim_verify_lookups(v->verifier, &names);
	struct dkim_key_answer *failed;

	if (v->lookup != NULL)
		return keylookup_finish(v->lookup, v->in.deadline_ms, dnssec, ret_answers);
	failed = arena_calloc(v->arena, count + 1, sizeof(*failed));
	if (failed == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		failed[i].status = DKIM_KEY_FAILED;
	*ret_answers = failed;
	return ERR_OK;
}

/* TrustSignaturesFrom: third parties count when they are listed. One that cannot be read is
 * nobody's, and counts: it has something to tell about the message. */
static enum err counts(const struct verifying *v, const struct dkim_verdict *verdict,
		       bool *ret_counts)
{
	const struct dataset *trusted = v->in.rules->trust_signatures_from;
	struct slice domain = verdict->sig.domain;
	struct idn_name ascii;
	enum err err;

	*ret_counts = true;
	if (trusted == NULL || slice_empty(domain) || idn_in(v->in.author_domain, domain))
		return ERR_OK;
	err = dataset_holds(trusted, domain, ret_counts);
	if (err == ERR_OK && !*ret_counts && idn_to_ascii(domain, &ascii) == ERR_OK)
		err = dataset_holds(trusted, slice_of(ascii.text, ascii.len), ret_counts);
	return err;
}

static enum err sort_out(struct verifying *v)
{
	const struct dkim_verdict *all;
	size_t count = dkim_verify_verdicts(v->verifier, &all);

	v->verdicts = arena_calloc(v->arena, count + 1, sizeof(*v->verdicts));
	if (v->verdicts == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		bool good = false;
		enum err err = counts(v, &all[i], &good);

		if (err != ERR_OK)
			return err;
		if (good)
			v->verdicts[v->count++] = all[i];
		else
			v->verdicts[count - ++v->ignored] = all[i];
	}
	return ERR_OK;
}

enum err verifying_finish(struct verifying *v, bool dnssec)
{
	const struct dkim_key_answer *answers = NULL;
	enum err err = take_answers(v, dnssec, &answers);

	if (err == ERR_OK)
		err = dkim_verify_finish(v->verifier, answers);
	return err == ERR_OK ? sort_out(v) : err;
}

size_t verifying_found(const struct verifying *v)
{
	return dkim_verify_found(v->verifier);
}

size_t verifying_verdicts(const struct verifying *v, const struct dkim_verdict **ret_verdicts)
{
	*ret_verdicts = v != NULL ? v->verdicts : NULL;
	return v != NULL ? v->count : 0;
}

size_t verifying_ignored(const struct verifying *v, const struct dkim_verdict **ret_verdicts)
{
	*ret_verdicts = v->verdicts + v->count;
	return v->ignored;
}

void verifying_done(struct verifying **v)
{
	if (*v == NULL)
		return;
	keylookup_free(&(*v)->lookup);
	dkim_verify_free(&(*v)->verifier);
	*v = NULL; /* its memory is the arena's */
}
