/* Sending reports: see reportsender.h. */
#include "daemon/reportsender.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/mtacommand.h"
#include "daemon/reportlimit.h"
#include "daemon/reportto.h"
#include "daemon/sandbox.h"
#include "daemon/smtpsend.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define DELIVERY_MS 60000
#define ARENA_BYTES ((size_t)1024 * 1024)

struct reportsender {
	const struct settings *settings;
	struct reportlimit limit;
	struct reportlimit_event events[REPORTSENDER_COUNT_MAX];
	/* with SMTPURI */
	struct smtp_uri server;
	struct reportto to;
	struct arena *arena;
};

/* The likeliest cause: Postfix's sendmail(1) starts a setgid program to write into the queue, and
 * without its group waits for ever. */
static const char *hint(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
		       ? "; NoNewPrivileges is in force here, see SendReports in hsmdkim.conf(5)"
		       : "";
}

static bool by_command(const char *command, struct slice mail)
{
	struct mtacommand_end end;
	char said[4 * sizeof(end.said)];
	enum err err = mtacommand_run(command, mail, DELIVERY_MS, &end);

	if (err == ERR_OK && end.status == 0)
		return true;
	(void)text_sanitize(slice_trim(slice_str(end.said)), said, sizeof(said));
	if (err == ERR_TIMEOUT)
		log_line(LOG_LEVEL_ERROR, "MTACommand %s: did not end within %d s: %s%s", command,
			 DELIVERY_MS / 1000, said, hint());
	else if (err != ERR_OK)
		log_line(LOG_LEVEL_ERROR, "MTACommand %s: cannot be started: %s", command, said);
	else
		log_line(LOG_LEVEL_ERROR, "MTACommand %s: ended with status %d: %s%s", command,
			 end.status, said, hint());
	return false;
}

static bool by_smtp(struct reportsender *s, struct slice recipient, struct slice mail)
{
	struct smtpsend_said answer;
	char said[4 * sizeof(answer.text)];
	enum err err = ERR_SYNTAX;

	if (!reportto_is_plain(recipient))
		return false; /* the composer is not itself any more */
	s->to.recipients[0] = recipient;
	err = smtpsend(&s->server, s->to.recipients, s->to.count, mail, DELIVERY_MS, &answer);
	if (err == ERR_OK)
		return true;
	log_line(LOG_LEVEL_ERROR, "SMTPURI %s: %s: %s", s->settings->smtp_uri, err_text(err),
		 text_sanitize(slice_str(answer.text), said, sizeof(said)));
	return false;
}

/* The first line names the recipient, the message follows. */
static bool deliver(struct reportsender *s, struct slice packet)
{
	size_t end = slice_find(packet, '\n');
	struct slice mail = slice_sub(packet, end + 1, packet.len);

	if (s->settings->smtp_uri != NULL)
		return by_smtp(s, slice_sub(packet, 0, end), mail);
	return by_command(s->settings->mta_command, mail);
}

/* @return false: the composer is gone */
static bool serve_one(struct reportsender *s, int composer_fd)
{
	static char room[REPORTSENDER_PACKET_BYTES];
	ssize_t len = recv(composer_fd, room, sizeof(room), 0);
	unsigned char outcome = REPORTSENDER_LIMITED;

	if (len <= 0)
		return len < 0 && errno == EINTR;
	if (reportlimit_take(&s->limit, SLICE_LIT(""), 0, clock_mono_ms()))
		outcome = deliver(s, slice_of(room, (size_t)len)) ? REPORTSENDER_SENT
								  : REPORTSENDER_FAILED;
	return send(composer_fd, &outcome, 1, MSG_NOSIGNAL) == 1;
}

/* By SMTP no program is started, so no rights are needed for one. */
static enum err prepare_smtp(struct reportsender *s, struct err_detail *detail)
{
	size_t skipped = 0;
	enum err err = sandbox_lock_process(detail);

	if (err == ERR_OK)
		err = smtp_uri_parse(s->settings->smtp_uri, &s->server, detail);
	s->arena = arena_new(ARENA_BYTES);
	if (err == ERR_OK && s->arena == NULL)
		err = ERR_NOMEM;
	if (err == ERR_OK)
		err = reportto_init(&s->to, s->settings->report_bcc_address, s->arena, &skipped);
	if (skipped != 0)
		log_line(LOG_LEVEL_WARNING,
			 "ReportBccAddress: %zu entries cannot be used with SMTPURI", skipped);
	return err;
}

bool reportsender_serve(struct reportsender *s, int composer_fd, int supervisor_fd)
{
	struct pollfd fds[2] = { { .fd = composer_fd, .events = POLLIN },
				 { .fd = supervisor_fd, .events = POLLIN } };

	for (;;) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		if (fds[1].revents != 0)
			return false;
		if (fds[0].revents != 0 && !serve_one(s, composer_fd))
			return true;
	}
}

enum err reportsender_new(const struct settings *settings, struct reportsender **ret_sender,
			  struct err_detail *detail)
{
	struct reportsender *s = calloc(1, sizeof(*s));
	enum err err = ERR_OK;

	if (s == NULL)
		return ERR_NOMEM;
	s->settings = settings;
	s->limit = (struct reportlimit){ .period_ms = REPORTSENDER_PERIOD_MS,
					 .count = REPORTSENDER_COUNT_MAX,
					 .events = s->events };
	if (settings->smtp_uri != NULL)
		err = prepare_smtp(s, detail);
	if (err == ERR_OK) {
		*ret_sender = s;
		return ERR_OK;
	}
	arena_free(&s->arena);
	free(s);
	return err;
}
