/* The metrics process, from the supervisor's side: bound, started, started again. */
#include "daemon/supervisor_priv.h"

#include "config/handover.h"
#include "config/metrics_addr.h"

#include <sys/socket.h>
#include <unistd.h>

#define METRICS_PROGRAM "hsmdkim-metrics"

void supervisor_metrics_init(struct supervisor *s)
{
	s->metrics.listen_fd = -1;
	sidechild_init(&s->metrics.process, "metrics process", METRICS_PROGRAM);
}

enum err supervisor_metrics_open(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	const struct userid *user = &s->child[CHILD_MILTER].user;
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
		err = sidechild_find(&m->process);
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

/* Its control socket, and its connection as a client. */
static void hand_over(struct supervisor *s)
{
	struct metrics *m = &s->metrics;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	if (handover_send_now(m->process.sock, HANDOVER_LISTEN, 0, NULL, m->listen_fd) == ERR_OK &&
	    handover_send_now(m->process.sock, HANDOVER_PEER, 0, NULL, pair[1]) == ERR_OK)
		(void)control_add(&s->control, pair[0]);
	else
		(void)close(pair[0]);
	(void)close(pair[1]);
}

void supervisor_metrics_tick(struct supervisor *s)
{
	struct child_program program = { .user = &s->child[CHILD_MILTER].user,
					 .quiet = s->background };

	if (supervisor_metrics_wait_ms(s) == 0 && sidechild_start(&s->metrics.process, &program))
		hand_over(s);
}

int64_t supervisor_metrics_wait_ms(const struct supervisor *s)
{
	if (s->metrics.listen_fd < 0 || s->lifecycle.stopping)
		return -1;
	return sidechild_wait_ms(&s->metrics.process);
}

void supervisor_metrics_reap(struct supervisor *s)
{
	sidechild_reap(&s->metrics.process);
}

void supervisor_metrics_close(struct supervisor *s)
{
	struct metrics *m = &s->metrics;

	sidechild_stop(&m->process); /* it has nothing to finish */
	if (m->listen_fd >= 0) {
		listen_unlink(&m->addr, m->listen_fd);
		(void)close(m->listen_fd);
	}
}
