/* The supervisor's loop: signals and messages in, the actions of daemon/lifecycle.c out. */
#include "daemon/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/handover.h"
#include "daemon/child.h"
#include "daemon/daemonize.h"
#include "daemon/lifecycle.h"
#include "daemon/listen.h"
#include "daemon/logsetup.h"
#include "daemon/milterproc.h"
#include "daemon/notify.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define SIGNER_PROGRAM "hsmdkim-signer"
/* How long a child may take to load its tables: a million rows take a second. */
#define LOAD_TIMEOUT_MS 60000
/* Beyond TokenTimeout, for the messages in flight at a stop. */
#define STOP_GRACE_MS 5000
/* Notes of the signer that outlive it; it makes one a token. */
#define NOTES_MAX 256u
/* Messages of one child that are read before the others have their turn. */
#define MESSAGES_A_TURN 16

struct child {
	pid_t pid; /* -1: none */
	int sock;  /* -1: none */
	struct child_user user;
	char path[PATH_MAX];
};

struct supervisor {
	const struct supervisor_options *options;
	struct generation *current;
	struct generation *candidate;
	uint32_t last_number;
	struct child child[CHILD_COUNT];
	struct listen_addr addr;
	int listen_fd;
	int signal_fd;
	struct lifecycle lifecycle;
	char *notes[NOTES_MAX];
	size_t notes_count;
	struct daemonize daemonize;
	bool background;
	bool done;
	int status;
};

/* --- actions -------------------------------------------------------------------------------------
 */

static void lost(struct child *child, enum child_id id, const char *what, enum err err)
{
	log_line(LOG_LEVEL_ERROR, "%s process: %s: %s", child_name(id), what, err_text(err));
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL); /* its end is an event like any other */
}

static void tell(struct supervisor *s, enum child_id id, enum handover_type type,
		 uint32_t generation, const char *text, int fd)
{
	struct child *child = &s->child[id];
	enum err err;

	if (child->sock < 0)
		return;
	err = handover_send(child->sock, type, generation, text, fd);
	if (err != ERR_OK && err != ERR_PEER_LOST)
		lost(child, id, "cannot be reached", err);
}

static void spawn(struct supervisor *s, enum child_id id)
{
	char *const signer_argv[] = { (char[]){ SIGNER_PROGRAM }, NULL };
	char *const milter_argv[] = { (char[]){ "hsmdkim" }, (char[]){ MILTERPROC_ARGUMENT },
				      NULL };
	struct child *child = &s->child[id];
	struct child_program program = {
		.path = child->path,
		.argv = id == CHILD_SIGNER ? signer_argv : milter_argv,
		.user = &child->user,
		.keep_credentials = id == CHILD_SIGNER,
		.quiet = s->background,
	};
	struct err_detail detail = { "" };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_line(LOG_LEVEL_ERROR, "cannot make a socket pair: %s", strerror(errno));
		lifecycle_exited(&s->lifecycle, id, -SIGKILL, clock_mono_ms());
		return;
	}
	if (child_spawn(&program, pair[1], &child->pid, &detail) != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "%s", detail.text);
		(void)close(pair[0]);
		(void)close(pair[1]);
		lifecycle_exited(&s->lifecycle, id, -SIGKILL, clock_mono_ms());
		return;
	}
	(void)close(pair[1]);
	child->sock = pair[0];
	for (size_t i = 0; id == CHILD_SIGNER && i < s->notes_count; i++)
		tell(s, id, HANDOVER_NOTE, 0, s->notes[i], -1);
}

static void send_load(struct supervisor *s, enum child_id id, uint32_t number)
{
	struct child *child = &s->child[id];
	const struct generation *g =
		s->candidate != NULL && s->candidate->number == number ? s->candidate : s->current;
	enum err err;

	if (child->sock < 0)
		return;
	err = id == CHILD_SIGNER ? generation_send_signer(g, child->sock)
				 : generation_send_milter(g, child->sock);
	if (err != ERR_OK && err != ERR_PEER_LOST)
		lost(child, id, "cannot be given the configuration", err);
}

