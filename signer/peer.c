/* The milter at the other end of a socket. */
#include "signer/peer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* An answer that the socket did not take. */
struct waiting {
	struct waiting *next;
	struct buf packet;
};

struct peer {
	atomic_uint refs;
	int fd;			 /* -1: local */
	void (*wake)(void *ctx); /* the main thread shall look at the backlog */
	void (*answered)(void *ctx, uint64_t id, enum err error, const char *text);
	void *ctx;
	pthread_mutex_t lock; /* guards all below; held across sends, which do not wait */
	struct waiting *head;
	struct waiting **tail;
	size_t backlog;
};

static struct peer *peer_alloc(int fd, void *ctx)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		return NULL;
	atomic_init(&peer->refs, 1);
	(void)pthread_mutex_init(&peer->lock, NULL);
	peer->tail = &peer->head;
	peer->fd = fd;
	peer->ctx = ctx;
	return peer;
}

struct peer *peer_new(int fd, void (*wake)(void *ctx), void *ctx)
{
	struct peer *peer = peer_alloc(fd, ctx);

	if (peer == NULL) {
		(void)close(fd);
		return NULL;
	}
	peer->wake = wake;
	return peer;
}

struct peer *peer_new_local(void (*answered)(void *ctx, uint64_t id, enum err error,
					     const char *text),
			    void *ctx)
{
	struct peer *peer = peer_alloc(-1, ctx);

	if (peer != NULL)
		peer->answered = answered;
	return peer;
}

struct peer *peer_ref(struct peer *peer)
{
	atomic_fetch_add(&peer->refs, 1);
	return peer;
}

/* The first that waits is gone; the lock is held, or nobody else knows the peer. */
static void drop_first(struct peer *p)
{
	struct waiting *first = p->head;

	p->head = first->next;
	if (p->head == NULL)
		p->tail = &p->head;
	p->backlog--;
	buf_done(&first->packet);
	free(first);
}

void peer_unref(struct peer **peer)
{
	struct peer *p;

	if (peer == NULL || *peer == NULL)
		return;
	p = *peer;
	*peer = NULL;
	if (atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	while (p->head != NULL)
		drop_first(p);
	if (p->fd >= 0)
		(void)close(p->fd);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

int peer_fd(const struct peer *peer)
{
	return peer->fd;
}

/* @return false: the socket is full. A peer that is gone takes everything. */
static bool send_now(const struct peer *p, const struct buf *packet)
{
	return send(p->fd, packet->data, packet->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
	       (errno != EAGAIN && errno != ENOBUFS && errno != EINTR);
}

/* The lock is held. @param packet moved, or left as it is @return false: it is dropped */
static bool keep(struct peer *p, struct buf *packet)
{
	struct waiting *w = p->backlog < PEER_BACKLOG_MAX ? calloc(1, sizeof(*w)) : NULL;

	if (w == NULL)
		return false;
	w->packet = *packet;
	buf_init(packet, 0);
	*p->tail = w;
	p->tail = &w->next;
	p->backlog++;
	return true;
}

static void answer_local(const struct peer *p, const struct wire_msg *answer)
{
	bool failed = answer->type == WIRE_FAILED;

	p->answered(p->ctx, answer->id, failed ? answer->error : ERR_OK,
		    failed ? answer->text.ptr : "");
}

void peer_answer(struct peer *peer, const struct wire_msg *answer)
{
	AUTO(buf_done) struct buf packet;
	bool first = false;

	buf_init(&packet, WIRE_PACKET_BYTES);
	if (peer->answered != NULL) {
		answer_local(peer, answer);
		return;
	}
	if (wire_encode(answer, &packet) != ERR_OK)
		return;
	(void)pthread_mutex_lock(&peer->lock);
	if (peer->head != NULL)
		(void)keep(peer, &packet);
	else if (!send_now(peer, &packet))
		first = keep(peer, &packet);
	(void)pthread_mutex_unlock(&peer->lock);
	if (first)
		peer->wake(peer->ctx);
}

void peer_fail(struct peer *peer, uint64_t id, enum err error, const struct err_detail *detail)
{
	const struct wire_msg answer = {
		.type = WIRE_FAILED,
		.id = id,
		.error = error,
		.text = slice_str(detail != NULL ? detail->text : ""),
	};

	peer_answer(peer, &answer);
}

size_t peer_backlog(struct peer *peer)
{
	size_t n;

	(void)pthread_mutex_lock(&peer->lock);
	n = peer->backlog;
	(void)pthread_mutex_unlock(&peer->lock);
	return n;
}

void peer_flush(struct peer *peer)
{
	(void)pthread_mutex_lock(&peer->lock);
	while (peer->head != NULL && send_now(peer, &peer->head->packet))
		drop_first(peer);
	(void)pthread_mutex_unlock(&peer->lock);
}
