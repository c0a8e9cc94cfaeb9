/* Composing reports: see reportcomposer.h. */
#define _GNU_SOURCE /* POLLRDHUP */
#include "daemon/reportcomposer.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/keylookup.h"
#include "daemon/keysource.h"
#include "daemon/reportlimit.h"
#include "daemon/reportmail.h"
#include "daemon/reportsender.h"
#include "daemon/reportwire.h"
#include "daemon/sandbox.h"
#include "dkim/domain.h"
#include "dkim/idn.h"
#include "dkim/reportrec.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* One domain's name servers hold the others up no longer. */
#define DNS_MS_MAX 10000
#define ADDRESS_BYTES 320u
#define BOUNDARY_RANDOM_BYTES 16u

struct composer {
	const struct settings *settings;
	struct dns_source *dns;
	bool dnssec;
	int ask_fd;
	int sender_fd;
	struct arena *arena; /* of one request */
	struct reportlimit limit;
	char address[ADDRESS_BYTES]; /* From, when ReportAddress is not set */
	bool told_limit;	     /* the log knows that the sender has had enough */
};

/* As OpenDKIM: the user that we run as, at this host. */
static void make_address(struct composer *c)
{
	const struct passwd *pw = getpwuid(geteuid());
	char host[LIMIT_DOMAIN_BYTES + 1] = "";

	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		(void)snprintf(host, sizeof(host), "localhost");
	if (pw != NULL)
		(void)snprintf(c->address, sizeof(c->address), "%.60s@%s", pw->pw_name, host);
	else
		(void)snprintf(c->address, sizeof(c->address), "%u@%s", (unsigned)geteuid(), host);
}

/* ---- the reporting record ---- */

static bool record_name(const struct idn_name *domain, struct idn_name *ret_name)
{
	size_t prefix = strlen(REPORTREC_PREFIX);

	if (prefix + domain->len > LIMIT_DOMAIN_BYTES)
		return false;
	memcpy(ret_name->text, REPORTREC_PREFIX, prefix);
	memcpy(ret_name->text + prefix, domain->text, domain->len + 1);
	ret_name->len = prefix + domain->len;
	return true;
}

/* The only record that asks for reports: of two nobody knows which one counts. */
static bool choose(const struct dkim_key_answer *answer, struct reportrec *ret_record)
{
	size_t found = 0;

	if (answer->status != DKIM_KEY_FOUND || answer->dnssec == DKIM_DNSSEC_BOGUS)
		return false;
	for (size_t i = 0; i < answer->count; i++) {
		struct reportrec record;

		if (!reportrec_parse(answer->records[i], &record))
			continue;
		*ret_record = record;
		found++;
	}
	return found == 1;
}

static bool find_record(struct composer *c, const struct idn_name *domain,
			struct reportrec *ret_record)
{
	int64_t timeout_ms = c->settings->dns_timeout_ms;
	struct idn_name name;
	struct keylookup *lookup;
	const struct dkim_key_answer *answer;
	bool found;

	if (timeout_ms == 0 || timeout_ms > DNS_MS_MAX)
		timeout_ms = DNS_MS_MAX;
	if (!record_name(domain, &name) ||
	    keylookup_start(c->arena, c->dns, &name, 1, &lookup) != ERR_OK)
		return false;
	found = keylookup_finish(lookup, clock_mono_ms() + timeout_ms, c->dnssec, &answer) ==
			ERR_OK &&
		choose(answer, ret_record);
	keylookup_free(&lookup);
	return found;
}

/* rp= */
static bool is_drawn(unsigned percent)
{
	unsigned char byte;

	/* 200 to 255 would make small numbers likelier. */
	do {
		if (getrandom(&byte, 1, 0) != 1)
			return false;
	} while (byte >= 200);
	return byte % 100 < percent;
}

/* ---- the report ---- */

static bool make_boundary(char *out, size_t out_size)
{
	unsigned char bytes[BOUNDARY_RANDOM_BYTES];
	size_t len = (size_t)snprintf(out, out_size, "dkimreport");

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		len += (size_t)snprintf(out + len, out_size - len, "%02x", bytes[i]);
	return true;
}

/* @return false: the sender is gone */
static bool send_mail(struct composer *c, struct slice mail, unsigned char *ret_outcome)
{
	return send(c->sender_fd, mail.ptr, mail.len, MSG_NOSIGNAL) == (ssize_t)mail.len &&
	       recv(c->sender_fd, ret_outcome, 1, 0) == 1;
}