static void pair_children(struct supervisor *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		lost(&s->child[CHILD_SIGNER], CHILD_SIGNER, strerror(errno), ERR_IO);
		return;
	}
	tell(s, CHILD_SIGNER, HANDOVER_PEER, 0, NULL, pair[0]);
	tell(s, CHILD_MILTER, HANDOVER_PEER, 0, NULL, pair[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void forget_notes(struct supervisor *s)
{
	while (s->notes_count > 0)
		free(s->notes[--s->notes_count]);
}

static void reloaded(struct supervisor *s)
{
	generation_free(&s->current);
	s->current = s->candidate;
	s->candidate = NULL;
	forget_notes(s); /* a reload is what lets a refused PIN be tried again */
	logsetup_apply(s->current->settings);
	log_line(LOG_LEVEL_INFO, "configuration reloaded from %s",
		 s->options->source.path != NULL ? s->options->source.path : "the command line");
	notify_ready();
}

static void reload_failed(struct supervisor *s, const struct lifecycle_action *a)
{
	log_line(LOG_LEVEL_ERROR, "reload failed: %s; the configuration in force stays", a->reason);
	if (s->candidate != NULL && s->candidate->number == a->generation)
		generation_free(&s->candidate);
	notify_ready();
}

static void act(struct supervisor *s, const struct lifecycle_action *a)
{
	struct child *child = &s->child[a->child];

	switch (a->what) {
	case LIFECYCLE_SPAWN:
		spawn(s, a->child);
		break;
	case LIFECYCLE_LOAD:
		send_load(s, a->child, a->generation);
		break;
	case LIFECYCLE_COMMIT:
		tell(s, a->child, HANDOVER_COMMIT, a->generation, NULL, -1);
		break;
	case LIFECYCLE_ABORT:
		tell(s, a->child, HANDOVER_ABORT, a->generation, NULL, -1);
		break;
	case LIFECYCLE_PAIR:
		pair_children(s);
		break;
	case LIFECYCLE_LISTEN:
		tell(s, a->child, HANDOVER_LISTEN, 0, NULL, s->listen_fd);
		break;
	case LIFECYCLE_STOP:
		tell(s, a->child, HANDOVER_STOP, 0, NULL, -1);
		break;
	case LIFECYCLE_KILL:
		if (child->pid > 0)
			(void)kill(child->pid, SIGKILL);
		break;
	case LIFECYCLE_IN_SERVICE:
		daemonize_done(&s->daemonize, EX_OK);
		notify_ready();
		break;
	case LIFECYCLE_RELOADED:
		reloaded(s);
		break;
	case LIFECYCLE_RELOAD_FAILED:
		reload_failed(s, a);
		break;
	case LIFECYCLE_RESTARTING:
		log_line(LOG_LEVEL_WARNING, "%s process: starts again in %lld ms",
			 child_name(a->child), (long long)a->delay_ms);
		break;
	case LIFECYCLE_GIVE_UP:
		log_line(LOG_LEVEL_ERROR, "giving up: %s", a->reason);
		break;
	case LIFECYCLE_EXIT:
		s->done = true;
		s->status = a->code;
		break;
	}
}

static void act_all(struct supervisor *s)
{
	struct lifecycle_action action;

	while (lifecycle_next(&s->lifecycle, &action))
		act(s, &action);
}

/* --- events --------------------------------------------------------------------------------------
 */

static void reload(struct supervisor *s)
{
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };
	struct generation *next = NULL;
	enum err err;

	notify_reloading();
	err = generation_read(&s->options->source, s->last_number + 1, &next, &warnings, &detail);
	logsetup_warnings(&warnings);
	if (err != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "%s; the configuration in force stays",
			 detail.text[0] != '\0' ? detail.text : err_text(err));
		notify_ready();
		return;
	}
	s->last_number++;
	generation_free(&s->candidate);
	s->candidate = next;
	lifecycle_reload(&s->lifecycle, next->number, clock_mono_ms());
}

static void stop(struct supervisor *s)
{
	notify_stopping();
	lifecycle_stop(&s->lifecycle, clock_mono_ms());
}

static void log_end(enum child_id id, int status, bool expected)
{
	enum log_level level = expected ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR;

	if (WIFSIGNALED(status))
		log_line(level, "%s process: killed by signal %d (%s)", child_name(id),
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_line(level, "%s process: ended with status %d", child_name(id),
			 WEXITSTATUS(status));
}

static void receive(struct supervisor *s, enum child_id id);

static void reap(struct supervisor *s)
{
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		enum child_id id = (enum child_id)i;
		struct child *child = &s->child[i];
		int status;

		if (child->pid <= 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
			continue;
		receive(s, id); /* what it said last: why it failed */
		act_all(s);
		log_end(id, status, s->lifecycle.stopping);
		child->pid = -1;
		if (child->sock >= 0)
			(void)close(child->sock);
		child->sock = -1;
		lifecycle_exited(&s->lifecycle, id,
				 WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status),
				 clock_mono_ms());
		act_all(s);
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
		reload(s);
		break;
	case SIGTERM:
	case SIGINT:
		stop(s);
		break;
	default: /* SIGCHLD */
		reap(s);
		break;
	}
}

static void keep_note(struct supervisor *s, char **text)
{
	for (size_t i = 0; i < s->notes_count; i++) {
		if (strcmp(s->notes[i], *text) == 0)
			return;
	}
	if (s->notes_count == NOTES_MAX)
		return;
	s->notes[s->notes_count++] = *text;
	*text = NULL;
}

