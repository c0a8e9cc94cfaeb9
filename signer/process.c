/* The signer process: its main loop, and what the threads that read requests do with them. Nothing
 * here calls Cryptoki or waits for a worker. */
#include "signer/process.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/faults.h"
#include "config/logsetup.h"
#include "config/question.h"
#include "pkcs11/module.h"
#include "signer/inform.h"
#include "signer/keycheck.h"
#include "signer/reader.h"
#include "signer/request.h"
#include "signer/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_QUEUE_MAX 4096u
/* Threads that read requests, and as many that open key files: one a core, at least two. */
#define CORES_MAX 16
/* While requests are under way deadlines are looked at this often. */
#define TICK_MS 20
/* A stop waits so long for modules to be finalised, and looks this often. */
#define STOP_MS 3000
#define STOP_LOOK_MS 5
/* Between slices of a list of keys. */
#define BETWEEN_MS 1
/* A start waits so long for tokens that do not answer. */
#define READY_WAIT_MS 10000
/* More than a milter asks for that waits for its answers; a hostile one gets no more memory. */
#define UNDER_WAY_MAX 8192u
#define BYTES_HELD_MAX 67108864u
/* Replaced generations are kept so long, for messages whose body still arrives; no more than so
 * many. */
#define OLD_RING_KEEP_MS 120000
#define OLD_RINGS_MAX 8u
/* The tokens of new tables are tried when those before have let go of their logins, or after so
 * long: a token looks at no PIN while there is a login. */
#define LET_GO_MS 1000

/* A generation that was replaced: messages in flight may still be pinned to it. */
struct old_ring {
	struct keyring *ring;
	int64_t until_ms;
};

struct process {
	/* Guards generations and keys, and what else is not atomic: the main thread holds it but
	 * for poll() and while it reads new tables, a reader while it finds out what to do with a
	 * request. Which generations there are, peer and notes change in the main thread only. */
	pthread_mutex_t lock;
	struct keyring *current;
	struct old_ring old[OLD_RINGS_MAX]; /* the newest first */
	size_t old_count;
	int64_t let_go_by_ms;	/* 0: old[0]'s tokens are not waited for */
	struct keyring *loaded; /* waits for COMMIT */
	struct keycheck *check; /* of current's keys, NULL: over */
	struct peer *peer;	/* main thread only: its readers have their own reference */
	bool peer_complained;	/* its nonsense was logged */
	struct request_env env;
	struct tally files_tally;
	int wake_fd;
	atomic_size_t under_way;
	atomic_size_t bytes_held; /* by what is under way */
	atomic_bool restart;
	struct notes notes; /* from earlier processes */
	atomic_bool ready;
	int64_t ready_by_ms; /* READY is said then, whatever the tokens do */
	unsigned cores;
};

__attribute__((noreturn)) static void leave(int status)
{
	_exit(status); /* no destructors: a module may hang in its own */
}

static void say(enum handover_type type, uint32_t generation, const char *text)
{
	if (handover_send(HANDOVER_FD, type, generation, text, -1) != ERR_OK)
		leave(SIGNER_EXIT_LOST);
}

/* ---- what requests tell us, from any thread ---- */

static void wake(struct process *p)
{
	const uint64_t one = 1;

	(void)!write(p->wake_fd, &one, sizeof(one));
}

static void on_backlog(void *ctx)
{
	wake(ctx);
}

static void on_restart(void *ctx, const char *why)
{
	struct process *p = ctx;

	if (!atomic_exchange(&p->restart, true))
		log_line(LOG_LEVEL_WARNING, "%s; the signer process starts anew", why);
	wake(p);
}

static void on_note(void *ctx, const char *text)
{
	(void)ctx;
	say(HANDOVER_NOTE, 0, text);
}

static void on_begun(void *ctx, size_t bytes)
{
	struct process *p = ctx;

	atomic_fetch_add(&p->bytes_held, bytes);
	if (atomic_fetch_add(&p->under_way, 1) == 0)
		wake(p); /* deadlines are looked at from now on */
}

