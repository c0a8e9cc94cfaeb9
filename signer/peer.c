/* The milter at the other end of a socket. */
#include "signer/peer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Answers are small and the milter reads all the time: longer means that it hangs. */
#define SEND_TIMEOUT_S 2

struct peer {
	atomic_uint refs;
	int fd; /* -1: local */
	void (*answered)(void *ctx, uint64_t id, enum err error, const char *text);
	void *ctx;
};

struct peer *peer_new(int fd)
{
	const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL) {
		(void)close(fd);
		return NULL;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	atomic_init(&peer->refs, 1);
	peer->fd = fd;
	return peer;
}

struct peer *peer_new_local(void (*answered)(void *ctx, uint64_t id, enum err error,
					     const char *text),
			    void *ctx)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		return NULL;
	atomic_init(&peer->refs, 1);
	peer->fd = -1;
	peer->answered = answered;
	peer->ctx = ctx;
	return peer;
}

struct peer *peer_ref(struct peer *peer)
{
	atomic_fetch_add(&peer->refs, 1);
	return peer;
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
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p);
}

int peer_fd(const struct peer *peer)
{
	return peer->fd;
}

void peer_answer(struct peer *peer, const struct wire_msg *answer)
{
	AUTO(buf_done) struct buf packet;

	buf_init(&packet, WIRE_PACKET_BYTES);
	if (peer->answered != NULL) {
		peer->answered(peer->ctx, answer->id,
			       answer->type == WIRE_FAILED ? answer->error : ERR_OK,
			       answer->type == WIRE_FAILED ? answer->text.ptr : "");
		return;
	}
	if (wire_encode(answer, &packet) == ERR_OK)
		(void)send(peer->fd, packet.data, packet.len, MSG_NOSIGNAL);
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
