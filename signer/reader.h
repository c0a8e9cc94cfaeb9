/*
 * Threads that read what the milter sends, straight from its socket: the one that is woken by a
 * packet also does what needs nothing but a processor, and sends the answer. (Before, the main
 * thread read and woke a worker: two wake-ups and four system calls more a signature.)
 */
#ifndef SIGNER_READER_H
#define SIGNER_READER_H

#include "signer/peer.h"

/**
 * Start the threads; they end with the peer's socket, which is shut down by then.
 * @param packet_bytes longer packets are cut to one byte more
 * @param take         called for each packet, in any of the threads, several at a time; it may
 * compute, but not wait for anything outside
 * @return ERR_NOMEM: none could be started
 */
NODISCARD enum err readers_start(struct peer *peer, unsigned count, size_t packet_bytes,
				 void (*take)(void *ctx, struct peer *peer, struct slice packet),
				 void *ctx);

#endif
