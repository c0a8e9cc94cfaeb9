/* One read of a socket: see recv.h. */
#include "base/recv.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#define CHUNK_BYTES 16384

enum err recv_some(int fd, int64_t deadline_ms, struct buf *out, bool *ret_end)
{
	char chunk[CHUNK_BYTES];
	ssize_t n = -1;

	*ret_end = false;
	while (n < 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline_ms - clock_mono_ms();

		if (left <= 0)
			return ERR_TIMEOUT;
		if (poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX) <= 0)
			continue;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return ERR_PEER_LOST;
	}
	*ret_end = n == 0;
	buf_add(out, slice_of(chunk, (size_t)n));
	return out->error;
}