static void log_outcome(struct composer *c, const struct reportmail *mail, unsigned char outcome)
{
	char job[128];

	(void)text_sanitize(mail->request->text[REPORT_JOB], job, sizeof(job));
	if (outcome == REPORTSENDER_SENT)
		log_line(LOG_LEVEL_INFO, "%s: failure report sent to %s@%s", job, mail->local,
			 mail->domain);
	if (outcome == REPORTSENDER_LIMITED && !c->told_limit)
		log_line(LOG_LEVEL_WARNING,
			 "failure reports: more than %u in an hour, no more for now",
			 REPORTSENDER_COUNT_MAX);
	c->told_limit = outcome == REPORTSENDER_LIMITED;
}

/* @return false: the sender is gone */
static bool report(struct composer *c, const struct report_request *request,
		   const struct idn_name *domain, const struct reportrec *record)
{
	char boundary[64];
	struct reportmail mail = {
		.from = c->settings->report_address != NULL ? c->settings->report_address
							    : c->address,
		/* by SMTP the sender knows them itself, and nobody takes the field out */
		.bcc = c->settings->smtp_uri == NULL ? c->settings->report_bcc_address : NULL,
		.local = record->local,
		.domain = domain->text,
		.boundary = boundary,
		.now_s = (int64_t)time(NULL),
		.request = request,
	};
	AUTO(buf_done) struct buf text;
	unsigned char outcome;

	buf_init(&text, REPORTSENDER_PACKET_BYTES);
	buf_add_fmt(&text, "%s@%s\n", record->local, domain->text);
	if (!make_boundary(boundary, sizeof(boundary)) || reportmail_write(&mail, &text) != ERR_OK)
		return true;
	if (!send_mail(c, buf_slice(&text), &outcome))
		return false;
	log_outcome(c, &mail, outcome);
	return true;
}

/* @return false: the sender is gone */
static bool handle(struct composer *c, struct slice packet)
{
	struct report_request request;
	struct reportrec record;
	struct idn_name domain;
	unsigned kind;

	if (reportwire_decode(packet, &request) != ERR_OK ||
	    !dkim_domain_valid(request.text[REPORT_DOMAIN]) ||
	    idn_to_ascii(request.text[REPORT_DOMAIN], &domain) != ERR_OK)
		return true;
	kind = reportrec_kind_of(request.reason);
	if (kind == 0 ||
	    !reportlimit_take(&c->limit, slice_of(domain.text, domain.len), kind, clock_mono_ms()))
		return true;
	if (!find_record(c, &domain, &record) || (record.kinds & kind) == 0 ||
	    !is_drawn(record.percent))
		return true;
	return report(c, &request, &domain, &record);
}

/* ---- life ---- */

static int serve(struct composer *c)
{
	struct pollfd fds[2] = { { .fd = c->ask_fd, .events = POLLIN | POLLRDHUP },
				 { .fd = c->sender_fd, .events = POLLIN } };
	static char packet[REPORT_PACKET_BYTES];

	for (;;) {
		ssize_t len;

		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		if (fds[1].revents != 0)
			return EX_OK; /* nothing was asked: it is gone */
		if (fds[0].revents == 0)
			continue;
		len = recv(c->ask_fd, packet, sizeof(packet), MSG_DONTWAIT);
		/* Without that it is an empty packet, which is no request. */
		if (len == 0 && (fds[0].revents & (POLLHUP | POLLRDHUP)) != 0)
			return EX_UNAVAILABLE; /* supervisor and milter process are gone */
		if (len > 0 && !handle(c, slice_of(packet, (size_t)len)))
			return EX_OK;
		arena_reset(c->arena);
	}
}

static enum err prepare(struct composer *c, struct files *files, struct err_detail *detail)
{
	struct sandbox_state state;
	enum err err = keysource_open(c->settings, files, &c->dns, &c->dnssec, detail);

	if (err != ERR_OK)
		return err;
	make_address(c);
	c->arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	if (c->arena == NULL)
		return ERR_NOMEM;
	tzset();
	return sandbox_enter_milter(&state, detail);
}

int reportcomposer_run(const struct settings *settings, struct files *files, int ask_fd,
		       int sender_fd)
{
	static struct reportlimit_event events[REPORTCOMPOSER_COUNT_MAX];
	static struct composer c = { .limit = { .period_ms = REPORTCOMPOSER_PERIOD_MS,
						.count = REPORTCOMPOSER_COUNT_MAX,
						.events = events } };
	struct err_detail detail = { "" };
	enum err err;

	c.settings = settings;
	c.ask_fd = ask_fd;
	c.sender_fd = sender_fd;
	err = prepare(&c, files, &detail);
	if (err != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "reports process: %s",
			 detail.text[0] != '\0' ? detail.text : err_text(err));
		return EX_OSERR;
	}
	return serve(&c);
}
