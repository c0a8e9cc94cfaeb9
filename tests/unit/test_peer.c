/* signer/peer: answers never wait for the milter, none is lost while it is slow, memory is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "signer/peer.h"

/* Far more than any step takes. */
#define PATIENCE_MS 20000
#define MANY 5000u

static atomic_uint wakes;

static void on_wake(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&wakes, 1);
}

static struct peer *start(int *ret_milter)
{
	int pair[2];
	struct peer *peer;

	atomic_store(&wakes, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	peer = peer_new(pair[0], on_wake, NULL);
	assert_non_null(peer);
	*ret_milter = pair[1];
	return peer;
}

static void answer(struct peer *peer, uint64_t id)
{
	peer_fail(peer, id, ERR_TOKEN_TIMEOUT, &(struct err_detail){ "some text to send" });
}

/* @return the id of the next answer, or UINT64_MAX */
static uint64_t next_id(int milter)
{
	struct pollfd p = { .fd = milter, .events = POLLIN };
	char packet[4096];
	struct wire_msg msg;
	ssize_t n;

	if (poll(&p, 1, 0) != 1)
		return UINT64_MAX;
	n = recv(milter, packet, sizeof(packet), MSG_DONTWAIT);
	if (n <= 0 || wire_decode(slice_of(packet, (size_t)n), &msg) != ERR_OK)
		return UINT64_MAX;
	return msg.id;
}

static void answers_come_as_they_were_sent(void **state)
{
	int milter;
	struct peer *peer = start(&milter);

	(void)state;
	for (uint64_t id = 0; id < 10; id++) {
		answer(peer, id);
		assert_int_equal(next_id(milter), id);
	}
	assert_int_equal(peer_backlog(peer), 0);
	assert_int_equal(atomic_load(&wakes), 0);
	peer_unref(&peer);
	(void)close(milter);
}

static void a_milter_that_reads_late_gets_all_in_order(void **state)
{
	int milter;
	struct peer *peer = start(&milter);
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	uint64_t next = 0;

	(void)state;
	for (uint64_t id = 0; id < MANY; id++)
		answer(peer, id);
	assert_true(clock_mono_ms() < until); /* none waited */
	assert_true(peer_backlog(peer) > 0);
	assert_int_equal(atomic_load(&wakes), 1);
	while (next < MANY && clock_mono_ms() < until) {
		uint64_t id = next_id(milter);

		if (id == UINT64_MAX)
			peer_flush(peer);
		else
			assert_int_equal(id, next++);
	}
	assert_int_equal(next, MANY);
	assert_int_equal(peer_backlog(peer), 0);
	peer_unref(&peer);
	(void)close(milter);
}

static void a_milter_that_never_reads_costs_no_more_than_the_bound(void **state)
{
	int milter;
	struct peer *peer = start(&milter);

	(void)state;
	for (uint64_t id = 0; id < PEER_BACKLOG_MAX + MANY; id++)
		answer(peer, id);
	assert_int_equal(peer_backlog(peer), PEER_BACKLOG_MAX);
	peer_unref(&peer); /* frees what waits */
	(void)close(milter);
}

static void a_milter_that_is_gone_is_no_backlog(void **state)
{
	int milter;
	struct peer *peer = start(&milter);

	(void)state;
	for (uint64_t id = 0; id < MANY; id++)
		answer(peer, id);
	(void)close(milter);
	answer(peer, MANY);
	peer_flush(peer);
	assert_int_equal(peer_backlog(peer), 0);
	peer_unref(&peer);
}

/* --- many threads, for the thread sanitizer -----------------------------------------------------
 */

#define THREADS 4u
#define EACH 1000u

static void *answer_many(void *arg)
{
	struct peer *peer = arg;

	for (uint64_t id = 0; id < EACH; id++)
		answer(peer, id);
	peer_unref(&peer);
	return NULL;
}

static void answers_of_many_threads_all_arrive(void **state)
{
	int milter;
	struct peer *peer = start(&milter);
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	pthread_t threads[THREADS];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, answer_many, peer_ref(peer)), 0);
	while (count < (size_t)THREADS * EACH && clock_mono_ms() < until) {
		if (next_id(milter) != UINT64_MAX)
			count++;
		else
			peer_flush(peer);
	}
	assert_int_equal(count, THREADS * EACH);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	peer_unref(&peer);
	(void)close(milter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_as_they_were_sent),
		cmocka_unit_test(a_milter_that_reads_late_gets_all_in_order),
		cmocka_unit_test(a_milter_that_never_reads_costs_no_more_than_the_bound),
		cmocka_unit_test(a_milter_that_is_gone_is_no_backlog),
		cmocka_unit_test(answers_of_many_threads_all_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
