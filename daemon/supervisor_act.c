/* What the supervisor does: the actions of daemon/lifecycle.c. */
#include "daemon/supervisor_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/handover.h"
#include "config/logsetup.h"
#include "daemon/milterproc.h"
#include "daemon/notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* A child that owes an answer, has no other work and says nothing for so long is stuck. */
#define SILENT_MS 10000

void supervisor_lost(struct supervisor *s, enum child_id id, const char *what, enum err err)
{
	struct child *child = &s->child[id];

	if (child->lost)
		return; /* that was said, and it is killed already */
	child->lost = true;
	log_line(LOG_LEVEL_ERROR, "%s process: %s: %s", child_name(id), what, err_text(err));
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL); /* its end is an event like any other */
}

static void tell(struct supervisor *s, enum child_id id, enum handover_type type,
		 uint32_t generation, const char *text, int fd)
{
	struct child *child = &s->child[id];
	enum err err;

	if (child->sock < 0 || child->lost)
		return;
	err = handover_send_now(child->sock, type, generation, text, fd);
	if (err != ERR_OK && err != ERR_PEER_LOST)
		supervisor_lost(s, id, "does not read what it is told; it is killed", err);
}

static void spawn(struct supervisor *s, enum child_id id)
{
	char *const signer_argv[] = { (char[]){ CHILD_SIGNER_PROGRAM }, NULL };
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
	child->starts++;
	child->owed = (struct questions_owed){ .count = 0 };
	child->lost = false;
	child->started_ms = child->heard_ms = clock_mono_ms();
	for (size_t i = 0; id == CHILD_SIGNER && i < s->notes.count; i++)
		tell(s, id, HANDOVER_NOTE, 0, s->notes.texts[i], -1);
	if (id == CHILD_MILTER)
		tell(s, id, HANDOVER_REPORTS, 0, NULL, s->reports.ask_fd);
}

/* To a signer that runs: a reload forgets refused PINs, one token's PIN does so only for that. */
static void send_other_notes(struct supervisor *s, const char *token)
{
	for (size_t i = 0; i < s->notes.count; i++) {
		if (!note_is_of(s->notes.texts[i], token))
			tell(s, CHILD_SIGNER, HANDOVER_NOTE, 0, s->notes.texts[i], -1);
	}
}

static void send_load(struct supervisor *s, enum child_id id, uint32_t number)
{
	struct child *child = &s->child[id];
	const struct generation *g =
		s->candidate != NULL && s->candidate->number == number ? s->candidate : s->current;
	enum err err;

	if (child->sock < 0 || child->lost)
		return;
	if (id == CHILD_SIGNER && g == s->candidate && s->reload.token[0] != '\0')
		send_other_notes(s, s->reload.token);
	err = id == CHILD_SIGNER ? generation_send_signer(g, child->sock)
				 : generation_send_milter(g, child->sock);
	if (err != ERR_OK && err != ERR_PEER_LOST)
		supervisor_lost(s, id, "cannot be given the configuration; it is killed", err);
}

