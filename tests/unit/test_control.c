/* daemon/control.c: clients that are slow, many, or talk nonsense. */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control.h"

/* What came, and what is answered. */
static struct control control;
static struct sockaddr_un where;
static char last_line[CONTROL_LINE_BYTES_MAX + 1];
static unsigned last_client;
static unsigned requests;
static unsigned gone;

static void on_request(void *ctx, unsigned client, struct slice line)
{
	(void)ctx;
	(void)snprintf(last_line, sizeof(last_line), "%.*s", SLICE_FMT(line));
	last_client = client;
	requests++;
}

static void on_gone(void *ctx, unsigned client)
{
	(void)ctx;
	(void)client;
	gone++;
}

static int setup(void **state)
{
	(void)state;
	where = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* An abstract name: nothing to clean up. */
	(void)snprintf(where.sun_path + 1, sizeof(where.sun_path) - 1, "hsmdkim-test-%ld",
		       (long)getpid());
	control_init(&control);
	control.request = on_request;
	control.gone = on_gone;
	control.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	requests = gone = 0;
	return bind(control.listen_fd, (const struct sockaddr *)&where, sizeof(where)) == 0 &&
			       listen(control.listen_fd, 128) == 0
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	(void)state;
	control_done(&control);
	return 0;
}

static int new_client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof(where)), 0);
	return fd;
}

/* Until nothing happens any more. */
static void turn(void)
{
	struct pollfd fds[CONTROL_POLL_MAX];

	for (;;) {
		control_fill(&control, fds);
		if (poll(fds, CONTROL_POLL_MAX, 0) <= 0)
			return;
		control_turn(&control, fds);
	}
}

static void say(int fd, struct slice text)
{
	assert_int_equal(send(fd, text.ptr, text.len, MSG_NOSIGNAL), text.len);
	turn();
}

/* All that the client gets until the end. @return bytes */
static size_t hear(int fd, char *out, size_t room)
{
	size_t len = 0;
	ssize_t n;

	do {
		turn();
		n = recv(fd, out + len, room - 1 - len, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	out[len] = '\0';
	(void)close(fd);
	turn();
	return len;
}

static void a_line_may_come_byte_by_byte(void **state)
{
	static const struct slice line = SLICE_INIT("keys  a b \r\n");
	int fd = new_client();
	char answer[64];

	(void)state;
	for (size_t i = 0; i < line.len; i++) {
		assert_int_equal(requests, 0);
		say(fd, slice_sub(line, i, i + 1));
	}
	assert_int_equal(requests, 1);
	assert_string_equal(last_line, "keys  a b");
	control_answer(&control, last_client, SLICE_LIT("ok\n"));
	assert_int_equal(hear(fd, answer, sizeof(answer)), 5);
	assert_string_equal(answer, "ok\n.\n");
	assert_int_equal(gone, 0);
}

static void what_is_too_long_is_no_request(void **state)
{
	char text[CONTROL_LINE_BYTES_MAX];
	int fd = new_client();

	(void)state;
	memset(text, 'x', sizeof(text));
	say(fd, slice_of(text, sizeof(text)));
	assert_int_equal(hear(fd, text, sizeof(text)), 0);
	fd = new_client();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\n';
	say(fd, slice_of(text, sizeof(text)));
	assert_int_equal(requests, 1);
	(void)close(fd);
	turn();
	assert_int_equal(gone, 1);
}

static void a_long_answer_waits_for_a_slow_reader(void **state)
{
	size_t len = (size_t)8 * 1024 * 1024;
	char *text = malloc(len);
	char *answer = malloc(len + 64);
	int slow = new_client();
	int quick;
	char small[64];

	(void)state;
	assert_non_null(text);
	assert_non_null(answer);
	memset(text, 'y', len);
	text[len - 1] = '\n';
	say(slow, SLICE_LIT("keys\n"));
	control_answer(&control, last_client, slice_of(text, len));
	quick = new_client(); /* is served meanwhile */
	say(quick, SLICE_LIT("status\n"));
	control_answer(&control, last_client, SLICE_LIT("ok\n"));
	assert_int_equal(hear(quick, small, sizeof(small)), 5);
	assert_int_equal(hear(slow, answer, len + 64), len + 2);
	assert_memory_equal(answer, text, len);
	free(text);
	free(answer);
}

static void silent_clients_make_room(void **state)
{
	int silent[100];
	char answer[64];
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		silent[i] = new_client();
		turn();
	}
	fd = new_client();
	say(fd, SLICE_LIT("tokens\n"));
	assert_int_equal(requests, 1);
	for (size_t i = 0; i < ARRAY_LEN(silent); i++) { /* one that waits is not sent away */
		(void)close(silent[i]);
		silent[i] = new_client();
		turn();
	}
	assert_int_equal(gone, 0);
	control_answer(&control, last_client, SLICE_LIT("ok\n"));
	assert_int_equal(hear(fd, answer, sizeof(answer)), 5);
	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		(void)close(silent[i]);
}

static void when_all_wait_newcomers_do_too(void **state)
{
	int fds[CONTROL_CLIENTS_MAX];
	unsigned clients[CONTROL_CLIENTS_MAX];
	char answer[64];
	int late;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = new_client();
		say(fds[i], SLICE_LIT("status\n"));
		clients[i] = last_client;
	}
	late = new_client();
	say(late, SLICE_LIT("tokens\n"));
	assert_int_equal(requests, CONTROL_CLIENTS_MAX);
	assert_int_equal(control_wait_ms(&control), -1); /* whoever asked has the deadline */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		control_answer(&control, clients[i], SLICE_LIT("ok\n"));
		assert_int_equal(hear(fds[i], answer, sizeof(answer)), 5);
	}
	assert_int_equal(requests, CONTROL_CLIENTS_MAX + 1);
	assert_string_equal(last_line, "tokens");
	(void)close(late);
	turn();
	assert_int_equal(gone, 1);
}

static void who_stays_asks_again(void **state)
{
	char answer[64];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(control_add(&control, pair[0]));
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(control_wait_ms(&control), -1); /* and has time */
		say(pair[1], SLICE_LIT("metrics\n"));
		assert_int_equal(requests, i);
		control_answer(&control, last_client, SLICE_LIT("ok\n"));
		assert_int_equal(recv(pair[1], answer, sizeof(answer), MSG_DONTWAIT), 5);
	}
	(void)close(pair[1]);
	turn();
	assert_int_equal(control.clients[last_client].fd, -1);
}

int main(void)
{
#define WITH_SOCKET(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_SOCKET(a_line_may_come_byte_by_byte),
		WITH_SOCKET(what_is_too_long_is_no_request),
		WITH_SOCKET(a_long_answer_waits_for_a_slow_reader),
		WITH_SOCKET(silent_clients_make_room),
		WITH_SOCKET(when_all_wait_newcomers_do_too),
		WITH_SOCKET(who_stays_asks_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
