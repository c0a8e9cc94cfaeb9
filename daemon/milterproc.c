/*
 * The milter process: takes generations, the listening socket and the signer's socket from the
 * supervisor, enters the sandbox and runs the milter engine. One thread listens to the supervisor,
 * libmilter has its own.
 */
#include "daemon/milterproc.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/faults.h"
#include "config/handover.h"
#include "config/logsetup.h"
#include "config/question.h"
#include "daemon/doubts.h"
#include "daemon/keysource.h"
#include "daemon/milter.h"
#include "daemon/sandbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* Requests to the signer that may wait at once: libmilter's workers are fewer. */
#define SIGNER_PENDING_MAX 4096u
/* While it drains the process looks this often whether the last message is done. */
#define DRAIN_LOOK_MS 20

struct proc {
	struct milter_env env;
	struct snapshot *loaded;	 /* waits for COMMIT */
	struct settings_warnings doubts; /* about it */
	bool sandboxed;
	int listen_fd;
	int peer_fd; /* came before there was a client */
};

static void say(enum handover_type type, uint32_t generation, const char *text)
{
	enum err err = handover_send(HANDOVER_FD, type, generation, text, -1);

	if (err != ERR_OK)
		log_line(LOG_LEVEL_ERROR, "cannot speak to the supervisor: %s", err_text(err));
}

/* Before the sandbox, with the first generation that is loaded; later ones use the same. */
static enum err prepare_keys(struct proc *p, const struct handover_msg *msg,
			     struct err_detail *detail)
{
	if (!p->sandboxed && p->env.dns == NULL)
		return keysource_open(msg->settings, msg->files, &p->env.dns, &p->env.dnssec,
				      detail);
	if (p->env.dns == NULL && (msg->settings->mode & MODE_VERIFY) != 0) {
		err_detail_set(detail, "Mode verifies now: the resolver is opened at start only; "
				       "restart hsmdkim");
		return ERR_CONFIG;
	}
	return ERR_OK;
}

static void unload(struct proc *p)
{
	snapshot_unref(&p->loaded);
	settings_warnings_done(&p->doubts);
}

/* They are logged when it is in force; who asked for the reload is told by the supervisor. */
static void find_doubts(struct proc *p)
{
	doubts_find(p->loaded, false, &p->doubts);
	for (size_t i = 0; i < p->doubts.count; i++)
		say(HANDOVER_NOTE, p->loaded->generation, p->doubts.texts[i]);
}

static void load(struct proc *p, struct handover_msg *msg)
{
	struct err_detail detail = { "" };
	struct faults faults;
	enum err err;

	unload(p);
	faults_init(&faults);
	files_gather(msg->files, &faults);
	err = files_fault(msg->files, "Mode", prepare_keys(p, msg, &detail), &detail);
	if (err == ERR_OK) {
		err = snapshot_new(msg->generation, msg->settings, msg->files, &p->loaded, &detail);
		msg->settings = NULL; /* the snapshot's now */
		msg->files = NULL;
	}
	if (err == ERR_OK) /* all rows: not between COMMIT and the switch */
		find_doubts(p);
	if (err == ERR_OK)
		say(HANDOVER_LOADED, msg->generation, NULL);
	else
		say(HANDOVER_FAILED, msg->generation, faults_text(&faults, err, &detail));
	faults_done(&faults);
}

/* Once, before the first thread that mail meets: the log is open, no file is needed any more. The
 * resolver's threads run already; seccomp holds them, too. */
static enum err enter_sandbox(struct proc *p)
{
	struct err_detail detail = { "" };
	struct sandbox_state state;
	enum err err;

	if (p->sandboxed)
		return ERR_OK;
	p->sandboxed = true;
	tzset();
	err = sandbox_enter_milter(&state, &detail);
	if (err != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "cannot enter the sandbox: %s", detail.text);
		return err;
	}
	err = sigclient_new(SIGNER_PENDING_MAX, &p->env.signer);
	if (err != ERR_OK)
		return err;
	if (p->peer_fd >= 0)
		sigclient_attach(p->env.signer, p->peer_fd);
	p->peer_fd = -1;
	return ERR_OK;
}

static enum err commit(struct proc *p, uint32_t generation)
{
	enum err err;

	if (p->loaded == NULL || p->loaded->generation != generation)
		return ERR_PROTOCOL;
	logsetup_apply(p->loaded->settings);
	logsetup_warnings(&p->doubts);
	snapshot_switch(p->env.slot, p->loaded);
	p->loaded = NULL;
	err = enter_sandbox(p);
	if (err == ERR_OK)
		say(HANDOVER_COMMITTED, generation, NULL);
	return err;
}

