/* Starting a child: see child.h. */
#define _GNU_SOURCE /* setresuid, close_range, execveat */
#include "daemon/child.h"

#include "config/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

enum err child_program_path(const char *name, char *out, size_t out_size)
{
	ssize_t len;
	char *slash;

	if (name == NULL) { /* also when the file was replaced meanwhile */
		(void)snprintf(out, out_size, "/proc/self/exe");
		return ERR_OK;
	}
	len = readlink("/proc/self/exe", out, out_size - 1);
	if (len < 0)
		return ERR_IO;
	out[len] = '\0';
	slash = strrchr(out, '/');
	if (slash == NULL || (size_t)(slash + 1 - out) + strlen(name) >= out_size)
		return ERR_LIMIT;
	memcpy(slash + 1, name, strlen(name) + 1);
	return ERR_OK;
}

/* @return what failed (errno says why), NULL: nothing */
static const char *become(const struct userid *user)
{
	if (!user->set || geteuid() != 0)
		return NULL;
	if (!userid_take_groups(user))
		return "supplementary groups";
	if (setresgid(user->gid, user->gid, user->gid) != 0)
		return "group";
	if (setresuid(user->uid, user->uid, user->uid) != 0)
		return "user";
	return NULL;
}

enum err child_become(const struct userid *user, struct err_detail *detail)
{
	const char *failed = become(user);

	if (failed == NULL)
		return ERR_OK;
	err_detail_set(detail, "cannot become another user: %s: %s", failed, strerror(errno));
	return ERR_DENIED;
}

/* --- between fork and exec: a single thread, a copy of the supervisor
 * ----------------------------- */

__attribute__((noreturn)) static void child_fail(const char *what)
{
	const char *why = strerror(errno);

	(void)dprintf(STDERR_FILENO, "hsmdkim: cannot start a process: %s: %s\n", what, why);
	_exit(EX_UNAVAILABLE);
}

static void silence(void)
{
	int null = open("/dev/null", O_WRONLY);

	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
}

static void reset_signals(void)
{
	sigset_t none;

	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void run(const struct child_program *program, int sock,
					  pid_t supervisor)
{
	const char *failed;
	int file;

	/* A process group of its own: a terminal's ^C is for the supervisor, which then stops us.
	 */
	(void)setpgid(0, 0);
	if (program->quiet)
		silence();
	/* dup2() to itself would leave close-on-exec set. */
	if (sock != HANDOVER_FD ? dup2(sock, HANDOVER_FD) < 0 : fcntl(sock, F_SETFD, 0) != 0)
		child_fail("control socket");
	if (close_range(HANDOVER_FD + 1, UINT_MAX, 0) != 0)
		child_fail("closing descriptors");
	/* With the rights of the start: the folder may be one that the user cannot enter (/root).
	 */
	file = open(program->path, O_PATH | O_CLOEXEC);
	if (file < 0)
		child_fail(program->path);
	failed = become(program->user);
	if (failed != NULL)
		child_fail(failed);
	/* Both are cleared when the user changes, so after it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    (!program->may_gain && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0))
		child_fail("prctl");
	if (getppid() != supervisor)
		_exit(EX_UNAVAILABLE);
	(void)unsetenv("NOTIFY_SOCKET");
	if (!program->keep_credentials)
		(void)unsetenv("CREDENTIALS_DIRECTORY");
	reset_signals();
	(void)execveat(file, "", program->argv, environ, AT_EMPTY_PATH);
	child_fail(program->path);
}

enum err child_spawn(const struct child_program *program, int sock, pid_t *ret_pid,
		     struct err_detail *detail)
{
	pid_t supervisor = getpid();
	pid_t pid = fork();

	if (pid < 0) {
		err_detail_set(detail, "cannot start %s: %s", program->path, strerror(errno));
		return ERR_IO;
	}
	if (pid == 0)
		run(program, sock, supervisor);
	*ret_pid = pid;
	return ERR_OK;
}
