/* The supervisor's loop: signals and messages in, the actions of daemon/lifecycle.c out. */
#include "daemon/supervisor_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/faults.h"
#include "config/handover.h"
#include "config/logsetup.h"
#include "daemon/notify.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* How long a child may take to load its tables: a million rows take a second. */
#define LOAD_TIMEOUT_MS 60000
/* Beyond TokenTimeout, for the messages in flight at a stop. */
#define STOP_GRACE_MS 5000
/* How long a child may take to switch to tables that it has loaded: that is some pointers. */
#define COMMIT_TIMEOUT_MS 10000
/* Messages of one child that are read before the others have their turn. */
#define MESSAGES_A_TURN 16
/* More than the tables of a child have errors that it tells. */
#define FAILURE_LINES_MAX 500u
/* More than the socket of a child that is gone can hold. */
#define LAST_TURNS 64

/* --- events --------------------------------------------------------------------------------------
 */

static enum err read_next(struct supervisor *s, const char *token, struct generation **ret_next,
			  struct settings_warnings *warnings, struct err_detail *detail)
{
	uint32_t number = s->last_number + 1;

	if (token != NULL)
		return generation_relogin(&s->options->source, s->current, token, number, ret_next,
					  detail);
	return generation_read(&s->options->source, s->current, number, ret_next, warnings, detail);
}

uint32_t supervisor_reload(struct supervisor *s, const char *token)
{
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };
	struct generation *next = NULL;
	enum err err;

	notify_reloading();
	err = read_next(s, token, &next, &warnings, &detail);
	for (size_t i = 0; err == ERR_OK && i < warnings.count; i++)
		generation_warn(next, warnings.texts[i]);
	if (err != ERR_OK) {
		(void)snprintf(s->reload.text, sizeof(s->reload.text), "%s",
			       detail.text[0] != '\0' ? detail.text : err_text(err));
		log_line(LOG_LEVEL_ERROR, "%s; the configuration in force stays", s->reload.text);
	}
	logsetup_warnings(&warnings); /* what is also wrong, too */
	if (err != ERR_OK) {
		s->reload.failed++;
		notify_ready();
		return 0;
	}
	s->last_number++;
	lifecycle_abort_reload(&s->lifecycle);
	supervisor_act(s);
	generation_free(&s->candidate);
	s->candidate = next;
	(void)snprintf(s->reload.token, sizeof(s->reload.token), "%s", token != NULL ? token : "");
	s->reload.text[0] = s->reload.refusal[0] = '\0';
	lifecycle_reload(&s->lifecycle, next->number, clock_mono_ms());
	return next->number;
}

static void stop(struct supervisor *s)
{
	notify_stopping();
	lifecycle_stop(&s->lifecycle, clock_mono_ms());
}

/* @param code see lifecycle_exited() */
static void log_end(enum child_id id, int code, bool expected)
{
	enum log_level level = expected ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR;

	if (code < 0)
		log_line(level, "%s process: killed by signal %d (%s)", child_name(id), -code,
			 strsignal(-code));
	else
		log_line(level, "%s process: ended with status %d", child_name(id), code);
}

static bool receive(struct supervisor *s, enum child_id id);

static void reap(struct supervisor *s)
{
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		enum child_id id = (enum child_id)i;
		struct child *child = &s->child[i];
		int status;
		int code;

		if (child->pid <= 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
			continue;
		/* What it said last: why it failed, notes. */
		for (int turns = 0; turns < LAST_TURNS && receive(s, id); turns++)
			;
		supervisor_act(s);
		code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
		log_end(id, code, s->lifecycle.stopping || lifecycle_is_planned(id, code));
		child->pid = -1;
		supervisor_watchdog_exited(s, id);
		if (child->sock >= 0)
			(void)close(child->sock);
		child->sock = -1;
		lifecycle_exited(&s->lifecycle, id, code, clock_mono_ms());
		supervisor_act(s);
	}
}

static void take_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
	case SIGUSR1:
		(void)supervisor_reload(s, NULL);
		break;
	case SIGTERM:
	case SIGINT:
		stop(s);
		break;
	default: /* SIGCHLD */
		reap(s);
		supervisor_metrics_reap(s);
		supervisor_reports_reap(s);
		break;
	}
}

