/* One message: see message.h. */
#include "daemon/message.h"

#include "base/log.h"
#include "base/text.h"
#include "daemon/reply.h"
#include "daemon/signing.h"
#include "dkim/bodyhash.h"

#define QUEUE_ID_BYTES 64u
#define SIGNATURE_FIELD "DKIM-Signature"

struct message {
	struct milter_env *env;
	struct arena *arena;
	const struct message_peer *peer;
	struct snapshot *snapshot; /* NULL until the first header field */
	bool counted;		   /* in env->in_flight */

	struct slice *recipients;
	size_t recipients_count;
	size_t recipients_room;

	struct hdrstore *headers;
	bool headers_ended;
	struct decision decision;
	struct signing *signing;
	struct bodyhash *body;
	size_t body_id;

	/* Once failed, the rest of the message is only waited for. */
	bool failed;
	bool told; /* in the log */
	enum err error;
	enum policy policy;
	struct err_detail detail;
};

static void fail(struct message *m, enum policy policy, enum err err)
{
	if (m->failed)
		return; /* the first cause is the one to tell */
	m->failed = true;
	m->error = err;
	m->policy = policy;
}

/* The MTA knows the queue id only after the first recipient, so it is asked each time. */
static const char *queue_id(const struct mta *mta, char *out, size_t out_size)
{
	const char *id = mta->ops->macro(mta->ctx, "i");

	if (id == NULL || *id == '\0')
		return "(unknown-jobid)";
	return text_sanitize(slice_str(id), out, out_size);
}

enum err message_begin(struct milter_env *env, struct arena *arena, const struct message_peer *peer,
		       struct message **ret_message)
{
	struct message *m = arena_calloc(arena, 1, sizeof(*m));

	if (m == NULL)
		return ERR_NOMEM;
	m->env = env;
	m->arena = arena;
	m->peer = peer;
	m->counted = !atomic_load(&env->draining);
	if (m->counted)
		atomic_fetch_add(&env->in_flight, 1);
	*ret_message = m;
	return ERR_OK;
}

/* Pin the configuration in force. Not before it is needed: between MAIL FROM and the header an SMTP
 * client may take minutes, and the signer does not keep old tables for ever. */
static enum err pin(struct message *m)
{
	if (m->snapshot != NULL)
		return ERR_OK;
	m->snapshot = snapshot_pin(m->env->slot);
	if (m->snapshot == NULL)
		return ERR_CONFIG;
	return hdrstore_new(m->arena, (size_t)m->snapshot->settings->maximum_headers, &m->headers);
}

void message_done(struct message **message)
{
	struct message *m = *message;

	if (m == NULL)
		return;
	signing_done(&m->signing);
	bodyhash_free(&m->body);
	snapshot_unref(&m->snapshot);
	if (m->counted)
		atomic_fetch_sub(&m->env->in_flight, 1);
	*message = NULL; /* its memory is the arena's */
}

static struct slice without_brackets(struct slice address)
{
	if (address.len >= 2 && address.ptr[0] == '<' && address.ptr[address.len - 1] == '>')
		return slice_sub(address, 1, address.len - 1);
	return address;
}

static enum err grow_recipients(struct message *m)
{
	size_t room = m->recipients_room != 0 ? 2 * m->recipients_room : 8;
	struct slice *list = arena_calloc(m->arena, room, sizeof(*list));

	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < m->recipients_count; i++)
		list[i] = m->recipients[i];
	m->recipients = list;
	m->recipients_room = room;
	return ERR_OK;
}

void message_recipient(struct message *m, struct slice address)
{
	enum err err = ERR_OK;

	if (m->failed)
		return;
	if (m->recipients_count == m->recipients_room)
		err = grow_recipients(m);
	if (err == ERR_OK)
		err = arena_dup(m->arena, without_brackets(address),
				&m->recipients[m->recipients_count]);
	if (err == ERR_OK)
		m->recipients_count++;
	else
		fail(m, POLICY_INTERNAL_ERROR, err);
}

void message_header(struct message *m, struct slice name, struct slice value)
{
	enum err err;

	/* A field behind the header is a broken MTA's; what was decided stays decided. */
	if (m->failed || m->headers_ended)
		return;
	err = pin(m);
	if (err != ERR_OK) {
		fail(m, POLICY_INTERNAL_ERROR, err);
		return;
	}
	err = hdrstore_add(m->headers, name, value, m->peer->leading_space);
	if (err == ERR_LIMIT)
		err_detail_set(&m->detail, "more than %zu fields or %lld bytes (MaximumHeaders)",
			       (size_t)LIMIT_HEADER_FIELDS,
			       (long long)m->snapshot->settings->maximum_headers);
	if (err != ERR_OK)
		fail(m, err == ERR_LIMIT ? POLICY_SECURITY : POLICY_INTERNAL_ERROR, err);
}

static enum err start_signing(struct message *m)
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

static void log_notes(const struct message *m, const struct mta *mta)
{
	char text[QUEUE_ID_BYTES];
	const char *id;

	if (m->decision.notes_count == 0)
		return;
	id = queue_id(mta, text, sizeof(text));
	for (size_t i = 0; i < m->decision.notes_count; i++)
		log_line(m->decision.notes[i].level, "%s: %s", id, m->decision.notes[i].text);
}

