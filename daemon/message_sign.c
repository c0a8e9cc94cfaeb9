/* A message that is signed: see message_priv.h. */
#include "daemon/message_priv.h"

#include "base/log.h"
#include "base/text.h"

#define SIGNATURE_FIELD "DKIM-Signature"

/* @return false: neither "simple" nor "relaxed" */
static bool canon_word(struct slice word, int relaxed, int *bits)
{
	if (slice_ieq(word, SLICE_LIT("relaxed")))
		*bits |= relaxed;
	else if (!slice_ieq(word, SLICE_LIT("simple")))
		return false;
	return true;
}

/* SelectCanonicalizationHeader: that field of the message beats Canonicalization, when it says what
 * Canonicalization could. */
static int choose_canonicalization(const struct message *m)
{
	const struct settings *s = m->snapshot->settings;
	const struct hdr *field = NULL;
	struct slice header;
	struct slice body;
	int bits = 0;

	if (s->select_canonicalization_header != NULL)
		field = hdrstore_from_top(m->headers, slice_str(s->select_canonicalization_header),
					  0);
	if (field == NULL)
		return s->canonicalization;
	body = slice_trim(field->value);
	header = slice_sub(body, 0, slice_find(body, '/'));
	body = slice_sub(body, header.len + 1, body.len);
	if (!canon_word(header, CANONICALIZATION_RELAXED_HEADER, &bits) ||
	    (body.len != 0 && !canon_word(body, CANONICALIZATION_RELAXED_BODY, &bits)))
		return s->canonicalization;
	return bits;
}

/* The address, or "*@" and its domain. */
static enum err holds_recipient(const struct message *m, const struct dataset *set,
				struct slice address, bool *ret_listed)
{
	size_t at = slice_rfind(address, '@');
	char *any;
	enum err err = dataset_holds(set, address, ret_listed);

	if (err != ERR_OK || *ret_listed || at == address.len)
		return err;
	any = arena_alloc(m->arena, address.len - at + 1);
	if (any == NULL)
		return ERR_NOMEM;
	any[0] = '*';
	memcpy(any + 1, address.ptr + at, address.len - at);
	return dataset_holds(set, slice_of(any, address.len - at + 1), ret_listed);
}

/* MaximumSignedBytes and BodyLengthDB. */
static enum err choose_length(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	const struct dataset *set = m->snapshot->body_length_db;

	m->write_length = s->maximum_signed_bytes >= 0;
	m->body_limit = m->write_length ? (uint64_t)s->maximum_signed_bytes : BODYHASH_NO_LIMIT;
	for (size_t i = 0; set != NULL && i < m->recipients_count; i++) {
		char shown[LIMIT_DOMAIN_BYTES + 80];
		char id[QUEUE_ID_BYTES];
		bool listed = false;
		enum err err = holds_recipient(m, set, m->recipients[i], &listed);

		if (err != ERR_OK)
			return err;
		if (!listed)
			continue;
		m->write_length = true;
		log_line(LOG_LEVEL_INFO, "%s: BodyLengthDB matched %s, signing with l= requested",
			 message_queue_id(mta, id, sizeof(id)),
			 text_sanitize(m->recipients[i], shown, sizeof(shown)));
		break;
	}
	return ERR_OK;
}

enum err message_sign_start(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	enum dkim_canon canon;
	enum err err = choose_length(m, mta);

	m->canonicalization = choose_canonicalization(m);
	canon = (m->canonicalization & CANONICALIZATION_RELAXED_BODY) != 0 ? DKIM_CANON_RELAXED
									   : DKIM_CANON_SIMPLE;
	if (err == ERR_OK)
		err = bodyhash_new(m->arena, &m->body);
	if (err == ERR_OK)
		err = bodyhash_want(m->body, canon, DKIM_HASH_SHA256, m->body_limit, &m->body_id);
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
	struct sigkey_names names = { "", "" };
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
		.canonicalization = m->canonicalization,
		.write_length = m->write_length,
	};
	enum err err = bodyhash_finish(m->body);

	if (err != ERR_OK)
		return err;
	input.body_length = bodyhash_length(m->body, m->body_id);
	if (input.body_length > m->body_limit)
		input.body_length = m->body_limit;
	input.body_digest = bodyhash_digest(m->body, m->body_id);
	input.deadline_ms = input.now_ms + m->snapshot->settings->token_timeout_ms;
	signing_finish(m->signing, &input);
	return ERR_OK;
}

/* RemoveOldSignatures: what others signed stands for a message that is now ours. From the bottom:
 * the numbers of those above stay. */
static bool remove_old(const struct message *m, const struct mta *mta)
{
	size_t count = hdrstore_count_name(m->headers, SLICE_LIT(SIGNATURE_FIELD));

	if (!m->snapshot->settings->remove_old_signatures)
		return true;
	for (; count > 0; count--) {
		if (!mta->ops->delete_header(mta->ctx, SIGNATURE_FIELD, count))
			return false;
	}
	return true;
}

/* In the SigningTable's order, each above the others, as OpenDKIM does. */
static void insert_signatures(struct message *m, const struct mta *mta, const char *id)
{
	bool removed = false;

	for (size_t i = 0; i < signing_count(m->signing); i++) {
		const struct signature *sig = signing_at(m->signing, i);

		if (sig->error != ERR_OK)
			continue;
		removed = removed || remove_old(m, mta);
		if (!removed ||
		    !mta->ops->insert_header(mta->ctx, 0, SIGNATURE_FIELD, sig->value.ptr)) {
			err_detail_set(&m->detail, "the MTA refused to change the header");
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
