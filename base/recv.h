/* Reading a stream socket against a deadline. */
#ifndef BASE_RECV_H
#define BASE_RECV_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Append what has come; waits for it, also on a socket that does not block.
 * @param deadline_ms clock_mono_ms()
 * @param ret_end     the peer has said all
 * @return ERR_TIMEOUT, ERR_PEER_LOST, or the error of out
 */
NODISCARD enum err recv_some(int fd, int64_t deadline_ms, struct buf *out, bool *ret_end);

#endif
