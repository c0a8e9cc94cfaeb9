/* A message that is verified: see message_priv.h. */
#include "daemon/message_priv.h"

#include "base/buf.h"
#include "daemon/authfields.h"
#include "daemon/verifylog.h"
#include "dkim/address.h"
#include "dkim/authres.h"

/* Whose recipients were, when RedirectFailuresTo took them away. */
#define ORIGINAL_RECIPIENT "Original-Recipient"
/* DNSTimeout 0: as long as the setting allows. */
#define DNS_TIMEOUT_MAX_MS 120000

/* Of From, whatever SenderHeaders says: only it is what the reader sees. Sets author to empty when
 * there is not exactly one address, and malformed when there is none that can be read. */
static enum err find_author(struct message *m)
{
	const struct hdr *from = hdrstore_from_top(m->headers, SLICE_LIT("From"), 0);
	struct dkim_address address = { 0 };
	size_t count = 0;
	enum err err = ERR_SYNTAX;

	if (from != NULL)
		err = dkim_address_parse(m->arena, from->value, &address, &count);
	m->malformed = err == ERR_SYNTAX || (err == ERR_OK && count == 0);
	if (err == ERR_OK && count == 1)
		m->author = address.domain;
	return err == ERR_SYNTAX ? ERR_OK : err;
}

enum err message_verify_start(struct message *m)
{
	const struct settings *s = m->snapshot->settings;
	int64_t timeout = s->dns_timeout_ms != 0 ? s->dns_timeout_ms : DNS_TIMEOUT_MAX_MS;
	struct verifying_input input = {
		.rules = m->snapshot->verify,
		.headers = m->headers,
		.dns = m->env->dns,
		.now_s = m->env->clock->wall_s(),
		.deadline_ms = m->env->clock->mono_ms() + timeout,
	};
	enum err err = find_author(m);

	if (err != ERR_OK)
		return err;
	if (m->malformed && s->strict_headers) {
		m->unfit = true;
		return ERR_OK;
	}
	input.author_domain = m->author;
	return verifying_start(m->arena, &input, &m->verifying);
}

struct slice message_authserv_id(const struct message *m, const struct mta *mta)
{
	const struct verifyrules *rules = m->snapshot->verify;
	const char *name = rules->authserv_id;

	if (name == NULL)
		name = mta->ops->macro(mta->ctx, "j");
	if (name == NULL || *name == '\0')
		name = rules->host_name;
	return slice_str(name);
}

static enum err remove_field(struct message *m, const struct mta *mta, size_t nth)
{
	if (mta->ops->delete_header(mta->ctx, AUTHFIELDS_NAME, nth))
		return ERR_OK;
	err_detail_set(&m->detail, "the MTA does not remove header fields");
	return ERR_IO;
}

/* Nobody speaks in our name. */
static enum err remove_forged(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	const struct authfields_rules rules = {
		.authserv_id = message_authserv_id(m, mta),
		.keep_own = s->keep_auth_results,
		.remove_all = s->remove_ar_all,
		.remove_from = m->snapshot->verify->remove_ar_from,
	};
	size_t stored = hdrstore_count_name(m->headers, SLICE_LIT(AUTHFIELDS_NAME));
	const size_t *nth;
	size_t count;
	enum err err = authfields_find(m->arena, m->headers, &rules, &nth, &count);

	if (err != ERR_OK)
		return err;
	/* From the bottom: first those that nobody read, for the header was too long. */
	for (size_t i = m->unseen_results; i > 0 && err == ERR_OK; i--)
		err = remove_field(m, mta, stored + i);
	while (count-- > 0 && err == ERR_OK)
		err = remove_field(m, mta, nth[count]);
	return err;
}

static enum err add_results(struct message *m, const struct mta *mta)
{
	const struct settings *s = m->snapshot->settings;
	const char *job = mta->ops->macro(mta->ctx, "i");
	const struct authres_write how = {
		.authserv_id = message_authserv_id(m, mta),
		.job_id = slice_str(s->authserv_id_with_job_id ? job : NULL),
		.no_header_b = s->no_header_b,
		.leading_space = m->peer->leading_space,
		.malformed = m->malformed,
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

/* RFC 3798 section 2.3 and RFC 6533 have the form. */
static bool move_recipient(const struct message *m, const struct mta *mta, struct slice address)
{
	struct buf field;
	struct buf bracketed;
	struct slice value;
	struct slice recipient;
	bool ok;

	buf_init(&field, address.len + 16);
	buf_init(&bracketed, address.len + 4);
	buf_add_fmt(&field, "%s%s;%.*s", m->peer->leading_space ? " " : "",
		    slice_is_ascii(address) ? "rfc822" : "utf-8", SLICE_FMT(address));
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

/* An error of ours comes before what the signatures are. */
static void fail_anew(struct message *m, enum err err)
{
	m->failed = false;
	m->told = false;
	message_fail(m, policy_for_verifying(err), err);
}

/* What the message gets before it goes on. */
static enum err change(struct message *m, const struct mta *mta)
{
	enum err err = remove_forged(m, mta);

	if (err == ERR_OK && m->verified)
		err = add_results(m, mta);
	if (err == ERR_OK && m->verified)
		err = treat_bad(m, mta);
	return err;
}

void message_verify_end(struct message *m, const struct mta *mta)
{
	char id_text[QUEUE_ID_BYTES];
	enum err err = ERR_OK;

	if (!m->failed && !m->decision.clean) {
		err = m->unfit ? ERR_OK : verifying_finish(m->verifying, m->env->dnssec);
		m->verified = err == ERR_OK;
	}
	if (m->verified && !m->unfit)
		judge(m, message_queue_id(mta, id_text, sizeof(id_text)));
	else if (err != ERR_OK)
		message_fail(m, policy_for_verifying(err), err);
	if (m->headers != NULL && message_goes_on(m)) {
		err = change(m, mta);
		if (err != ERR_OK)
			fail_anew(m, err);
	}
	if (m->verified)
		message_report(m, mta);
}
