/* The reports process: see reportsproc.h. */
#include "daemon/reportsproc.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/handover.h"
#include "config/logsetup.h"
#include "daemon/reportcomposer.h"
#include "daemon/reportsender.h"
#include "daemon/restartwait.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* The supervisor sends both at once. */
#define HANDOVER_MS 15000

struct given {
	struct handover_msg config; /* LOAD */
	int ask_fd;
};

/* @return false: the supervisor is gone, or speaks nonsense */
static bool take(struct given *given)
{
	struct handover_msg msg = { .fd = -1 };

	if (handover_recv(HANDOVER_FD, HANDOVER_MS, &given->config) != ERR_OK ||
	    given->config.type != HANDOVER_LOAD ||
	    handover_recv(HANDOVER_FD, HANDOVER_MS, &msg) != ERR_OK || msg.type != HANDOVER_REPORTS)
		return false;
	given->ask_fd = msg.fd;
	return true;
}

struct composer {
	pid_t pid;
	int fd; /* its reports */
	int64_t started_ms;
	int64_t wait_ms; /* before the last start */
};

/* The child of the fork: it ends with its parent. */
static int compose(struct given *given, int sender_fd, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		return EX_UNAVAILABLE;
	(void)close(HANDOVER_FD);
	return reportcomposer_run(given->config.settings, given->config.files, given->ask_fd,
				  sender_fd);
}

static bool start(struct composer *c, struct given *given)
{
	pid_t self = getpid();
	int pair[2];

	c->started_ms = clock_mono_ms();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	c->pid = fork(); /* this process has no second thread */
	if (c->pid == 0) {
		(void)close(pair[0]);
		_exit(compose(given, pair[1], self));
	}
	(void)close(pair[1]);
	if (c->pid < 0)
		(void)close(pair[0]);
	c->fd = pair[0];
	return c->pid > 0;
}

/* It closed its socket, and may be there still. @return of waitpid() */
static int end(const struct composer *c)
{
	int status = 0;

	(void)close(c->fd);
	(void)kill(c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* @return false: the supervisor is gone */
static bool wait_for_start(const struct composer *c)
{
	struct pollfd fd = { .fd = HANDOVER_FD, .events = POLLIN };
	int64_t until_ms = clock_mono_ms() + c->wait_ms;

	for (int64_t left_ms = c->wait_ms; left_ms > 0; left_ms = until_ms - clock_mono_ms())
		if (poll(&fd, 1, (int)left_ms) > 0)
			return false;
	return true;
}

/* One composer after the other, and one count of what they sent. Until the supervisor is gone. */
static void serve(struct given *given, struct reportsender *sender)
{
	struct composer c = { .pid = -1 };

	do {
		char how[32] = "cannot be started";

		if (start(&c, given)) {
			int status;

			if (!reportsender_serve(sender, c.fd, HANDOVER_FD))
				return;
			status = end(&c);
			(void)snprintf(how, sizeof(how), "ended with %s %d",
				       WIFSIGNALED(status) ? "signal" : "status",
				       WIFSIGNALED(status) ? WTERMSIG(status)
							   : WEXITSTATUS(status));
		}
		c.wait_ms = restartwait_next(c.wait_ms, clock_mono_ms() - c.started_ms);
		log_line(LOG_LEVEL_WARNING, "reports process: composer %s; starts again in %lld ms",
			 how, (long long)c.wait_ms);
	} while (wait_for_start(&c));
}

int reportsproc_main(void)
{
	struct given given = { .config = { .fd = -1 }, .ask_fd = -1 };
	struct reportsender *sender;
	struct err_detail detail = { "" };
	enum err err;

	(void)signal(SIGPIPE, SIG_IGN);
	if (sandbox_hide_process(&detail) != ERR_OK || !take(&given))
		return EX_UNAVAILABLE;
	logsetup_apply(given.config.settings);
	if (fcntl(HANDOVER_FD, F_SETFD, FD_CLOEXEC) != 0)
		return EX_OSERR;
	err = reportsender_new(given.config.settings, &sender, &detail);
	if (err != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "reports process: %s",
			 detail.text[0] != '\0' ? detail.text : err_text(err));
		return EX_OSERR;
	}
	serve(&given, sender);
	/* Nothing is left to tidy, and a leak checker may not look into a hidden process. */
	_exit(EX_OK);
}