static void on_done(void *ctx, size_t bytes)
{
	struct process *p = ctx;

	atomic_fetch_sub(&p->bytes_held, bytes);
	if (atomic_fetch_sub(&p->under_way, 1) == 1 && !atomic_load(&p->ready))
		wake(p);
}

/* ---- generations ---- */

/* The tables name keys that may be younger than what was read of a token. Before LOADED: the milter
 * may ask for them a moment before COMMIT comes. */
static void outdate_indexes(const struct keyring *ring)
{
	for (size_t i = 0; i < keyring_token_count(ring); i++)
		token_index_outdate(tokenlane_token(keyring_token(ring, i)));
}

/* Requests do not wait while tables are read; their deadlines are looked at afterwards. */
static void load(struct process *p, struct handover_msg *msg)
{
	const struct pin_memory memory = { .notes = &p->notes, .note = on_note };
	struct err_detail detail = { "" };
	struct keyring *fresh = NULL;
	struct faults faults;
	enum err e;

	faults_init(&faults);
	files_gather(msg->files, &faults);
	keyring_unref(&p->loaded);
	(void)pthread_mutex_unlock(&p->lock);
	e = keyring_new(msg->generation, msg->settings, msg->files, p->current, &memory, &fresh,
			&detail);
	(void)pthread_mutex_lock(&p->lock);
	p->loaded = fresh;
	msg->settings = NULL; /* the keyring's now */
	msg->files = NULL;
	if (e == ERR_OK) {
		outdate_indexes(fresh);
		say(HANDOVER_LOADED, msg->generation, NULL);
	} else {
		say(HANDOVER_FAILED, msg->generation, faults_text(&faults, e, &detail));
	}
	faults_done(&faults);
}

static void drop_oldest(struct process *p)
{
	keyring_unref(&p->old[--p->old_count].ring);
}

static void keep_old(struct process *p)
{
	if (p->current == NULL)
		return;
	if (p->old_count == OLD_RINGS_MAX)
		drop_oldest(p);
	memmove(&p->old[1], &p->old[0], p->old_count * sizeof(p->old[0]));
	p->old[0] = (struct old_ring){ .ring = p->current,
				       .until_ms = clock_mono_ms() + OLD_RING_KEEP_MS };
	p->old_count++;
	p->current = NULL;
}

static bool goes_on(const struct keyring *ring, const struct tokenlane *token)
{
	for (size_t i = 0; i < keyring_token_count(ring); i++)
		if (keyring_token(ring, i) == token)
			return true;
	return false;
}

/* The tokens of the tables before that are not those of the new ones, too. */
static void let_go(struct process *p)
{
	const struct keyring *before = p->old_count > 0 ? p->old[0].ring : NULL;

	p->let_go_by_ms = 0;
	for (size_t i = 0; before != NULL && i < keyring_token_count(before); i++) {
		if (goes_on(p->current, keyring_token(before, i)))
			continue;
		tokenlane_rest(keyring_token(before, i));
		p->let_go_by_ms = clock_mono_ms() + LET_GO_MS;
	}
}

static bool have_let_go(struct process *p, int64_t now_ms)
{
	const struct keyring *before = p->old_count > 0 ? p->old[0].ring : NULL;

	if (p->let_go_by_ms == 0)
		return true;
	for (size_t i = 0; before != NULL && i < keyring_token_count(before); i++) {
		struct tokenlane *token = keyring_token(before, i);

		if (now_ms < p->let_go_by_ms && !goes_on(p->current, token) &&
		    !token_at_rest(tokenlane_token(token)))
			return false;
	}
	p->let_go_by_ms = 0;
	return true;
}

