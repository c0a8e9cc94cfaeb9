/* A message that is signed: see message_priv.h. */
#include "daemon/message_priv.h"

#include "base/log.h"
#include "base/text.h"

#define SIGNATURE_FIELD "DKIM-Signature"

enum err message_sign_start(struct message *m)
{
	const struct settings *s = m->snapshot->settings;
	enum dkim_canon canon = (s->canonicalization & CANONICALIZATION_RELAXED_BODY) != 0
					? DKIM_CANON_RELAXED
					: DKIM_CANON_SIMPLE;
	enum err err = bodyhash_new(m->arena, &m->body);

	if (err == ERR_OK)
		err = bodyhash_want(m->body, canon, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT,
				    &m->body_id);
	if (err == ERR_OK)
		err = signing_start(m->arena, m->env->signer, m->snapshot, &m->decision,
				    m->env->clock->mono_ms() + s->token_timeout_ms, &m->signing);
	return err;
}

/* The line that OpenDKIM writes, for those who search for it. */
static void log_opendkim_line(const char *id, const struct signature *sig)
{
	if (sig->error == ERR_KEY_UNKNOWN)
		log_line(LOG_LEVEL_ERROR, "%s: signing table references unknown key '%s'", id,
			 sig->key_name);
	else if (sig->error == ERR_KEY_MISSING || sig->error == ERR_FILE_UNSAFE)
		log_line(LOG_LEVEL_ERROR, "%s: error loading key '%s'", id, sig->key_name);
}

/* d= and s=: of the key, else what its row of the KeyTable says, else what is left to say. */
static struct sigkey_names names_of(const struct message *m, const struct signature *sig)
{
	struct sigkey_names names;
	struct slice domain = m->decision.author_domain;
	const char *selector = "?";

	if (sig->key != NULL || sig->names.domain[0] != '\0')
		domain = slice_str(sig->key != NULL ? sig->key->domain : sig->names.domain);
	if (sig->key != NULL || sig->names.selector[0] != '\0')
		selector = sig->key != NULL ? sig->key->selector : sig->names.selector;
	(void)text_sanitize(domain, names.domain, sizeof(names.domain));
	(void)text_sanitize(slice_str(selector), names.selector, sizeof(names.selector));
	return names;
}

static void log_failure(const struct message *m, const char *id, const struct signature *sig)
{
	enum policy policy = policy_for_signing(sig->error);
	enum settings_action action = policy_action(policy, m->snapshot->settings);
	const struct sigkey_names names = names_of(m, sig);
	char detail[sizeof(sig->detail->text) + 64];

	(void)text_sanitize(slice_str(sig->detail->text), detail, sizeof(detail));
	log_opendkim_line(id, sig);
	log_line(LOG_LEVEL_ERROR, "%s: cannot sign: d=%s s=%s key=%s: %s%s%s; %s (%s); %s", id,
		 names.domain, names.selector, sig->key_name, err_text(sig->error),
		 detail[0] != '\0' ? ": " : "", detail, reply_outcome(action, true),
		 policy_name(policy), reply_advice(sig->error));
}

static enum err make_signatures(struct message *m)
{
	struct signing_input input = {
		.headers = m->headers,
		.now_s = m->env->clock->wall_s(),
		.now_ms = m->env->clock->mono_ms(),
		.leading_space = m->peer->leading_space,
	};
	enum err err = bodyhash_finish(m->body);

	if (err != ERR_OK)
		return err;
	input.body_digest = bodyhash_digest(m->body, m->body_id);
	input.deadline_ms = input.now_ms + m->snapshot->settings->token_timeout_ms;
	signing_finish(m->signing, &input);
	return ERR_OK;
}

/* In the SigningTable's order, each above the others, as OpenDKIM does. */
static void insert_signatures(struct message *m, const struct mta *mta, const char *id)
{
	for (size_t i = 0; i < signing_count(m->signing); i++) {
		const struct signature *sig = signing_at(m->signing, i);

		if (sig->error != ERR_OK)
			continue;
		if (!mta->ops->insert_header(mta->ctx, 0, SIGNATURE_FIELD, sig->value.ptr)) {
			err_detail_set(&m->detail, "the MTA refused the header field");
			message_fail(m, POLICY_INTERNAL_ERROR, ERR_IO);
			return;
		}
	}
	for (size_t i = 0; i < signing_count(m->signing); i++) {
		const struct signature *sig = signing_at(m->signing, i);
		char selector[LIMIT_SELECTOR_BYTES + 8];
		char domain[LIMIT_DOMAIN_BYTES + 8];

		if (sig->error != ERR_OK || !m->snapshot->settings->syslog_success)
			continue;
		(void)text_sanitize(slice_str(sig->key->selector), selector, sizeof(selector));
		(void)text_sanitize(slice_str(sig->key->domain), domain, sizeof(domain));
		log_line(LOG_LEVEL_INFO, "%s: DKIM-Signature field added (s=%s, d=%s)", id,
			 selector, domain);
	}
}

/* Which of two answers holds when two signatures of a message failed: to try again is never wrong,
 * and what one setting forbids the other does not allow. */
static bool stricter(enum settings_action a, enum settings_action b)
{
	static const int rank[] = {
		[ACTION_ACCEPT] = 0, [ACTION_QUARANTINE] = 1, [ACTION_DISCARD] = 2,
		[ACTION_REJECT] = 3, [ACTION_TEMPFAIL] = 4,   [ACTION_UNSET] = 4
	};

	return rank[a] > rank[b];
}

/* A line for each signature that failed; the message fails by the strictest of their settings. */
static void take_failures(struct message *m, const char *id)
{
	const struct settings *s = m->snapshot->settings;

	for (size_t i = 0; i < signing_count(m->signing); i++) {
		const struct signature *sig = signing_at(m->signing, i);
		enum policy policy = policy_for_signing(sig->error);

		if (sig->error == ERR_OK)
			continue;
		log_failure(m, id, sig);
		if (m->failed && !stricter(policy_action(policy, s), policy_action(m->policy, s)))
			continue;
		m->failed = false;
		message_fail(m, policy, sig->error);
		m->told = true;
	}
}

void message_sign_end(struct message *m, const struct mta *mta)
{
	char id_text[QUEUE_ID_BYTES];
	const char *id;
	enum err err = make_signatures(m);

	if (err != ERR_OK) {
		message_fail(m, policy_for_signing(err), err);
		return;
	}
	id = message_queue_id(mta, id_text, sizeof(id_text));
	take_failures(m, id);
	/* With On-... accept the signatures that could be made are better than none. */
	if (!m->failed || message_action(m) == ACTION_ACCEPT)
		insert_signatures(m, mta, id);
}
