/* What the supervisor does: the actions of daemon/lifecycle.c. */
#include "daemon/supervisor_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/handover.h"
#include "config/logsetup.h"
#include "config/question.h"
#include "daemon/milterproc.h"
#include "daemon/notify.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* A child that owes so many answers is asked no more. */
#define UNANSWERED_MAX 64u

void supervisor_lost(struct supervisor *s, enum child_id id, const char *what, enum err err)
{
	const struct child *child = &s->child[id];

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
		supervisor_lost(s, id, "cannot be reached", err);
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
	child->unanswered = 0;
	child->started_ms = clock_mono_ms();
	for (size_t i = 0; id == CHILD_SIGNER && i < s->notes_count; i++)
		tell(s, id, HANDOVER_NOTE, 0, s->notes[i], -1);
}

/* To a signer that runs: a reload forgets refused PINs, one token's PIN does so only for that. */
static void send_other_notes(struct supervisor *s, const char *token)
{
	for (size_t i = 0; i < s->notes_count; i++) {
		if (!supervisor_note_is_of(s->notes[i], token))
			tell(s, CHILD_SIGNER, HANDOVER_NOTE, 0, s->notes[i], -1);
	}
}

static void send_load(struct supervisor *s, enum child_id id, uint32_t number)
{
	struct child *child = &s->child[id];
	const struct generation *g =
		s->candidate != NULL && s->candidate->number == number ? s->candidate : s->current;
	enum err err;

	if (child->sock < 0)
		return;
	if (id == CHILD_SIGNER && g == s->candidate && s->reload.token[0] != '\0')
		send_other_notes(s, s->reload.token);
	err = id == CHILD_SIGNER ? generation_send_signer(g, child->sock)
				 : generation_send_milter(g, child->sock);
	if (err != ERR_OK && err != ERR_PEER_LOST)
		supervisor_lost(s, id, "cannot be given the configuration", err);
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

/* "KIND TOKEN ..." */
bool supervisor_note_is_of(const char *note, const char *token)
{
	struct slice rest = slice_str(note);
	struct slice kind;
	struct slice name;

	return slice_next(&rest, ' ', &kind) && slice_next(&rest, ' ', &name) &&
	       slice_eq(name, slice_str(token));
}

void supervisor_forget_notes(struct supervisor *s, const char *token)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->notes_count; i++) {
		if (token != NULL && !supervisor_note_is_of(s->notes[i], token))
			s->notes[kept++] = s->notes[i];
		else
			free(s->notes[i]);
	}
	s->notes_count = kept;
}

void supervisor_ask(struct supervisor *s, enum child_id id, const char *text,
		    struct question *ret_question)
{
	struct child *child = &s->child[id];
	struct question q = { .fd = -1 };
	uint32_t number = ++s->last_question;

	*ret_question = q;
	if (child->sock < 0 || child->unanswered >= UNANSWERED_MAX ||
	    question_ask(child->sock, number, text, &q.fd) != ERR_OK)
		return;
	child->unanswered++;
	q.number = number;
	*ret_question = q;
}

void supervisor_question_done(struct question *q)
{
	if (q->number != 0)
		(void)close(q->fd);
	*q = (struct question){ .fd = -1 };
}

static void reloaded(struct supervisor *s)
{
	bool whole = s->reload.token[0] == '\0';

	generation_free(&s->current);
	s->current = s->candidate;
	s->candidate = NULL;
	/* A reload is what lets a refused PIN be tried again. */
	supervisor_forget_notes(s, whole ? NULL : s->reload.token);
	logsetup_apply(s->current->settings);
	if (whole)
		log_line(LOG_LEVEL_INFO, "configuration reloaded from %s",
			 s->options->source.path != NULL ? s->options->source.path
							 : "the command line");
	else
		log_line(LOG_LEVEL_INFO, "token %s: its PIN was read anew", s->reload.token);
	notify_ready();
	s->reload.done++;
	(void)snprintf(s->reload.text, sizeof(s->reload.text), "ok");
	supervisor_reload_ended(s, s->current->number);
}

static void reload_failed(struct supervisor *s, const struct lifecycle_action *a)
{
	log_line(LOG_LEVEL_ERROR, "reload failed: %s; the configuration in force stays", a->reason);
	if (s->candidate != NULL && s->candidate->number == a->generation)
		generation_free(&s->candidate);
	notify_ready();
	s->reload.failed++;
	if (s->reload.text[0] == '\0') /* else a child said more */
		(void)snprintf(s->reload.text, sizeof(s->reload.text), "%s", a->reason);
	supervisor_reload_ended(s, a->generation);
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

void supervisor_act(struct supervisor *s)
{
	struct lifecycle_action action;

	while (lifecycle_next(&s->lifecycle, &action))
		act(s, &action);
}