static void commit(struct process *p, uint32_t generation)
{
	bool process_is_new;

	if (p->loaded == NULL || keyring_number(p->loaded) != generation)
		leave(SIGNER_EXIT_LOST);
	logsetup_apply(keyring_settings(p->loaded));
	process_is_new = p->current == NULL;
	keep_old(p);
	p->current = p->loaded;
	p->loaded = NULL;
	let_go(p);
	log_line(LOG_LEVEL_INFO, "signer: %zu keys in the KeyTable, %zu tokens",
		 keyring_key_count(p->current), keyring_token_count(p->current));
	/* They speak of the generation that we started with; a reload lets a PIN be tried again. */
	notes_forget(&p->notes, NULL);
	token_pins_forget();
	keycheck_stop(&p->check);
	p->check = keycheck_new(p->current, process_is_new);
	p->ready_by_ms = clock_mono_ms() + READY_WAIT_MS;
	say(HANDOVER_COMMITTED, generation, NULL);
}

/* ---- requests: the readers ---- */

static struct keyring *ring_of(const struct process *p, uint32_t generation)
{
	if (p->current != NULL && keyring_number(p->current) == generation)
		return p->current;
	for (size_t i = 0; i < p->old_count; i++) {
		if (keyring_number(p->old[i].ring) == generation)
			return p->old[i].ring;
	}
	/* The milter may switch a moment before us: both have said LOADED by then. */
	if (p->loaded != NULL && keyring_number(p->loaded) == generation)
		return p->loaded;
	return NULL;
}

static void complain(struct process *p)
{
	if (!p->peer_complained)
		log_line(LOG_LEVEL_ERROR, "packets of the milter process make no sense; dropped");
	p->peer_complained = true;
}

/* The lock is held. @param ret_at_hand see request_start() */
static void take_request(struct process *p, struct peer *peer, const struct wire_msg *msg,
			 struct signkey **ret_at_hand)
{
	const struct err_detail gone = {
		"the tables of this message are gone; it is new for the next try"
	};
	struct keyring *ring = ring_of(p, msg->generation);

	if (ring == NULL)
		peer_fail(peer, msg->id, ERR_PEER_LOST, &gone);
	else if (atomic_load(&p->under_way) >= UNDER_WAY_MAX ||
		 atomic_load(&p->bytes_held) >= BYTES_HELD_MAX)
		peer_fail(peer, msg->id, ERR_BUSY, NULL);
	else
		request_start(&p->env, ring, peer, msg, ret_at_hand);
}

static void take_packet(void *ctx, struct peer *peer, struct slice packet)
{
	struct process *p = ctx;
	struct signkey *at_hand = NULL;
	struct wire_msg msg;
	bool good = wire_decode(packet, &msg) == ERR_OK &&
		    (msg.type == WIRE_OPEN || msg.type == WIRE_SIGN);

	(void)pthread_mutex_lock(&p->lock);
	if (good)
		take_request(p, peer, &msg, &at_hand);
	else
		complain(p);
	(void)pthread_mutex_unlock(&p->lock);
	if (at_hand != NULL)
		request_sign_at_once(&p->env, peer, &msg, at_hand);
}

/* ---- orders of the supervisor ---- */

static void drop_peer(struct process *p)
{
	if (p->peer != NULL)
		(void)shutdown(peer_fd(p->peer), SHUT_RDWR); /* ends its readers */
	peer_unref(&p->peer);
}

static void take_peer(struct process *p, struct handover_msg *msg)
{
	drop_peer(p);
	p->peer = peer_new(msg->fd, on_backlog, p);
	p->peer_complained = false;
	msg->fd = -1; /* the peer's now */
	if (p->peer == NULL ||
	    readers_start(p->peer, p->cores, WIRE_PACKET_BYTES, take_packet, p) != ERR_OK)
		leave(SIGNER_EXIT_FAILED);
}

/* Close sessions and finalise modules: some tokens keep a session that was only dropped. Bounded,
 * for a module may hang in that, too. */
__attribute__((noreturn)) static void stop(struct process *p, int status)
{
	int64_t deadline_ms = clock_mono_ms() + STOP_MS;

	drop_peer(p);
	keyring_unref(&p->loaded);
	keyring_unref(&p->current);
	while (p->old_count > 0)
		drop_oldest(p);
	while (p11_module_count() > 0 && clock_mono_ms() < deadline_ms)
		(void)poll(NULL, 0, STOP_LOOK_MS);
	leave(status);
}