static void pair_children(struct supervisor *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		supervisor_lost(s, CHILD_SIGNER, strerror(errno), ERR_IO);
		return;
	}
	tell(s, CHILD_SIGNER, HANDOVER_PEER, 0, NULL, pair[0]);
	tell(s, CHILD_MILTER, HANDOVER_PEER, 0, NULL, pair[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static bool is_stuck(const struct supervisor *s, enum child_id id, int64_t now_ms)
{
	const struct child *child = &s->child[id];
	struct pollfd p = { .fd = child->sock, .events = POLLIN };

	/* What it said while we were busy ourselves is not read yet. */
	return child->owed.count > 0 && lifecycle_is_idle(&s->lifecycle, id) &&
	       now_ms - child->owed.asked_ms[0] >= SILENT_MS &&
	       now_ms - child->heard_ms >= SILENT_MS && poll(&p, 1, 0) == 0;
}

void supervisor_ask(struct supervisor *s, enum child_id id, const char *text,
		    struct question *ret_question)
{
	struct child *child = &s->child[id];
	int64_t now_ms = clock_mono_ms();
	uint32_t number;
	int fd = -1;
	enum err err;

	*ret_question = (struct question){ .fd = -1 };
	if (is_stuck(s, id, now_ms))
		supervisor_lost(s, id, "answers no questions any more; it is killed", ERR_TIMEOUT);
	if (child->sock < 0 || child->lost || child->owed.count == QUESTIONS_OWED_MAX)
		return;
	if (++s->last_question == 0)
		s->last_question = 1;
	number = s->last_question;
	err = question_ask(child->sock, number, text, &fd);
	if (err == ERR_BUSY)
		supervisor_lost(s, id, "does not read what it is told; it is killed", err);
	if (err != ERR_OK)
		return;
	(void)questions_owed_add(&child->owed, number, now_ms);
	*ret_question = (struct question){ .number = number, .fd = fd };
}

void supervisor_answered(struct supervisor *s, enum child_id id, uint32_t number)
{
	if (!questions_owed_take(&s->child[id].owed, number)) {
		supervisor_lost(s, id, "answers what it was not asked; it is killed", ERR_PROTOCOL);
		return;
	}
	supervisor_watchdog_answered(s, id, number);
	supervisor_control_answered(s, id, number);
}

void supervisor_question_done(struct question *q)
{
	if (q->number != 0)
		(void)close(q->fd);
	*q = (struct question){ .fd = -1 };
}

/* The children were told; one that dies now comes back with the new generation. */
static void switched(struct supervisor *s)
{
	struct reload *r = &s->reload;

	generation_free(&s->current);
	s->current = s->candidate;
	s->candidate = NULL;
	memcpy(r->switched, r->token, sizeof(r->switched));
	/* A reload is what lets a refused PIN be tried again. */
	notes_forget(&s->notes, r->switched[0] == '\0' ? NULL : r->switched);
	logsetup_apply(s->current->settings);
	if (r->switched[0] == '\0')
		supervisor_reports_reloaded(s);
}

static void reloaded(struct supervisor *s, const struct lifecycle_action *a)
{
	if (s->reload.switched[0] == '\0')
		log_line(LOG_LEVEL_INFO, "configuration reloaded from %s",
			 s->options->source.path != NULL ? s->options->source.path
							 : "the command line");
	else
		log_line(LOG_LEVEL_INFO, "token %s: its PIN was read anew", s->reload.switched);
	notify_ready();
	s->reload.done++;
	if (s->candidate == NULL) /* else the text is the next one's by now */
		(void)snprintf(s->reload.text, sizeof(s->reload.text), "ok");
	supervisor_reload_ended(s, a->generation, "ok");
}

static void reload_failed(struct supervisor *s, const struct lifecycle_action *a)
{
	log_line(LOG_LEVEL_ERROR, "reload failed: %s; the configuration in force stays", a->reason);
	if (s->candidate != NULL && s->candidate->number == a->generation)
		generation_free(&s->candidate);
	notify_ready();
	s->reload.failed++;
	/* In place of what a later reload said that could not be read. */
	(void)snprintf(s->reload.text, sizeof(s->reload.text), "%s",
		       s->reload.refusal[0] != '\0' ? s->reload.refusal : a->reason);
	supervisor_reload_ended(s, a->generation, s->reload.text);
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
		if (a->reason != NULL)
			log_line(LOG_LEVEL_ERROR, "%s process: %s; it is killed",
				 child_name(a->child), a->reason);
		if (child->pid > 0)
			(void)kill(child->pid, SIGKILL);
		break;
	case LIFECYCLE_IN_SERVICE:
		daemonize_done(&s->daemonize, EX_OK);
		notify_ready();
		break;
	case LIFECYCLE_SWITCHED:
		switched(s);
		break;
	case LIFECYCLE_RELOADED:
		reloaded(s, a);
		break;
	case LIFECYCLE_RELOAD_FAILED:
		reload_failed(s, a);
		break;
	case LIFECYCLE_RESTARTING:
		log_line(LOG_LEVEL_WARNING, "%s process: starts again in %lld ms",
			 child_name(a->child), (long long)a->delay_ms);
		break;
	case LIFECYCLE_STARTING_ANEW:
		log_line(LOG_LEVEL_INFO, "%s process: starts anew, as it asked for, in %lld ms",
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

void supervisor_act(struct supervisor *s)
{
	struct lifecycle_action action;

	while (lifecycle_next(&s->lifecycle, &action))
		act(s, &action);
}
