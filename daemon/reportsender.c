/* Sending reports: see reportsender.h. */
#include "daemon/reportsender.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/mtacommand.h"
#include "daemon/reportlimit.h"
#include "daemon/reportmail.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define COMMAND_MS 60000

/* The likeliest cause: Postfix's sendmail(1) starts a setgid program to write into the queue, and
 * without its group waits for ever. */
static const char *hint(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
		       ? "; NoNewPrivileges is in force here, see SendReports in hsmdkim.conf(5)"
		       : "";
}

static enum reportsender_outcome deliver(const char *command, struct slice mail)
{
	struct mtacommand_end end;
	char said[4 * sizeof(end.said)];
	enum err err = mtacommand_run(command, mail, COMMAND_MS, &end);

	if (err == ERR_OK && end.status == 0)
		return REPORTSENDER_SENT;
	(void)text_sanitize(slice_trim(slice_str(end.said)), said, sizeof(said));
	if (err == ERR_TIMEOUT)
		log_line(LOG_LEVEL_ERROR, "MTACommand %s: did not end within %d s: %s%s", command,
			 COMMAND_MS / 1000, said, hint());
	else if (err != ERR_OK)
		log_line(LOG_LEVEL_ERROR, "MTACommand %s: cannot be started: %s", command, said);
	else
		log_line(LOG_LEVEL_ERROR, "MTACommand %s: ended with status %d: %s%s", command,
			 end.status, said, hint());
	return REPORTSENDER_FAILED;
}

/* @return false: the composer is gone */
static bool serve_one(const char *command, int composer_fd, struct reportlimit *limit, char *room)
{
	ssize_t len = recv(composer_fd, room, REPORTMAIL_BYTES, 0);
	unsigned char outcome = REPORTSENDER_LIMITED;

	if (len <= 0)
		return len < 0 && errno == EINTR;
	if (reportlimit_take(limit, SLICE_LIT(""), 0, clock_mono_ms()))
		outcome = (unsigned char)deliver(command, slice_of(room, (size_t)len));
	return send(composer_fd, &outcome, 1, MSG_NOSIGNAL) == 1;
}

int reportsender_run(const char *command, int composer_fd, int supervisor_fd)
{
	static struct reportlimit limit = { .period_ms = REPORTSENDER_PERIOD_MS,
					    .count = REPORTSENDER_COUNT_MAX };
	struct pollfd fds[2] = { { .fd = composer_fd, .events = POLLIN },
				 { .fd = supervisor_fd, .events = POLLIN } };
	char *room = malloc(REPORTMAIL_BYTES);
	int status = EX_SOFTWARE; /* the composer ended first, and said why */

	if (room == NULL)
		return EX_OSERR;
	for (;;) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		if (fds[1].revents != 0) {
			status = EX_OK;
			break;
		}
		if (fds[0].revents != 0 && !serve_one(command, composer_fd, &limit, room))
			break;
	}
	free(room);
	return status;
}
