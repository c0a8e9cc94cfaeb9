/* Processes that mail does not need: see sidechild.h. */
#include "daemon/sidechild.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/restartwait.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void sidechild_init(struct sidechild *c, const char *name, const char *program)
{
	*c = (struct sidechild){ .name = name, .program = program, .pid = -1, .sock = -1 };
}

enum err sidechild_find(struct sidechild *c)
{
	return child_program_path(c->program, c->path, sizeof(c->path));
}

static void start_later(struct sidechild *c)
{
	int64_t now_ms = clock_mono_ms();

	c->wait_ms = restartwait_next(c->wait_ms, now_ms - c->started_ms);
	c->start_at_ms = now_ms + c->wait_ms;
}

bool sidechild_start(struct sidechild *c, struct child_program *program)
{
	char *const argv[] = { (char *)c->program, NULL };
	struct err_detail detail = { "" };
	int pair[2];

	c->started_ms = clock_mono_ms();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_line(LOG_LEVEL_ERROR, "%s: %s", c->name, strerror(errno));
		start_later(c);
		return false;
	}
	program->path = c->path;
	program->argv = argv;
	if (child_spawn(program, pair[1], &c->pid, &detail) == ERR_OK) {
		c->sock = pair[0];
	} else {
		log_line(LOG_LEVEL_ERROR, "%s: %s", c->name, detail.text);
		(void)close(pair[0]);
		c->pid = -1;
		start_later(c);
	}
	program->argv = NULL;
	(void)close(pair[1]);
	return c->pid > 0;
}

static void ended(struct sidechild *c)
{
	c->pid = -1;
	(void)close(c->sock);
	c->sock = -1;
}

void sidechild_stop(struct sidechild *c)
{
	if (c->pid <= 0)
		return;
	(void)kill(c->pid, SIGKILL);
	(void)waitpid(c->pid, NULL, 0);
	ended(c);
}

void sidechild_replace(struct sidechild *c)
{
	if (c->pid <= 0) {
		/* What made it end may be what was mended. */
		c->start_at_ms = c->wait_ms = 0;
		return;
	}
	(void)kill(c->pid, SIGKILL);
	c->replaced = true;
}

void sidechild_reap(struct sidechild *c)
{
	int status;

	if (c->pid <= 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	ended(c);
	if (c->replaced) {
		c->replaced = false;
		c->start_at_ms = c->wait_ms = 0;
		return;
	}
	start_later(c);
	log_line(LOG_LEVEL_WARNING, "%s: ended with %s %d; starts again in %lld ms", c->name,
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		 (long long)c->wait_ms);
}

int64_t sidechild_wait_ms(const struct sidechild *c)
{
	int64_t left = c->start_at_ms - clock_mono_ms();

	if (c->pid > 0)
		return -1;
	return left > 0 ? left : 0;
}
