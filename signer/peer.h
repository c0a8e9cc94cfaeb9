/*
 * The milter at the other end of a socket. Answers are sent from many threads and never wait for
 * the milter: what the socket does not take at once is kept, and the main thread or a reader
 * (signer/reader.h) sends it when there is room. Reference counted.
 */
#ifndef SIGNER_PEER_H
#define SIGNER_PEER_H

#include "signer/wire.h"

struct peer;

/** Answers that may wait; further ones are dropped, and the milter's deadline ends those requests.
 * Readers that take no requests while peer_backlog() is high never come that far. */
#define PEER_BACKLOG_MAX 32768u

/**
 * @param fd   owned from now on
 * @param wake called when an answer waits where none did before, from any thread: peer_flush() must
 * be called when the socket has room @return NULL when memory is short (fd is closed)
 */
NODISCARD struct peer *peer_new(int fd, void (*wake)(void *ctx), void *ctx);

/**
 * A peer in this process: answers come to a function, from any thread.
 * @param answered error is ERR_OK for an answer that is none @return NULL when memory is short
 */
NODISCARD struct peer *peer_new_local(void (*answered)(void *ctx, uint64_t id, enum err error,
						       const char *text),
				      void *ctx);
struct peer *peer_ref(struct peer *peer);
void peer_unref(struct peer **peer);

int peer_fd(const struct peer *peer);

/** Send an answer, or keep it; a peer that is gone gets none. Never blocks. */
void peer_answer(struct peer *peer, const struct wire_msg *answer);

/** A WIRE_FAILED for a request that names no key we know. */
void peer_fail(struct peer *peer, uint64_t id, enum err error, const struct err_detail *detail);

/** Answers that wait for room in the socket. */
size_t peer_backlog(struct peer *peer);

/** Send what waits, as far as there is room. */
void peer_flush(struct peer *peer);

#endif