void message_end_headers(struct message *m, const struct mta *mta)
{
	struct decide_input input = {
		.host = m->peer->host,
		.addr = m->peer->addr,
		.macro = mta->ops->macro,
		.macro_ctx = mta->ctx,
		.recipients = m->recipients,
		.recipients_count = m->recipients_count,
	};
	enum err err;

	if (m->headers_ended)
		return;
	m->headers_ended = true;
	if (m->failed)
		return;
	err = pin(m);
	if (err == ERR_OK) {
		input.headers = m->headers;
		err = decide(&m->snapshot->rules, &input, m->arena, &m->decision);
		log_notes(m, mta);
	}
	if (err == ERR_OK && m->decision.kind == DECIDE_FAIL)
		err = m->decision.error;
	if (err == ERR_OK && m->decision.kind == DECIDE_SIGN)
		err = start_signing(m);
	if (err != ERR_OK)
		fail(m, policy_for_signing(err), err);
}

void message_body(struct message *m, const char *data, size_t len)
{
	if (m->body != NULL && !m->failed)
		bodyhash_update(m->body, data, len);
}

bool message_body_satisfied(const struct message *m)
{
	return m->failed || m->body == NULL || bodyhash_satisfied(m->body);
}

bool message_settled(const struct message *m)
{
	return m->failed || (m->headers_ended && m->decision.kind == DECIDE_PASS);
}

/* --- end of message ------------------------------------------------------------------------------
 */

/* The line that OpenDKIM writes, for those who search for it. */
static void log_opendkim_line(const char *id, const struct signature *sig)
{
	if (sig->error == ERR_KEY_UNKNOWN)
		log_line(LOG_LEVEL_ERROR, "%s: signing table references unknown key '%s'", id,
			 sig->key_name);
	else if (sig->error == ERR_KEY_MISSING || sig->error == ERR_FILE_UNSAFE)
		log_line(LOG_LEVEL_ERROR, "%s: error loading key '%s'", id, sig->key_name);
}

static void log_failure(const struct message *m, const char *id, const struct signature *sig)
{
	enum policy policy = policy_for_signing(sig->error);
	enum settings_action action = policy_action(policy, m->snapshot->settings);
	char domain[LIMIT_DOMAIN_BYTES + 8];
	char selector[LIMIT_SELECTOR_BYTES + 8];
	char detail[sizeof(sig->detail->text) + 64];

	(void)text_sanitize(sig->key != NULL ? slice_str(sig->key->domain)
					     : m->decision.author_domain,
			    domain, sizeof(domain));
	(void)text_sanitize(slice_str(sig->key != NULL ? sig->key->selector : "?"), selector,
			    sizeof(selector));
	(void)text_sanitize(slice_str(sig->detail->text), detail, sizeof(detail));
	log_opendkim_line(id, sig);
	log_line(LOG_LEVEL_ERROR, "%s: cannot sign: d=%s s=%s key=%s: %s%s%s; %s (%s); %s", id,
		 domain, selector, sig->key_name, err_text(sig->error),
		 detail[0] != '\0' ? ": " : "", detail, reply_outcome(action), policy_name(policy),
		 reply_advice(sig->error));
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
			fail(m, POLICY_INTERNAL_ERROR, ERR_IO);
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
		fail(m, policy, sig->error);
		m->told = true;
	}
}

void message_end(struct message *m, const struct mta *mta)
{
	char id_text[QUEUE_ID_BYTES];
	const char *id;
	enum err err;

	message_end_headers(m, mta); /* a message without an end of headers ends them here */
	if (m->failed || m->signing == NULL)
		return;
	err = make_signatures(m);
	if (err != ERR_OK) {
		fail(m, policy_for_signing(err), err);
		return;
	}
	id = queue_id(mta, id_text, sizeof(id_text));
	take_failures(m, id);
	/* With On-... accept the signatures that could be made are better than none. */
	if (!m->failed || policy_action(m->policy, m->snapshot->settings) == ACTION_ACCEPT)
		insert_signatures(m, mta, id);
}

static void log_refusal(const struct message *m, const struct mta *mta, enum settings_action action)
{
	char id[QUEUE_ID_BYTES];
	char domain[LIMIT_DOMAIN_BYTES + 8];

	(void)text_sanitize(m->decision.author_domain, domain, sizeof(domain));
	if (m->policy == POLICY_SECURITY)
		log_line(LOG_LEVEL_NOTICE, "%s: too much header data: %s; %s (%s)",
			 queue_id(mta, id, sizeof(id)), m->detail.text, reply_outcome(action),
			 policy_name(m->policy));
	else
		log_line(LOG_LEVEL_ERROR, "%s: cannot sign: d=%s: %s%s%s; %s (%s); %s",
			 queue_id(mta, id, sizeof(id)), domain, err_text(m->error),
			 m->detail.text[0] != '\0' ? ": " : "", m->detail.text,
			 reply_outcome(action), policy_name(m->policy), reply_advice(m->error));
}

enum answer message_answer(struct message *m, const struct mta *mta)
{
	enum settings_action action;
	struct reply reply;

	if (!m->failed)
		return ANSWER_ACCEPT;
	action = m->snapshot != NULL ? policy_action(m->policy, m->snapshot->settings)
				     : ACTION_TEMPFAIL; /* nothing says otherwise */
	reply = reply_for(m->policy, action);
	if (!m->told)
		log_refusal(m, mta, action);
	m->told = true;
	if (reply.code != NULL)
		(void)mta->ops->set_reply(mta->ctx, reply.code, reply.xcode, reply.text);
	if (reply.quarantine && !mta->ops->quarantine(mta->ctx, reply.text))
		return ANSWER_TEMPFAIL; /* better late than unmarked */
	return reply.answer;
}
