/* Starting MTACommand: see mtacommand.h. */
#define _GNU_SOURCE /* memfd_create, pipe2, syscall */
#include "daemon/mtacommand.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is killed has this time to be gone; what may not be killed (setuid) runs on. */
#define KILLED_MS 1000
#define LOOK_MS 10
#define LEFT_MAX 16u

/* Programs that ran on, to be waited for before the next is started. */
static pid_t left[LEFT_MAX];
static size_t left_count;

struct run {
	int mail_fd;
	int said_fds[2]; /* its output: read end, write end */
	int pid_fd;
	pid_t pid;
	size_t said_len;
	struct mtacommand_end *end;
};

static void keep(struct run *r, struct slice text)
{
	size_t room = sizeof(r->end->said) - 1 - r->said_len;
	size_t len = text.len < room ? text.len : room;

	memcpy(r->end->said + r->said_len, text.ptr, len);
	r->said_len += len;
	r->end->said[r->said_len] = '\0';
}

/* @return false: it has closed its output */
static bool listen_once(struct run *r)
{
	char text[512];
	ssize_t len = read(r->said_fds[0], text, sizeof(text));

	if (len > 0)
		keep(r, slice_of(text, (size_t)len));
	return len > 0 || (len < 0 && (errno == EINTR || errno == EAGAIN));
}

/* The message in memory, at its start: whatever ends first, the program never reads half of it. */
static bool put_mail(struct run *r, struct slice mail)
{
	r->mail_fd = memfd_create("report", MFD_CLOEXEC);
	if (r->mail_fd < 0)
		return false;
	while (mail.len != 0) {
		ssize_t n = write(r->mail_fd, mail.ptr, mail.len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			mail = slice_sub(mail, (size_t)n, mail.len);
	}
	return lseek(r->mail_fd, 0, SEEK_SET) == 0;
}

static int add_actions(const struct run *r, posix_spawn_file_actions_t *actions)
{
	int rc = posix_spawn_file_actions_adddup2(actions, r->mail_fd, STDIN_FILENO);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, r->said_fds[1], STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, r->said_fds[1], STDERR_FILENO);
	return rc;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none;
	sigset_t pipe_only;
	int rc;

	(void)sigemptyset(&none);
	(void)sigemptyset(&pipe_only);
	(void)sigaddset(&pipe_only, SIGPIPE);
	rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							  POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attributes, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attributes, &pipe_only);
	return rc;
}

/* @return an errno, 0: it runs */
static int start(struct run *r, const char *command)
{
	char *const environment[] = {
		(char[]){ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
		(char[]){ "LC_ALL=C" }, NULL
	};
	char *const argv[] = { (char *)command, (char[]){ "-t" }, (char[]){ "-f<>" }, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attributes);
	if (rc == 0) {
		rc = add_actions(r, &actions);
		if (rc == 0)
			rc = set_attributes(&attributes);
		if (rc == 0)
			rc = posix_spawn(&r->pid, command, &actions, &attributes, argv,
					 environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* @return ERR_TIMEOUT; whether it ended or not, it is still to be waited for */
static enum err wait_for_end(struct run *r, int64_t deadline_ms)
{
	struct pollfd fds[2] = { { .fd = r->pid_fd, .events = POLLIN },
				 { .fd = r->said_fds[0], .events = POLLIN } };

	while (fds[0].revents == 0) {
		int64_t left_ms = deadline_ms - clock_mono_ms();

		if (left_ms <= 0)
			return ERR_TIMEOUT;
		if (poll(fds, ARRAY_LEN(fds), (int)left_ms) < 0)
			continue;
		if (fds[1].revents != 0 && !listen_once(r))
			fds[1].fd = -1;
	}
	return ERR_OK;
}

static void reap_left(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < left_count; i++)
		if (waitpid(left[i], NULL, WNOHANG) == 0)
			left[kept++] = left[i];
	left_count = kept;
}

/* @return false: it does not go, and is left */
static bool end_by_force(const struct run *r, int *ret_status)
{
	int64_t until_ms = clock_mono_ms() + KILLED_MS;

	(void)kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, ret_status, WNOHANG) == 0) {
		if (clock_mono_ms() >= until_ms) {
			left[left_count++] = r->pid; /* mtacommand_run() saw that there is room */
			return false;
		}
		(void)poll(NULL, 0, LOOK_MS);
	}
	return true;
}

static enum err finish(struct run *r, int timeout_ms)
{
	enum err err = ERR_IO;
	int status = 0;
	bool ended = true;

	r->pid_fd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->pid_fd >= 0)
		err = wait_for_end(r, clock_mono_ms() + timeout_ms);
	else
		keep(r, slice_str(strerror(errno)));
	if (err != ERR_OK)
		ended = end_by_force(r, &status);
	else
		while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
			;
	(void)listen_once(r); /* its last words */
	if (ended)
		r->end->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return err;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

enum err mtacommand_run(const char *command, struct slice mail, int timeout_ms,
			struct mtacommand_end *ret_end)
{
	struct run r = {
		.mail_fd = -1, .said_fds = { -1, -1 }, .pid_fd = -1, .pid = -1, .end = ret_end
	};
	enum err err = ERR_IO;
	int rc;

	*ret_end = (struct mtacommand_end){ .status = -1 };
	reap_left();
	if (left_count == LEFT_MAX) {
		keep(&r, SLICE_LIT("too many that were started before do not end"));
		return ERR_IO;
	}
	if (pipe2(r.said_fds, O_CLOEXEC) != 0 || !put_mail(&r, mail) ||
	    fcntl(r.said_fds[0], F_SETFL, O_NONBLOCK) != 0) {
		keep(&r, slice_str(strerror(errno)));
	} else {
		rc = start(&r, command);
		if (rc != 0)
			keep(&r, slice_str(strerror(rc)));
		else
			err = finish(&r, timeout_ms);
	}
	close_fd(r.mail_fd);
	close_fd(r.said_fds[0]);
	close_fd(r.said_fds[1]);
	close_fd(r.pid_fd);
	return err;
}
