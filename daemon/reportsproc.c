/* The reports process: see reportsproc.h. */
#include "daemon/reportsproc.h"

#include "base/log.h"
#include "config/handover.h"
#include "config/logsetup.h"
#include "daemon/reportcomposer.h"
#include "daemon/reportsender.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

/* The child of the fork: it ends with its parent. */
static int compose(struct given *given, int sender_fd, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		return EX_UNAVAILABLE;
	(void)close(HANDOVER_FD);
	return reportcomposer_run(given->config.settings, given->config.files, given->ask_fd,
				  sender_fd);
}

int reportsproc_main(void)
{
	struct given given = { .config = { .fd = -1 }, .ask_fd = -1 };
	struct err_detail detail = { "" };
	pid_t self = getpid();
	pid_t composer;
	int pair[2];

	(void)signal(SIGPIPE, SIG_IGN);
	if (sandbox_hide_process(&detail) != ERR_OK || !take(&given))
		return EX_UNAVAILABLE;
	logsetup_apply(given.config.settings);
	if (fcntl(HANDOVER_FD, F_SETFD, FD_CLOEXEC) != 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return EX_OSERR;
	composer = fork(); /* before the first thread */
	if (composer < 0)
		return EX_OSERR;
	if (composer == 0) {
		(void)close(pair[0]);
		_exit(compose(&given, pair[1], self));
	}
	(void)close(pair[1]);
	(void)close(given.ask_fd);
	files_free(&given.config.files);
	/* Nothing is left to tidy, and a leak checker may not look into a hidden process. */
	_exit(reportsender_run(given.config.settings, pair[0], HANDOVER_FD));
}