static void take_message(struct supervisor *s, enum child_id id, struct handover_msg *msg)
{
	int64_t now_ms = clock_mono_ms();
	char text[2048];

	switch (msg->type) {
	case HANDOVER_LOADED:
		lifecycle_loaded(&s->lifecycle, id, msg->generation, now_ms);
		break;
	case HANDOVER_FAILED:
		log_line(LOG_LEVEL_ERROR, "%s",
			 text_sanitize(slice_str(msg->text), text, sizeof(text)));
		lifecycle_failed(&s->lifecycle, id, msg->generation, now_ms);
		break;
	case HANDOVER_READY:
		lifecycle_ready(&s->lifecycle, id, now_ms);
		break;
	case HANDOVER_NOTE:
		if (id == CHILD_SIGNER)
			keep_note(s, &msg->text);
		break;
	case HANDOVER_LOAD:
	case HANDOVER_COMMIT:
	case HANDOVER_ABORT:
	case HANDOVER_PEER:
	case HANDOVER_LISTEN:
	case HANDOVER_STOP:
		lost(&s->child[id], id, "breaks the protocol", ERR_PROTOCOL);
		break;
	}
}

static void receive(struct supervisor *s, enum child_id id)
{
	struct child *child = &s->child[id];

	for (int i = 0; i < MESSAGES_A_TURN && child->sock >= 0; i++) {
		struct handover_msg msg = { .fd = -1 };
		enum err err = handover_recv(child->sock, 0, &msg);

		if (err == ERR_TIMEOUT)
			return;
		if (err != ERR_OK) {
			/* A child without its control socket cannot be led any more. */
			(void)close(child->sock);
			child->sock = -1;
			if (err != ERR_PEER_LOST)
				lost(child, id, "breaks the protocol", err);
			else if (child->pid > 0 && !s->lifecycle.stopping)
				(void)kill(child->pid, SIGKILL);
			return;
		}
		take_message(s, id, &msg);
		handover_msg_done(&msg);
		act_all(s);
	}
}

static void turn(struct supervisor *s)
{
	struct pollfd fds[1 + CHILD_COUNT] = { { .fd = s->signal_fd, .events = POLLIN } };
	int64_t wait_ms = lifecycle_wait_ms(&s->lifecycle, clock_mono_ms());

	for (unsigned i = 0; i < CHILD_COUNT; i++)
		fds[1 + i] = (struct pollfd){ .fd = s->child[i].sock, .events = POLLIN };
	if (poll(fds, ARRAY_LEN(fds), wait_ms > INT_MAX ? INT_MAX : (int)wait_ms) < 0)
		return;
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (fds[1 + i].revents != 0)
			receive(s, (enum child_id)i);
	}
	if (fds[0].revents != 0)
		take_signal(s);
	act_all(s);
	lifecycle_tick(&s->lifecycle, clock_mono_ms());
	act_all(s);
}

/* --- start and end -------------------------------------------------------------------------------
 */

static int exit_status(enum err err)
{
	switch (err_class(err)) {
	case ERR_CLASS_NONE:
		return EX_OK;
	case ERR_CLASS_PERM:
		return EX_CONFIG;
	case ERR_CLASS_TEMP:
	case ERR_CLASS_BUG:
		break;
	}
	return err == ERR_IO ? EX_CONFIG : EX_OSERR;
}

static int complain(enum err err, const struct err_detail *detail)
{
	log_line(LOG_LEVEL_ERROR, "%s", detail->text[0] != '\0' ? detail->text : err_text(err));
	return exit_status(err);
}

static enum err find_users(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	const char *signer = settings->signer_user_id;
	enum err err = ERR_OK;

	if (settings->user_id != NULL)
		err = child_user_find("UserID", settings->user_id, &s->child[CHILD_MILTER].user,
				      detail);
	s->child[CHILD_SIGNER].user = s->child[CHILD_MILTER].user;
	if (err == ERR_OK && signer != NULL)
		err = child_user_find("SignerUserID", signer, &s->child[CHILD_SIGNER].user, detail);
	if (err == ERR_OK && geteuid() == 0 && !s->child[CHILD_MILTER].user.set)
		log_line(LOG_LEVEL_WARNING, "UserID is not set: mail is parsed as root");
	return err;
}

/* systemd's socket wins over the setting, else there would be two. */
static enum err open_socket(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	const struct child_user *user = &s->child[CHILD_MILTER].user;
	struct listen_options options = { .umask = (int)settings->umask,
					  .uid = (uid_t)-1,
					  .gid = (gid_t)-1 };
	enum err err = listen_inherited(&s->listen_fd, detail);

	if (err != ERR_OK || s->listen_fd >= 0) {
		s->addr = (struct listen_addr){ .kind = LISTEN_FD };
		return err;
	}
	if (settings->socket == NULL) {
		err_detail_set(detail, "milter socket must be specified (Socket or -p)");
		return ERR_CONFIG;
	}
	if (user->set && geteuid() == 0) {
		options.uid = user->uid;
		options.gid = user->gid;
	}
	err = listen_parse(settings->socket, &s->addr, detail);
	return err == ERR_OK ? listen_open(&s->addr, &options, &s->listen_fd, detail) : err;
}