/* Requests do not wait for a long answer to the operator. It is a pause, for a lock that is only
 * let go would be ours again before a reader has woken. */
static void let_requests_in(void *ctx)
{
	struct process *p = ctx;

	(void)pthread_mutex_unlock(&p->lock);
	(void)poll(NULL, 0, BETWEEN_MS);
	(void)pthread_mutex_lock(&p->lock);
}

static void answer(struct process *p, const struct handover_msg *ask)
{
	const struct inform_view view = {
		.ring = p->current,
		.env = &p->env,
		.under_way = atomic_load(&p->under_way),
		.bytes_held = atomic_load(&p->bytes_held),
		.between = let_requests_in,
		.ctx = p,
	};
	struct buf text;

	buf_init(&text, QUESTION_ANSWER_BYTES_MAX - 1);
	inform(&view, slice_str(ask->text), &text);
	if (question_answer(HANDOVER_FD, ask, buf_slice(&text)) != ERR_OK)
		leave(SIGNER_EXIT_LOST);
	buf_done(&text);
}

static void take_order(struct process *p)
{
	struct handover_msg msg = { .fd = -1 };
	enum err e;

	(void)pthread_mutex_unlock(&p->lock);
	e = handover_recv(HANDOVER_FD, 0, &msg);
	(void)pthread_mutex_lock(&p->lock);
	if (e == ERR_TIMEOUT)
		return;
	if (e != ERR_OK)
		leave(SIGNER_EXIT_LOST);
	switch (msg.type) {
	case HANDOVER_LOAD:
		load(p, &msg);
		break;
	case HANDOVER_COMMIT:
		commit(p, msg.generation);
		break;
	case HANDOVER_ABORT:
		keyring_unref(&p->loaded);
		notes_forget(&p->notes, NULL); /* of the tokens that were not to be tried by it */
		break;
	case HANDOVER_PEER:
		take_peer(p, &msg);
		break;
	case HANDOVER_NOTE:
		notes_put(&p->notes, msg.text);
		msg.text = NULL; /* taken over */
		break;
	case HANDOVER_ASK:
		answer(p, &msg);
		break;
	case HANDOVER_STOP:
		stop(p, SIGNER_EXIT_OK);
	case HANDOVER_LISTEN:
	case HANDOVER_LOADED:
	case HANDOVER_FAILED:
	case HANDOVER_READY:
	case HANDOVER_ANSWER:
	case HANDOVER_COMMITTED:
	case HANDOVER_REPORTS:
		leave(SIGNER_EXIT_LOST);
	}
	handover_msg_done(&msg);
}

/* ---- time ---- */

/* In service once the tokens were tried: so the log of the start says what is wrong with them. */
static void say_ready_when_due(struct process *p, int64_t now_ms)
{
	if (atomic_load(&p->ready) || p->current == NULL)
		return;
	/* A token that hangs until we start anew must not keep the others from service for ever. */
	if (!watch_all_tried(p->current) && now_ms < p->ready_by_ms && !atomic_load(&p->restart))
		return;
	atomic_store(&p->ready, true);
	say(HANDOVER_READY, 0, NULL);
}

static void check_keys(struct process *p)
{
	enum keycheck_state state = keycheck_step(p->check, &p->env);

	if (state == KEYCHECK_GOES_ON)
		return;
	keycheck_stop(&p->check);
	if (state == KEYCHECK_DONE)
		return;
	log_line(LOG_LEVEL_INFO, "signer: a token lacks a key of the new tables; the signer "
				 "process starts anew, for some modules see new keys only then");
	stop(p, SIGNER_EXIT_RESTART); /* what is under way is asked again */
}

