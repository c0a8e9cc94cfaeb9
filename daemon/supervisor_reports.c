/* The reports process, from the supervisor's side: it runs while SendReports wants it. */
#include "daemon/supervisor_priv.h"

#include "base/log.h"
#include "config/handover.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORTS_PROGRAM "hsmdkim-reports"

void supervisor_reports_init(struct supervisor *s)
{
	s->reports.ask_fd = s->reports.serve_fd = -1;
	sidechild_init(&s->reports.process, "reports process", REPORTS_PROGRAM);
}

/* Also when no reports are wanted: a reload may want them. */
enum err supervisor_reports_open(struct supervisor *s, struct err_detail *detail)
{
	struct reports *r = &s->reports;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		err_detail_set(detail, "cannot make a socket pair: %s", strerror(errno));
		return ERR_IO;
	}
	r->ask_fd = pair[0];
	r->serve_fd = pair[1];
	return sidechild_find(&r->process);
}

static bool are_wanted(const struct supervisor *s)
{
	const struct settings *settings = s->current->settings;

	return settings->send_reports && (settings->mode & MODE_VERIFY) != 0 &&
	       !s->lifecycle.stopping;
}

void supervisor_reports_tick(struct supervisor *s)
{
	struct sidechild *process = &s->reports.process;
	/* sendmail(1) of Postfix starts a setgid program. */
	struct child_program program = { .user = &s->child[CHILD_MILTER].user,
					 .quiet = s->background,
					 .may_gain = true };

	enum err err;

	if (supervisor_reports_wait_ms(s) != 0 || !sidechild_start(process, &program))
		return;
	err = generation_send_milter(s->current, process->sock);
	if (err == ERR_OK)
		err = handover_send_now(process->sock, HANDOVER_REPORTS, 0, NULL,
					s->reports.serve_fd);
	if (err != ERR_OK) /* it ends, and comes again */
		log_line(LOG_LEVEL_WARNING,
			 "reports process: cannot be given the configuration: %s", err_text(err));
}

int64_t supervisor_reports_wait_ms(const struct supervisor *s)
{
	return are_wanted(s) ? sidechild_wait_ms(&s->reports.process) : -1;
}

void supervisor_reports_reap(struct supervisor *s)
{
	sidechild_reap(&s->reports.process);
}

void supervisor_reports_reloaded(struct supervisor *s)
{
	sidechild_replace(&s->reports.process);
}

void supervisor_reports_close(struct supervisor *s)
{
	struct reports *r = &s->reports;

	sidechild_stop(&r->process);
	if (r->ask_fd >= 0) {
		(void)close(r->ask_fd);
		(void)close(r->serve_fd);
	}
}
