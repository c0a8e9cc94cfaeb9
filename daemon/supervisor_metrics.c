/* The metrics process, from the supervisor's side: bound, started, started again. Mail does not
 * need it, so its end is no event of daemon/lifecycle.h. */
#include "daemon/supervisor_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/handover.h"
#include "config/metrics_addr.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define METRICS_PROGRAM "hsmdkim-metrics"
/* It is started again after this time, doubled with each end that follows soon. */
#define RESTART_FIRST_MS 500
#define RESTART_MAX_MS 60000
#define QUIET_MS 60000

enum err supervisor_metrics_open(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	const struct child_user *user = &s->child[CHILD_MILTER].user;
	struct listen_options options = { .umask = (int)settings->umask,
					  .uid = (uid_t)-1,
					  .gid = (gid_t)-1 };
	struct metrics *m = &s->metrics;
	struct metrics_addr where;
	enum err err;

	if (settings->metrics_listen == NULL)
		return ERR_OK;
	err = metrics_addr_parse(settings->metrics_listen, &where, detail);
	if (err == ERR_OK)
		err = child_program_path(METRICS_PROGRAM, m->path, sizeof(m->path));
	if (err != ERR_OK)
		return err;
	m->addr.kind = where.is_path ? LISTEN_UNIX : where.is_inet6 ? LISTEN_INET6 : LISTEN_INET;
	(void)snprintf(m->addr.path, sizeof(m->addr.path), "%s", where.path);
	(void)snprintf(m->addr.host, sizeof(m->addr.host), "%s", where.host);
	(void)snprintf(m->addr.port, sizeof(m->addr.port), "%s", where.port);
	if (user->set && geteuid() == 0) {
		options.uid = user->uid;
		options.gid = user->gid;
	}
	err = listen_open(&m->addr, &options, &m->listen_fd, detail);
	if (err != ERR_OK)
		err_detail_prefix(detail, "MetricsListen: ");
	return err;
}

static void start_later(struct metrics *m)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - m->started_ms >= QUIET_MS || m->wait_ms == 0)
		m->wait_ms = RESTART_FIRST_MS;
	else if (m->wait_ms < RESTART_MAX_MS)
		m->wait_ms *= 2;
	m->start_at_ms = now_ms + m->wait_ms;
}

/* Its control socket, and its connection as a client. */
static void hand_over(struct supervisor *s)
{
	struct metrics *m = &s->metrics;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	if (handover_send_now(m->sock, HANDOVER_LISTEN, 0, NULL, m->listen_fd) == ERR_OK &&
	    handover_send_now(m->sock, HANDOVER_PEER, 0, NULL, pair[1]) == ERR_OK)
		(void)control_add(&s->control, pair[0]);
	else
		(void)close(pair[0]);
	(void)close(pair[1]);
}

static void start(struct supervisor *s)
{
	struct metrics *m = &s->metrics;
	char *const argv[] = { (char[]){ METRICS_PROGRAM }, NULL };
	struct child_program program = { .path = m->path,
					 .argv = argv,
					 .user = &s->child[CHILD_MILTER].user,
					 .quiet = s->background };
	struct err_detail detail = { "" };
	int pair[2];

	m->started_ms = clock_mono_ms();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_line(LOG_LEVEL_ERROR, "metrics process: %s", strerror(errno));
		start_later(m);
		return;
	}
	if (child_spawn(&program, pair[1], &m->pid, &detail) != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "metrics process: %s", detail.text);
		(void)close(pair[0]);
		m->pid = -1;
		start_later(m);
	} else {
		m->sock = pair[0];
		hand_over(s);
	}
	(void)close(pair[1]);
}

void supervisor_metrics_tick(struct supervisor *s)
{
	struct metrics *m = &s->metrics;

	if (m->listen_fd >= 0 && m->pid <= 0 && !s->lifecycle.stopping &&
	    clock_mono_ms() >= m->start_at_ms)
		start(s);
}

int64_t supervisor_metrics_wait_ms(const struct supervisor *s)
{
	const struct metrics *m = &s->metrics;
	int64_t left = m->start_at_ms - clock_mono_ms();

	if (m->listen_fd < 0 || m->pid > 0 || s->lifecycle.stopping)
		return -1;
	return left > 0 ? left : 0;
}

void supervisor_metrics_reap(struct supervisor *s)
{
	struct metrics *m = &s->metrics;
	int status;

	if (m->pid <= 0 || waitpid(m->pid, &status, WNOHANG) != m->pid)
		return;
	m->pid = -1;
	(void)close(m->sock);
	m->sock = -1;
	start_later(m);
	log_line(LOG_LEVEL_WARNING, "metrics process: ended with %s %d; starts again in %lld ms",
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		 (long long)m->wait_ms);
}

void supervisor_metrics_close(struct supervisor *s)
{
	struct metrics *m = &s->metrics;

	if (m->pid > 0) { /* it has nothing to finish */
		(void)kill(m->pid, SIGKILL);
		(void)waitpid(m->pid, NULL, 0);
		(void)close(m->sock);
	}
	if (m->listen_fd >= 0) {
		listen_unlink(&m->addr, m->listen_fd);
		(void)close(m->listen_fd);
	}
}
