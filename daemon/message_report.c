/* The failure report that a message's signature asked for: see message_priv.h. */
#include "daemon/message_priv.h"

#include "base/buf.h"
#include "daemon/reportwire.h"
#include "dkim/authres.h"
#include "dkim/idn.h"
#include "dkim/reportrec.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* The first signature that failed and asked for it; one report a message, whatever it holds. As
 * OpenDKIM, none when another signature is good. */
static const struct dkim_verdict *to_report(const struct message *m)
{
	const struct dkim_verdict *verdicts;
	size_t count = verifying_verdicts(m->verifying, &verdicts);
	const struct dkim_verdict *found = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct dkim_verdict *v = &verdicts[i];

		if (v->result == DKIM_RESULT_PASS)
			return NULL;
		if (found == NULL && v->sig.wants_report && !slice_empty(v->sig.domain) &&
		    reportrec_kind_of(v->reason) != 0)
			found = v;
	}
	return found;
}

/* Reports and other mail of machines cause no reports: two hosts would go on for ever. */
static bool is_automatic(const struct message *m)
{
	const struct hdr *submitted = hdrstore_from_top(m->headers, SLICE_LIT("Auto-Submitted"), 0);
	const struct hdr *type = hdrstore_from_top(m->headers, SLICE_LIT("Content-Type"), 0);

	if (slice_empty(m->sender))
		return true;
	if (submitted != NULL && !slice_ieq(slice_trim(submitted->value), SLICE_LIT("no")))
		return true;
	return type != NULL &&
	       slice_istarts(slice_trim(type->value), SLICE_LIT("multipart/report"));
}

static struct slice source_ip(const struct message *m, char *out)
{
	const struct sockaddr *addr = m->peer->addr;
	const void *bytes = NULL;

	if (addr != NULL && addr->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)addr)->sin_addr;
	if (addr != NULL && addr->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
	if (bytes == NULL || inet_ntop(addr->sa_family, bytes, out, INET6_ADDRSTRLEN) == NULL)
		return slice_of("", 0);
	return slice_str(out);
}

/* Whole fields, as many as there is room for. @return false: not all */
static bool add_header(const struct hdrstore *headers, struct buf *out)
{
	for (size_t i = 0; i < hdrstore_count(headers); i++) {
		const struct hdr *h = hdrstore_at(headers, i);

		if (out->len + h->raw_name.len + h->value.len + 3 > REPORT_HEADER_BYTES)
			return false;
		buf_add(out, h->raw_name);
		buf_add_ch(out, ':');
		buf_add(out, h->value);
		buf_add_str(out, "\r\n");
	}
	return true;
}

static enum report_delivery delivery(const struct message *m)
{
	if (!m->failed)
		return REPORT_DELIVERED;
	switch (message_action(m)) {
	case ACTION_ACCEPT:
		return REPORT_DELIVERED;
	case ACTION_REJECT:
		return REPORT_REJECTED;
	case ACTION_DISCARD:
	case ACTION_QUARANTINE:
		return REPORT_BY_POLICY;
	case ACTION_UNSET:
	case ACTION_TEMPFAIL:
		break;
	}
	return REPORT_DELIVERY_OTHER;
}

static void add_identity(struct buf *out, const struct sighdr *sig)
{
	buf_add(out, sig->identity_local);
	buf_add_ch(out, '@');
	buf_add(out, sig->identity_domain);
}

/* What fails for want of memory is no report; the message does not care. */
static void ask(struct message *m, const struct mta *mta, const struct dkim_verdict *v)
{
	struct authres_write how = { .authserv_id = message_authserv_id(m, mta) };
	struct report_request request = { .arrival_s = m->env->clock->wall_s(),
					  .reason = v->reason,
					  .delivery = delivery(m) };
	AUTO(buf_done) struct buf header;
	AUTO(buf_done) struct buf identity;
	AUTO(buf_done) struct buf packet;
	struct idn_name domain;
	char job[QUEUE_ID_BYTES];
	char address[INET6_ADDRSTRLEN];
	const char *host = mta->ops->macro(mta->ctx, "j");

	if (idn_to_ascii(v->sig.domain, &domain) != ERR_OK)
		return; /* nobody to ask whether reports are wanted */
	buf_init(&header, REPORT_HEADER_BYTES);
	buf_init(&identity, LIMIT_MESSAGE_ARENA_BYTES);
	buf_init(&packet, REPORT_PACKET_BYTES);
	request.header_cut = !add_header(m->headers, &header);
	add_identity(&identity, &v->sig);
	request.text[REPORT_JOB] = slice_str(message_queue_id(mta, job, sizeof(job)));
	request.text[REPORT_HOST] =
		slice_str(host != NULL && *host != '\0' ? host : m->snapshot->verify->host_name);
	request.text[REPORT_DOMAIN] = slice_of(domain.text, domain.len);
	request.text[REPORT_SELECTOR] = v->sig.selector;
	request.text[REPORT_IDENTITY] = buf_slice(&identity);
	request.text[REPORT_SOURCE_IP] = source_ip(m, address);
	request.text[REPORT_MAIL_FROM] = m->sender;
	request.text[REPORT_HEADER] = buf_slice(&header);
	if (authres_write(m->arena, &how, v, 1, &request.text[REPORT_RESULTS]) == ERR_OK &&
	    reportwire_encode(&request, &packet) == ERR_OK)
		reporter_send(m->env->reporter, buf_slice(&packet));
}

void message_report(struct message *m, const struct mta *mta)
{
	const struct dkim_verdict *verdict;

	if (m->env->reporter == NULL || !m->snapshot->settings->send_reports || is_automatic(m))
		return;
	verdict = to_report(m);
	if (verdict != NULL)
		ask(m, mta, verdict);
}
