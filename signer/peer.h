/* The milter at the other end of a socket. Answers are sent from many threads; reference counted.
 */
#ifndef SIGNER_PEER_H
#define SIGNER_PEER_H

#include "signer/wire.h"

struct peer;

/** @param fd owned from now on @return NULL when memory is short (fd is closed) */
NODISCARD struct peer *peer_new(int fd);

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

/** Send an answer; a peer that is gone or does not read gets none. */
void peer_answer(struct peer *peer, const struct wire_msg *answer);

/** A WIRE_FAILED with the error's text before the detail. */
void peer_fail(struct peer *peer, uint64_t id, enum err error, const struct err_detail *detail);

#endif
