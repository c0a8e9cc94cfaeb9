/* A message that is verified: see message_priv.h. */
#include "daemon/message_priv.h"

#include "base/buf.h"
#include "daemon/authfields.h"
#include "daemon/verifylog.h"
#include "dkim/authres.h"

/* Whose recipients were, when RedirectFailuresTo took them away. */
#define ORIGINAL_RECIPIENT "Original-Recipient"
/* DNSTimeout 0: as long as the setting allows. */
#define DNS_TIMEOUT_MAX_MS 120000

enum err message_verify_start(struct message *m)
{
	const struct settings *s = m->snapshot->settings;
	int64_t timeout = s->dns_timeout_ms != 0 ? s->dns_timeout_ms : DNS_TIMEOUT_MAX_MS;
	struct verifying_input input = {
		.rules = m->snapshot->verify,
		.headers = m->headers,
		.author_domain = m->decision.author_domain,
		.dns = m->env->dns,
		.now_s = m->env->clock->wall_s(),
		.deadline_ms = m->env->clock->mono_ms() + timeout,
	};

	return verifying_start(m->arena, &input, &m->verifying);
}

/* AuthservID, or how the MTA calls itself. */
static struct slice authserv_id(const struct message *m, const struct mta *mta)
{
	const struct verifyrules *rules = m->snapshot->verify;
	const char *name = rules->authserv_id;

	if (name == NULL)
		name = mta->ops->macro(mta->ctx, "j");
	if (name == NULL || *name == '\0')
		name = rules->host_name;
	return slice_str(name);
}

/* Nobody speaks in our name. */
static enum err remove_forged(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	const struct authfields_rules rules = {
		.authserv_id = authserv_id(m, mta),
		.keep_own = s->keep_auth_results,
		.remove_all = s->remove_ar_all,
		.remove_from = m->snapshot->verify->remove_ar_from,
	};
	const size_t *nth;
	size_t count;
	enum err err = authfields_find(m->arena, m->headers, &rules, &nth, &count);

	if (err != ERR_OK)
		return err;
	while (count-- > 0) {
		if (!mta->ops->delete_header(mta->ctx, AUTHFIELDS_NAME, nth[count])) {
			err_detail_set(&m->detail, "the MTA does not remove header fields");
			return ERR_IO;
		}
	}
	return ERR_OK;
}

/* No author that can be read: no message by RFC 5322. */
static bool is_malformed(const struct message *m)
{
	return slice_empty(m->decision.author_domain);
}

static enum err add_results(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	const char *job = mta->ops->macro(mta->ctx, "i");
	const struct authres_write how = {
		.authserv_id = authserv_id(m, mta),
		.job_id = slice_str(s->authserv_id_with_job_id ? job : NULL),
		.no_header_b = s->no_header_b,
		.leading_space = m->peer->leading_space,
		.malformed = is_malformed(m),
	};
	const struct dkim_verdict *verdicts;
	size_t count = verifying_verdicts(m->verifying, &verdicts);
	struct slice value;
	enum err err;

	if (how.malformed && s->ignore_malformed_mail)
		return ERR_OK;
	if (count == 0 && !how.malformed && !s->always_add_ar_header)
		return ERR_OK;
	err = authres_write(m->arena, &how, verdicts, count, &value);
	if (err != ERR_OK)
		return err;
	if (mta->ops->insert_header(mta->ctx, 0, AUTHFIELDS_NAME, value.ptr))
		return ERR_OK;
	err_detail_set(&m->detail, "the MTA refused the header field");
	return ERR_IO;
}

/* The message fails by what its signatures are; our own errors were told before. */
static void judge(struct message *m, const char *id)
{
	const struct dkim_verdict *verdicts;
	size_t count = verifying_verdicts(m->verifying, &verdicts);
	enum dkim_cause cause = dkim_verify_cause(verdicts, count);

	verifylog_message(id, m->snapshot->settings, m->verifying, cause);
	if (count == 0)
		message_fail(m, POLICY_NO_SIGNATURE, ERR_OK);
	else if (cause != DKIM_CAUSE_NONE)
		message_fail(m, policy_for_cause(cause), ERR_OK);
	m->told = true;
}

/* RFC 3798 section 2.3 has the form. */
static bool move_recipient(const struct message *m, const struct mta *mta, struct slice address)
{
	struct buf field;
	struct buf bracketed;
	struct slice value;
	struct slice recipient;
	bool ok;

	buf_init(&field, address.len + 16);
	buf_init(&bracketed, address.len + 4);
	buf_add_fmt(&field, "%srfc822;%.*s", m->peer->leading_space ? " " : "", SLICE_FMT(address));
	buf_add_fmt(&bracketed, "<%.*s>", SLICE_FMT(address));
	ok = buf_finish(&field, &value) == ERR_OK && buf_finish(&bracketed, &recipient) == ERR_OK &&
	     mta->ops->insert_header(mta->ctx, 0, ORIGINAL_RECIPIENT, value.ptr) &&
	     mta->ops->delete_recipient(mta->ctx, recipient.ptr);
	buf_done(&field);
	buf_done(&bracketed);
	return ok;
}

/* To the address of RedirectFailuresTo instead; the header keeps who it was for. */
static bool redirect(const struct message *m, const struct mta *mta, const char *address)
{
	bool ok = mta->ops->add_recipient(mta->ctx, address);

	for (size_t i = 0; i < m->recipients_count && ok; i++)
		ok = move_recipient(m, mta, m->recipients[i]);
	return ok;
}

/* What happens to a bad signature besides On-BadSignature accept. */
static enum err treat_bad(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;

	if (!m->failed || m->policy != POLICY_BAD_SIGNATURE || message_action(m) != ACTION_ACCEPT)
		return ERR_OK;
	if (s->redirect_failures_to != NULL && !redirect(m, mta, s->redirect_failures_to)) {
		err_detail_set(&m->detail, "the MTA does not redirect messages");
		return ERR_IO;
	}
	if (s->quarantine && !mta->ops->quarantine(mta->ctx, "bad DKIM signature data")) {
		err_detail_set(&m->detail, "the MTA does not quarantine messages");
		return ERR_IO;
	}
	return ERR_OK;
}

/* True when the message goes on to its recipients, perhaps marked. */
static bool goes_on(const struct message *m)
{
	enum settings_action action;

	if (!m->failed)
		return true;
	action = message_action(m);
	return action == ACTION_ACCEPT || action == ACTION_QUARANTINE;
}

/* An error of ours comes before what the signatures are. */
static void fail_anew(struct message *m, enum err err)
{
	m->failed = false;
	m->told = false;
	message_fail(m, policy_for_verifying(err), err);
}

void message_verify_end(struct message *m, const struct mta *mta)
{
	char id_text[QUEUE_ID_BYTES];
	bool verified = false;
	enum err err = ERR_OK;

	if (!m->failed) {
		err = verifying_finish(m->verifying, m->env->dnssec);
		verified = err == ERR_OK;
	}
	if (verified)
		judge(m, message_queue_id(mta, id_text, sizeof(id_text)));
	else if (err != ERR_OK)
		message_fail(m, policy_for_verifying(err), err);
	if (m->headers == NULL || !goes_on(m))
		return;
	err = remove_forged(m, mta);
	if (err == ERR_OK && verified)
		err = add_results(m, mta);
	if (err == ERR_OK && verified)
		err = treat_bad(m, mta);
	if (err != ERR_OK)
		fail_anew(m, err);
}