static void tick(struct process *p)
{
	int64_t now_ms = clock_mono_ms();

	(void)lane_tick(p->env.files, now_ms);
	watch_tokens(&p->env, p->current, have_let_go(p, now_ms));
	for (size_t i = 0; i < p->old_count; i++)
		watch_tokens(&p->env, p->old[i].ring, false);
	while (p->old_count > 0 && now_ms >= p->old[p->old_count - 1].until_ms)
		drop_oldest(p);
	say_ready_when_due(p, now_ms);
	/* After the tokens were tried: theirs is the first line when they are away. */
	if (p->check != NULL && atomic_load(&p->ready) && p->let_go_by_ms == 0)
		check_keys(p);
	if (atomic_load(&p->restart))
		leave(SIGNER_EXIT_RESTART);
}

static int wait_ms(struct process *p)
{
	if (atomic_load(&p->under_way) > 0 || p->check != NULL || p->let_go_by_ms != 0)
		return TICK_MS;
	if (p->current != NULL && keyring_token_count(p->current) > 0)
		return WATCH_MS;
	return p->old_count > 0 ? OLD_RING_KEEP_MS : -1;
}

static void turn(struct process *p)
{
	struct pollfd fds[3] = {
		{ .fd = HANDOVER_FD, .events = POLLIN },
		{ .fd = p->wake_fd, .events = POLLIN },
		{ .fd = p->peer != NULL ? peer_fd(p->peer) : -1 },
	};
	int timeout_ms = wait_ms(p);
	uint64_t wakes;
	int n;

	if (p->peer != NULL && peer_backlog(p->peer) > 0)
		fds[2].events = POLLOUT; /* its end is told in any case */
	(void)pthread_mutex_unlock(&p->lock);
	n = poll(fds, 3, timeout_ms);
	(void)pthread_mutex_lock(&p->lock);
	if (n < 0 && errno != EINTR)
		leave(SIGNER_EXIT_FAILED);
	if ((fds[2].revents & ~POLLOUT) != 0)
		drop_peer(p); /* the milter process is gone; the supervisor brings another one */
	else if (fds[2].revents != 0)
		peer_flush(p->peer);
	if (fds[0].revents != 0)
		take_order(p);
	if (fds[1].revents != 0)
		(void)!read(p->wake_fd, &wakes, sizeof(wakes));
	tick(p);
}

static const struct lane_ops file_ops = { NULL, NULL, NULL, NULL };

static bool start(struct process *p)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	p->cores = cores < 2 ? 2 : cores > CORES_MAX ? CORES_MAX : (unsigned)cores;
	(void)pthread_mutex_init(&p->lock, NULL);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->env.restart = on_restart;
	p->env.begun = on_begun;
	p->env.done = on_done;
	p->env.ctx = p;
	p->env.files_tally = &p->files_tally;
	p->env.rates = ratelimit_new();
	return p->wake_fd >= 0 && p->env.rates != NULL &&
	       lane_new("key files", p->cores, FILE_QUEUE_MAX, &file_ops, NULL, &p->env.files) ==
		       ERR_OK;
}

void signer_process_run(void)
{
	static struct process p;

	if (!start(&p))
		leave(SIGNER_EXIT_FAILED);
	(void)pthread_mutex_lock(&p.lock);
	for (;;)
		turn(&p);
}

static void note_warning(const char *text)
{
	say(HANDOVER_NOTE, 0, text);
}

int signer_process_check(void)
{
	struct handover_msg msg;
	struct err_detail detail = { "" };
	struct faults faults;
	enum err e = handover_recv(HANDOVER_FD, -1, &msg);

	if (e != ERR_OK || msg.type != HANDOVER_LOAD)
		return SIGNER_EXIT_LOST;
	faults_init(&faults);
	files_gather(msg.files, &faults);
	e = keyring_check(msg.settings, msg.files, note_warning, &detail);
	if (e == ERR_OK)
		say(HANDOVER_LOADED, msg.generation, NULL);
	else
		say(HANDOVER_FAILED, msg.generation, faults_text(&faults, e, &detail));
	faults_done(&faults);
	handover_msg_done(&msg);
	return SIGNER_EXIT_OK;
}