/* Why a child cannot load a generation, an error a line, with the place of the setting that it
 * names: the child does not know it. A client of a reload gets the first. */
static void take_failure(struct supervisor *s, enum child_id id, const struct handover_msg *msg)
{
	bool reload = s->candidate != NULL && s->candidate->number == msg->generation;
	struct slice rest = slice_str(msg->text);
	struct slice line;

	for (unsigned i = 0; i < FAILURE_LINES_MAX && slice_next(&rest, '\n', &line); i++) {
		struct err_detail why;
		char text[2048];

		if (line.len == 0)
			continue;
		err_detail_set(&why, "%.*s", SLICE_FMT(line));
		settings_place_error((reload ? s->candidate : s->current)->settings, &why);
		(void)text_sanitize(slice_str(why.text), text, sizeof(text));
		log_line(LOG_LEVEL_ERROR, "%s%s", i == 0 ? "" : FAULTS_ALSO, text);
		if (reload && s->reload.refusal[0] == '\0')
			(void)snprintf(s->reload.refusal, sizeof(s->reload.refusal), "%.*s",
				       (int)sizeof(s->reload.refusal) - 1, text);
	}
	lifecycle_failed(&s->lifecycle, id, msg->generation, clock_mono_ms());
}

/* The signer's outlive it; the milter's are doubts about what it loads. */
static void take_note(struct supervisor *s, enum child_id id, struct handover_msg *msg)
{
	if (id == CHILD_SIGNER) {
		notes_put(&s->notes, msg->text);
		msg->text = NULL; /* taken over */
	} else if (s->candidate != NULL && s->candidate->number == msg->generation) {
		generation_warn(s->candidate, msg->text);
	}
}

static void take_message(struct supervisor *s, enum child_id id, struct handover_msg *msg)
{
	int64_t now_ms = clock_mono_ms();

	switch (msg->type) {
	case HANDOVER_LOADED:
		lifecycle_loaded(&s->lifecycle, id, msg->generation, now_ms);
		break;
	case HANDOVER_FAILED:
		take_failure(s, id, msg);
		break;
	case HANDOVER_COMMITTED:
		lifecycle_committed(&s->lifecycle, id, msg->generation);
		break;
	case HANDOVER_READY:
		lifecycle_ready(&s->lifecycle, id, now_ms);
		break;
	case HANDOVER_NOTE:
		take_note(s, id, msg);
		break;
	case HANDOVER_ANSWER:
		supervisor_answered(s, id, msg->generation);
		break;
	case HANDOVER_LOAD:
	case HANDOVER_COMMIT:
	case HANDOVER_ABORT:
	case HANDOVER_PEER:
	case HANDOVER_LISTEN:
	case HANDOVER_STOP:
	case HANDOVER_ASK:
	case HANDOVER_REPORTS:
		supervisor_lost(s, id, "breaks the protocol", ERR_PROTOCOL);
		break;
	}
}

/* @return true: there may be more */
static bool receive(struct supervisor *s, enum child_id id)
{
	struct child *child = &s->child[id];

	for (int i = 0; i < MESSAGES_A_TURN && child->sock >= 0; i++) {
		struct handover_msg msg = { .fd = -1 };
		enum err err = handover_recv(child->sock, 0, &msg);

		if (err == ERR_TIMEOUT)
			return false;
		if (err != ERR_OK) {
			/* A child without its control socket cannot be led any more. */
			(void)close(child->sock);
			child->sock = -1;
			if (err != ERR_PEER_LOST)
				supervisor_lost(s, id, "breaks the protocol", err);
			else if (child->pid > 0 && !s->lifecycle.stopping)
				(void)kill(child->pid, SIGKILL);
			return false;
		}
		child->heard_ms = clock_mono_ms();
		take_message(s, id, &msg);
		handover_msg_done(&msg);
		supervisor_act(s);
	}
	return child->sock >= 0;
}

/* The sooner of two; -1 is never. */
static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
	if (a_ms < 0 || b_ms < 0)
		return a_ms < 0 ? b_ms : a_ms;
	return a_ms < b_ms ? a_ms : b_ms;
}

