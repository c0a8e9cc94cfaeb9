/* One message: see message.h. */
#include "daemon/message_priv.h"

#include "base/log.h"
#include "base/text.h"
#include "daemon/authfields.h"

#include <stdio.h>

void message_fail(struct message *m, enum policy policy, enum err err)
{
	if (m->failed)
		return;
	m->failed = true;
	m->error = err;
	m->policy = policy;
}

const char *message_queue_id(const struct mta *mta, char *out, size_t out_size)
{
	const char *id = mta->ops->macro(mta->ctx, "i");

	if (id == NULL || *id == '\0')
		return "(unknown-jobid)";
	return text_sanitize(slice_str(id), out, out_size);
}

enum settings_action message_action(const struct message *m)
{
	if (m->snapshot == NULL)
		return ACTION_TEMPFAIL; /* nothing says otherwise */
	return policy_action(m->policy, m->snapshot->settings);
}

bool message_goes_on(const struct message *m)
{
	enum settings_action action;

	if (!m->failed)
		return true;
	action = message_action(m);
	return action == ACTION_ACCEPT || action == ACTION_QUARANTINE;
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
	m->sender = slice_of("", 0);
	mailcount_seen(&env->mail);
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
	verifying_done(&m->verifying);
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

void message_sender(struct message *m, const char *address)
{
	enum err err = arena_dup(m->arena, without_brackets(slice_str(address)), &m->sender);

	if (err != ERR_OK)
		message_fail(m, POLICY_INTERNAL_ERROR, err);
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
		message_fail(m, POLICY_INTERNAL_ERROR, err);
}

/* Authentication-Results that nobody reads are counted, to be removed unread. */
static void not_stored(struct message *m, struct slice name)
{
	if (slice_ieq(slice_trim(name), SLICE_LIT(AUTHFIELDS_NAME)))
		m->unseen_results++;
}

void message_header(struct message *m, struct slice name, struct slice value)
{
	enum err err;

	/* A field behind the header is a broken MTA's; what was decided stays decided. */
	if (m->headers_ended)
		return;
	if (m->failed) {
		not_stored(m, name);
		return;
	}
	err = pin(m);
	if (err != ERR_OK) {
		message_fail(m, POLICY_INTERNAL_ERROR, err);
		return;
	}
	err = hdrstore_add(m->headers, name, value, m->peer->leading_space);
	if (err != ERR_OK)
		not_stored(m, name);
	if (err == ERR_LIMIT)
		err_detail_set(&m->detail, "more than %zu fields or %lld bytes (MaximumHeaders)",
			       (size_t)LIMIT_HEADER_FIELDS,
			       (long long)m->snapshot->settings->maximum_headers);
	if (err != ERR_OK)
		message_fail(m, err == ERR_LIMIT ? POLICY_SECURITY : POLICY_INTERNAL_ERROR, err);
}

static void log_notes(const struct message *m, const struct mta *mta)
{
	char text[QUEUE_ID_BYTES];
	const char *id;

	if (m->decision.notes_count == 0)
		return;
	id = message_queue_id(mta, text, sizeof(text));
	for (size_t i = 0; i < m->decision.notes_count; i++)
		log_line(m->decision.notes[i].level, "%s: %s", id, m->decision.notes[i].text);
}

/* RequiredHeaders holds for all mail, signed or not. */
static bool refuse_malformed(struct message *m, const struct mta *mta)
{
	char id[QUEUE_ID_BYTES];

	if (!m->snapshot->settings->required_headers ||
	    required_headers_ok(m->headers, false, m->refusal))
		return false;
	log_line(LOG_LEVEL_INFO, "%s: RFC5322 header requirement error: %s",
		 message_queue_id(mta, id, sizeof(id)), m->refusal);
	message_fail(m, POLICY_SECURITY, ERR_SYNTAX);
	return true;
}

/* StrictHeaders: the message goes on as it is. What says so is written where Mode verifies. */
static void leave_unfit(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	bool signing = m->decision.kind == DECIDE_SIGN;
	char text[REQUIRED_TEXT_BYTES];
	char id[QUEUE_ID_BYTES];

	if (!s->strict_headers || (!signing && m->decision.kind != DECIDE_VERIFY) ||
	    required_headers_ok(m->headers, true, text))
		return;
	log_line(LOG_LEVEL_NOTICE,
		 "%s: RFC5322 header requirement error: %s; not %s (StrictHeaders)",
		 message_queue_id(mta, id, sizeof(id)), text, signing ? "signed" : "verified");
	m->unfit = true;
	m->malformed = true;
	m->decision.kind = (s->mode & MODE_VERIFY) != 0 ? DECIDE_VERIFY : DECIDE_PASS;
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
	if (err == ERR_OK && refuse_malformed(m, mta))
		return;
	if (err == ERR_OK) {
		input.headers = m->headers;
		err = decide(&m->snapshot->rules, &input, m->arena, &m->decision);
		m->decided = err == ERR_OK;
		log_notes(m, mta);
		leave_unfit(m, mta);
	}
	if (err == ERR_OK && m->decision.kind == DECIDE_FAIL)
		err = m->decision.error;
	if (err == ERR_OK && m->decision.kind == DECIDE_SIGN)
		err = message_sign_start(m, mta);
	if (err == ERR_OK && m->decision.kind == DECIDE_VERIFY && !m->unfit)
		err = message_verify_start(m);
	if (err != ERR_OK)
		message_fail(m,
			     m->decision.kind == DECIDE_VERIFY ? policy_for_verifying(err)
							       : policy_for_signing(err),
			     err);
}

static void hash_body(void *ctx, const char *data, size_t len)
{
	struct message *m = ctx;

	if (m->body != NULL)
		bodyhash_update(m->body, data, len);
	if (m->verifying != NULL)
		verifying_body(m->verifying, data, len);
}

static bool fixes_crlf(const struct message *m)
{
	return m->snapshot != NULL && m->snapshot->settings->fix_crlf;
}

void message_body(struct message *m, const char *data, size_t len)
{
	if (m->failed)
		return;
	if (fixes_crlf(m))
		crlf_update(&m->crlf, data, len, hash_body, m);
	else
		hash_body(m, data, len);
}

bool message_body_satisfied(const struct message *m)
{
	return m->failed || ((m->body == NULL || bodyhash_satisfied(m->body)) &&
			     (m->verifying == NULL || verifying_body_satisfied(m->verifying)));
}

bool message_settled(const struct message *m)
{
	if (m->failed) /* what passes all the same is cleaned at its end */
		return !message_goes_on(m);
	return message_passes(m) && !m->decision.clean;
}

bool message_passes(const struct message *m)
{
	return m->headers_ended && !m->failed && m->decision.kind == DECIDE_PASS;
}

static bool may_verify(const struct message *m)
{
	return m->snapshot != NULL && (m->snapshot->settings->mode & MODE_VERIFY) != 0;
}

/* SoftwareHeader: who worked on the message. */
static void add_software_header(const struct message *m, const struct mta *mta)
{
	const char *id = mta->ops->macro(mta->ctx, "i");
	const char *host = mta->ops->macro(mta->ctx, "j");
	char shown[QUEUE_ID_BYTES];
	char text[512];

	(void)snprintf(text, sizeof(text), "%shsmdkim Filter v" HSMDKIM_VERSION " %s %s",
		       m->peer->leading_space ? " " : "",
		       host != NULL && *host != '\0' ? host : m->snapshot->verify->host_name,
		       id != NULL ? text_sanitize(slice_str(id), shown, sizeof(shown)) : "");
	if (!mta->ops->insert_header(mta->ctx, 0, "DKIM-Filter", text))
		log_line(LOG_LEVEL_WARNING, "%s: the MTA refused the field DKIM-Filter",
			 message_queue_id(mta, shown, sizeof(shown)));
}

void message_end(struct message *m, const struct mta *mta)
{
	message_end_headers(m, mta); /* a message without an end of headers ends them here */
	if (!m->failed && fixes_crlf(m))
		crlf_finish(&m->crlf, hash_body, m);
	if (m->signing != NULL && !m->failed)
		message_sign_end(m, mta);
	if (m->decision.kind == DECIDE_VERIFY || m->decision.clean ||
	    (!m->decided && may_verify(m)))
		message_verify_end(m, mta);
	if (m->snapshot != NULL && m->snapshot->settings->software_header &&
	    m->decision.kind != DECIDE_PASS && !m->unfit &&
	    (!m->failed || (m->verified && message_goes_on(m))))
		add_software_header(m, mta);
}

static void log_refusal(const struct message *m, const struct mta *mta, enum settings_action action)
{
	bool signing =
		m->decided ? m->decision.kind != DECIDE_VERIFY && !m->decision.clean
			   : m->snapshot == NULL || (m->snapshot->settings->mode & MODE_SIGN) != 0;
	const char *outcome = reply_outcome(action, signing);
	char id[QUEUE_ID_BYTES];
	char domain[LIMIT_DOMAIN_BYTES + 8];

	(void)text_sanitize(m->decision.author_domain, domain, sizeof(domain));
	if (m->policy == POLICY_SECURITY)
		log_line(LOG_LEVEL_NOTICE, "%s: too much header data: %s; %s (%s)",
			 message_queue_id(mta, id, sizeof(id)), m->detail.text, outcome,
			 policy_name(m->policy));
	else
		log_line(LOG_LEVEL_ERROR, "%s: cannot %s: d=%s: %s%s%s; %s (%s); %s",
			 message_queue_id(mta, id, sizeof(id)), signing ? "sign" : "verify", domain,
			 err_text(m->error), m->detail.text[0] != '\0' ? ": " : "", m->detail.text,
			 outcome, policy_name(m->policy), reply_advice(m->error));
}

/* CaptureUnknownErrors: what an error of ours let pass is at least marked. */
static bool captured(const struct message *m)
{
	return m->policy == POLICY_INTERNAL_ERROR && m->snapshot != NULL &&
	       m->snapshot->settings->capture_unknown_errors;
}

enum answer message_answer(struct message *m, const struct mta *mta)
{
	enum settings_action action;
	struct reply reply;

	if (!m->failed) {
		mailcount_answered(&m->env->mail, m->signing != NULL	 ? MAILCOUNT_SIGNED
						  : m->verifying != NULL ? MAILCOUNT_VERIFIED
									 : MAILCOUNT_PASSED);
		return ANSWER_ACCEPT;
	}
	if (m->refusal[0] != '\0') {
		mailcount_answered(&m->env->mail, mailcount_class_of(ACTION_REJECT));
		(void)mta->ops->set_reply(mta->ctx, "550", "5.0.0", m->refusal);
		return ANSWER_REJECT;
	}
	action = message_action(m);
	if (action == ACTION_ACCEPT && captured(m))
		action = ACTION_QUARANTINE;
	mailcount_answered(&m->env->mail, action == ACTION_ACCEPT && m->verified
						  ? MAILCOUNT_VERIFIED
						  : mailcount_class_of(action));
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

const struct signing *message_signatures(const struct message *m)
{
	return m->signing;
}

bool message_verdicts(const struct message *m, const struct dkim_verdict **ret_verdicts,
		      size_t *ret_count)
{
	*ret_count = 0;
	if (!m->verified)
		return false;
	*ret_count = verifying_verdicts(m->verifying, ret_verdicts);
	return true;
}