static enum err open_signals(struct supervisor *s)
{
	static const int wanted[] = { SIGHUP, SIGUSR1, SIGTERM, SIGINT, SIGCHLD };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		(void)sigaddset(&set, wanted[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return ERR_IO;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd >= 0 ? ERR_OK : ERR_IO;
}

/* Relative paths of tables start there, so it comes before they are read. */
static enum err enter_base_directory(struct supervisor *s, struct err_detail *detail)
{
	AUTO(settings_free) struct settings *settings = NULL;
	enum err err = generation_settings(&s->options->source, &settings, NULL, detail);

	if (err != ERR_OK || settings->base_directory == NULL ||
	    chdir(settings->base_directory) == 0)
		return err;
	err_detail_set(detail, "BaseDirectory %s: %s", settings->base_directory, strerror(errno));
	return ERR_CONFIG;
}

/* Everything that can be wrong before the first child. @return exit status; EX_OK: go on */
static int prepare(struct supervisor *s)
{
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };
	enum err err = sandbox_lock_process(&detail);

	if (err == ERR_OK)
		err = enter_base_directory(s, &detail);
	if (err == ERR_OK)
		err = generation_read(&s->options->source, ++s->last_number, &s->current, &warnings,
				      &detail);
	if (s->current != NULL)
		logsetup_apply(s->current->settings);
	logsetup_warnings(&warnings);
	if (err == ERR_OK)
		err = child_program_path(SIGNER_PROGRAM, s->child[CHILD_SIGNER].path, PATH_MAX);
	if (err == ERR_OK)
		err = child_program_path(NULL, s->child[CHILD_MILTER].path, PATH_MAX);
	if (err == ERR_OK)
		err = find_users(s, &detail);
	if (err != ERR_OK)
		return complain(err, &detail);
	err = open_socket(s, &detail);
	if (err != ERR_OK) {
		(void)complain(err, &detail);
		return err == ERR_CONFIG ? EX_CONFIG : EX_UNAVAILABLE;
	}
	err = open_signals(s);
	return err == ERR_OK ? EX_OK : complain(err, &detail);
}

static void start(struct supervisor *s)
{
	const struct settings *settings = s->current->settings;
	struct lifecycle_options options = {
		.restart = settings->auto_restart,
		.max_restarts = settings->auto_restart_count,
		.rate_count = settings->auto_restart_rate.count,
		.rate_period_ms = settings->auto_restart_rate.period_ms,
		.load_timeout_ms = LOAD_TIMEOUT_MS,
		.stop_timeout_ms = settings->token_timeout_ms + STOP_GRACE_MS,
	};

	log_line(LOG_LEVEL_INFO, "hsmdkim v" HSMDKIM_VERSION " starting (args: %s)",
		 s->options->arguments);
	lifecycle_start(&s->lifecycle, &options, s->current->number, clock_mono_ms());
	act_all(s);
	while (!s->done)
		turn(s);
	log_line(LOG_LEVEL_INFO, "hsmdkim v" HSMDKIM_VERSION " terminating with status %d",
		 s->status);
}

static void cleanup(struct supervisor *s)
{
	if (s->listen_fd >= 0) {
		listen_unlink(&s->addr, s->listen_fd);
		(void)close(s->listen_fd);
	}
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	forget_notes(s);
	generation_free(&s->candidate);
	generation_free(&s->current);
}

/* In the background from here on, if that is wanted; the parent waits until we are in service. */
static int run(struct supervisor *s)
{
	const struct settings *settings = s->current->settings;
	char *pid_file =
		settings->pid_file != NULL ? slice_dup(slice_str(settings->pid_file)) : NULL;
	struct err_detail detail = { "" };
	enum err err = ERR_OK;

	if (!s->options->foreground && settings->background)
		err = daemonize_begin(&s->daemonize, &detail);
	s->background = s->daemonize.ready_fd >= 0;
	if (err == ERR_OK && pid_file != NULL)
		err = pidfile_write(pid_file, (int)settings->umask, &detail);
	if (err == ERR_OK)
		start(s);
	else
		s->status = complain(err, &detail);
	if (pid_file != NULL)
		pidfile_remove(pid_file);
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
	s.daemonize = DAEMONIZE_NONE;
	status = prepare(&s);
	if (status == EX_OK)
		status = run(&s);
	cleanup(&s);
	daemonize_done(&s.daemonize, status);
	return status;
}