static void attach(struct proc *p, int fd)
{
	if (p->env.signer != NULL) {
		sigclient_attach(p->env.signer, fd);
		return;
	}
	if (p->peer_fd >= 0)
		(void)close(p->peer_fd);
	p->peer_fd = fd;
}

/*
 * Finish what is in flight, then leave at once: libmilter's own stop takes up to five seconds.
 * Messages that begin meanwhile are not waited for; the MTA tries them again. The supervisor bounds
 * the wait.
 */
__attribute__((noreturn)) static void drain(struct proc *p)
{
	atomic_store(&p->env.draining, true);
	while (atomic_load(&p->env.in_flight) > 0) {
		struct handover_msg msg = { .fd = -1 };
		enum err err = handover_recv(HANDOVER_FD, DRAIN_LOOK_MS, &msg);

		handover_msg_done(&msg);
		if (err == ERR_PEER_LOST)
			break;
	}
	_exit(EX_OK);
}

/* To any question: there is one thing that we know. */
static enum err answer(const struct proc *p, const struct handover_msg *ask)
{
	struct buf text;
	enum err err;

	buf_init(&text, QUESTION_ANSWER_BYTES_MAX - 1);
	mailcount_report(&p->env.mail, atomic_load(&p->env.in_flight), &text);
	err = question_answer(HANDOVER_FD, ask, buf_slice(&text));
	buf_done(&text);
	return err;
}

/* One message of the supervisor. @return false: it is gone, or speaks nonsense */
static bool handle(struct proc *p)
{
	struct handover_msg msg = { .fd = -1 };
	enum err err = handover_recv(HANDOVER_FD, -1, &msg);

	if (err != ERR_OK) {
		if (err != ERR_PEER_LOST)
			log_line(LOG_LEVEL_ERROR, "supervisor: %s", err_text(err));
		return false;
	}
	switch (msg.type) {
	case HANDOVER_LOAD:
		load(p, &msg);
		break;
	case HANDOVER_COMMIT:
		err = commit(p, msg.generation);
		break;
	case HANDOVER_ABORT:
		unload(p);
		break;
	case HANDOVER_PEER:
		attach(p, msg.fd);
		msg.fd = -1;
		break;
	case HANDOVER_LISTEN:
		p->listen_fd = msg.fd;
		msg.fd = -1;
		break;
	case HANDOVER_REPORTS:
		reporter_attach(p->env.reporter, msg.fd);
		msg.fd = -1;
		break;
	case HANDOVER_ASK:
		err = answer(p, &msg);
		break;
	case HANDOVER_STOP:
		drain(p);
	case HANDOVER_LOADED:
	case HANDOVER_FAILED:
	case HANDOVER_READY:
	case HANDOVER_NOTE:
	case HANDOVER_ANSWER:
	case HANDOVER_COMMITTED:
		err = ERR_PROTOCOL;
		break;
	}
	handover_msg_done(&msg);
	if (err != ERR_OK)
		log_line(LOG_LEVEL_ERROR, "supervisor: %s", err_text(err));
	return err == ERR_OK;
}

static void *control_thread(void *arg)
{
	while (handle(arg))
		;
	/* No supervisor, no service: nobody would restart us or pass on a reload. */
	_exit(EX_UNAVAILABLE);
}

static int serve(struct proc *p)
{
	struct snapshot *snapshot = snapshot_pin(p->env.slot);
	int debug = (int)snapshot->settings->milter_debug;
	struct err_detail detail = { "" };
	pthread_t thread;

	snapshot_unref(&snapshot);
	if (milter_prepare(&p->env, p->listen_fd, debug, &detail) != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "%s", detail.text);
		return EX_UNAVAILABLE;
	}
	if (pthread_create(&thread, NULL, control_thread, p) != 0) {
		log_line(LOG_LEVEL_ERROR, "cannot start a thread");
		return EX_OSERR;
	}
	say(HANDOVER_READY, 0, NULL);
	if (milter_run() != ERR_OK)
		log_line(LOG_LEVEL_ERROR, "libmilter gave up");
	_exit(EX_UNAVAILABLE); /* the control thread still runs */
}

int milterproc_main(void)
{
	static struct proc p = { .listen_fd = -1, .peer_fd = -1 };
	struct err_detail detail = { "" };

	(void)prctl(PR_SET_NAME, "hsmdkim-milter"); /* it was started by a descriptor */
	if (sandbox_lock_process(&detail) != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "%s", detail.text);
		return EX_OSERR;
	}
	p.env.clock = &clock_system;
	p.env.slot = snapshot_slot_new();
	p.env.reporter = reporter_new();
	if (p.env.slot == NULL || p.env.reporter == NULL)
		return EX_OSERR;
	while (p.listen_fd < 0 || p.env.signer == NULL) {
		if (!handle(&p))
			return EX_UNAVAILABLE;
	}
	return serve(&p);
}