static void turn(struct supervisor *s)
{
	struct pollfd fds[1 + CHILD_COUNT + CONTROL_POLL_MAX] = { { .fd = s->signal_fd,
								    .events = POLLIN } };
	struct pollfd *clients = fds + 1 + CHILD_COUNT;
	int64_t wait_ms = sooner(lifecycle_wait_ms(&s->lifecycle, clock_mono_ms()),
				 supervisor_control_wait_ms(s));

	wait_ms = sooner(wait_ms, supervisor_metrics_wait_ms(s));
	wait_ms = sooner(wait_ms, supervisor_reports_wait_ms(s));
	wait_ms = sooner(wait_ms, supervisor_watchdog_wait_ms(s));

	for (unsigned i = 0; i < CHILD_COUNT; i++)
		fds[1 + i] = (struct pollfd){ .fd = s->child[i].sock, .events = POLLIN };
	control_fill(&s->control, clients);
	if (poll(fds, ARRAY_LEN(fds), wait_ms > INT_MAX ? INT_MAX : (int)wait_ms) < 0)
		return;
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (fds[1 + i].revents != 0)
			(void)receive(s, (enum child_id)i);
	}
	if (fds[0].revents != 0)
		take_signal(s);
	control_turn(&s->control, clients);
	supervisor_control_tick(s);
	supervisor_metrics_tick(s);
	supervisor_reports_tick(s);
	supervisor_watchdog_tick(s);
	supervisor_act(s);
	lifecycle_tick(&s->lifecycle, clock_mono_ms());
	supervisor_act(s);
}

/* --- start and end
 * ---------------------------------------------------------------------------------- */

static void start(struct supervisor *s)
{
	const struct settings *settings = s->current->settings;
	struct lifecycle_options options = {
		.restart = settings->auto_restart,
		.max_restarts = settings->auto_restart_count,
		.rate_count = settings->auto_restart_rate.count,
		.rate_period_ms = settings->auto_restart_rate.period_ms,
		.load_timeout_ms = LOAD_TIMEOUT_MS,
		.commit_timeout_ms = COMMIT_TIMEOUT_MS,
		.stop_timeout_ms = settings->token_timeout_ms + STOP_GRACE_MS,
	};

	log_line(LOG_LEVEL_INFO, "hsmdkim v" HSMDKIM_VERSION " starting (args: %s)",
		 s->options->arguments);
	supervisor_watchdog_start(s);
	lifecycle_start(&s->lifecycle, &options, s->current->number, clock_mono_ms());
	supervisor_act(s);
	while (!s->done)
		turn(s);
	log_line(LOG_LEVEL_INFO, "hsmdkim v" HSMDKIM_VERSION " terminating with status %d",
		 s->status);
}

/* In the background from here on, if that is wanted; the parent waits until we are in service. */
static int run(struct supervisor *s)
{
	const struct settings *settings = s->current->settings;
	char *pid_file =
		settings->pid_file != NULL ? slice_dup(slice_str(settings->pid_file)) : NULL;
	struct err_detail detail = { "" };
	enum err err = ERR_OK;
	int pid_fd = -1;

	if (!s->options->foreground && settings->background)
		err = daemonize_begin(&s->daemonize, &detail);
	s->background = s->daemonize.ready_fd >= 0;
	if (err == ERR_OK && pid_file != NULL)
		err = pidfile_write(pid_file, (int)settings->umask, &pid_fd, &detail);
	if (err == ERR_OK)
		start(s);
	else
		s->status = supervisor_complain(s, err, &detail);
	if (pid_file != NULL)
		pidfile_remove(pid_file, pid_fd);
	free(pid_file);
	return s->status;
}

int supervisor_main(const struct supervisor_options *options)
{
	static struct supervisor s;
	int status;

	s = (struct supervisor){ .options = options, .listen_fd = -1, .signal_fd = -1 };
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		s.child[i].pid = s.child[i].sock = -1;
	control_init(&s.control);
	supervisor_metrics_init(&s);
	supervisor_reports_init(&s);
	s.started_ms = clock_mono_ms();
	s.daemonize = DAEMONIZE_NONE;
	status = supervisor_prepare(&s);
	if (status == EX_OK)
		status = run(&s);
	supervisor_cleanup(&s);
	daemonize_done(&s.daemonize, status);
	return status;
}
