/* base/recv: one read of a stream socket against a deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/recv.h"

#define PATIENCE_MS 10000

static int fails; /* so many reads fail first */
static int fails_with;

/* In the place of libc's. */
ssize_t recv(int fd, void *out, size_t size, int flags)
{
	if (fails > 0) {
		fails--;
		errno = fails_with;
		return -1;
	}
	return recvfrom(fd, out, size, flags, NULL, NULL);
}

struct world {
	int fd[2];
	struct buf out;
};

static void begin(struct world *w)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->fd), 0);
	buf_init(&w->out, 100);
	assert_int_equal(send(w->fd[1], "ab", 2, 0), 2);
}

static void end(struct world *w)
{
	fails = 0;
	buf_done(&w->out);
	(void)close(w->fd[0]);
	(void)close(w->fd[1]);
}

/* poll() may be wrong on a socket that does not block. */
static void what_is_not_there_yet_is_waited_for(void **state)
{
	static const int waits[] = { EAGAIN, EINTR };

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct world w;
		bool over = true;

		begin(&w);
		fails = 2;
		fails_with = waits[i];
		assert_int_equal(recv_some(w.fd[0], clock_mono_ms() + PATIENCE_MS, &w.out, &over),
				 ERR_OK);
		assert_false(over);
		assert_true(slice_eq(buf_slice(&w.out), SLICE_LIT("ab")));
		end(&w);
	}
}

static void a_deadline_may_be_far(void **state)
{
	struct world w;
	bool over = true;

	(void)state;
	begin(&w);
	assert_int_equal(recv_some(w.fd[0], INT64_MAX, &w.out, &over), ERR_OK);
	assert_true(slice_eq(buf_slice(&w.out), SLICE_LIT("ab")));
	end(&w);
}

static void errors_ends_and_silence_are_told_apart(void **state)
{
	struct world w;
	bool over = true;

	(void)state;
	begin(&w);
	fails = 1;
	fails_with = ECONNRESET;
	assert_int_equal(recv_some(w.fd[0], clock_mono_ms() + PATIENCE_MS, &w.out, &over),
			 ERR_PEER_LOST);
	assert_int_equal(recv_some(w.fd[0], clock_mono_ms() + PATIENCE_MS, &w.out, &over), ERR_OK);
	assert_int_equal(recv_some(w.fd[0], clock_mono_ms() + 5, &w.out, &over), ERR_TIMEOUT);
	assert_int_equal(shutdown(w.fd[1], SHUT_WR), 0);
	assert_int_equal(recv_some(w.fd[0], clock_mono_ms() + PATIENCE_MS, &w.out, &over), ERR_OK);
	assert_true(over);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_yet_is_waited_for),
		cmocka_unit_test(a_deadline_may_be_far),
		cmocka_unit_test(errors_ends_and_silence_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
