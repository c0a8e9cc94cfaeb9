/* The kernel wakes one of the threads that wait in recv() for each packet. */
#include "signer/reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/* No requests are read while so many answers wait for the milter; what is under way then still fits
 * below PEER_BACKLOG_MAX. */
#define BACKLOG_ENOUGH 8192u

struct reader {
	struct peer *peer;
	void (*take)(void *ctx, struct peer *peer, struct slice packet);
	void *ctx;
	size_t size;
	char packet[];
};

static void await(const struct peer *peer, short events)
{
	struct pollfd fd = { .fd = peer_fd(peer), .events = events };

	(void)poll(&fd, 1, -1);
}

/* A milter that does not take its answers is not asked what else it wants. */
static void let_it_catch_up(struct peer *peer)
{
	while (peer_backlog(peer) >= BACKLOG_ENOUGH) {
		await(peer, POLLOUT);
		peer_flush(peer);
	}
}

/* @return false: the milter process is gone, or sends what is no packet */
static bool read_one(struct reader *r)
{
	ssize_t n;

	let_it_catch_up(r->peer);
	n = recv(peer_fd(r->peer), r->packet, r->size, 0);
	if (n > 0)
		r->take(r->ctx, r->peer, slice_of(r->packet, (size_t)n));
	else if (n < 0 && errno == EAGAIN) /* a socket that does not wait: a test's */
		await(r->peer, POLLIN);
	else if (n == 0 || errno != EINTR)
		return false;
	return true;
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	while (read_one(r))
		;
	(void)shutdown(peer_fd(r->peer), SHUT_RDWR); /* the others and the main thread see it */
	peer_unref(&r->peer);
	free(r);
	return NULL;
}

static bool start(const struct reader *like, struct peer *peer)
{
	struct reader *r = malloc(sizeof(*r) + like->size);
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	if (r == NULL)
		return false;
	*r = *like;
	r->peer = peer_ref(peer);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = pthread_create(&thread, &attr, reader_main, r) == 0;
	(void)pthread_attr_destroy(&attr);
	if (!ok) {
		peer_unref(&r->peer);
		free(r);
	}
	return ok;
}

enum err readers_start(struct peer *peer, unsigned count, size_t packet_bytes,
		       void (*take)(void *ctx, struct peer *peer, struct slice packet), void *ctx)
{
	const struct reader like = { .take = take, .ctx = ctx, .size = packet_bytes + 1 };
	unsigned started = 0;

	for (unsigned i = 0; i < count; i++)
		started += start(&like, peer);
	return started > 0 ? ERR_OK : ERR_NOMEM;
}
