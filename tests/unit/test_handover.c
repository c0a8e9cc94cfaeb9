/* config/handover: generations arrive whole; a hostile peer gets ERR_PROTOCOL and leaves no
 * descriptor behind. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/handover.h"
#include "config/question.h"

#include "tests/unit/folder.h"

static int pair[2];
static size_t fds_at_start;

static int open_pair(void **state)
{
	(void)state;
	fds_at_start = count_entries("/proc/self/fd");
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return count_entries("/proc/self/fd") == fds_at_start ? 0 : -1;
}

static int memfd_with(const char *text, bool sealed)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	return fd;
}

static void a_generation_arrives_with_settings_and_files(void **state)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();
	struct handover_msg m;
	struct slice text;

	(void)state;
	assert_int_equal(settings_set(s, SLICE_LIT("On-Default"), SLICE_LIT("accept"), NULL, NULL),
			 ERR_OK);
	assert_int_equal(
		settings_set(s, SLICE_LIT("On-Security"), SLICE_LIT("tempfail"), NULL, NULL),
		ERR_OK);
	assert_int_equal(settings_set(s, SLICE_LIT("Selector"), SLICE_LIT("s1"), NULL, NULL),
			 ERR_OK);
	s->key_file = slice_dup(SLICE_LIT("/k"));
	s->domain = slice_dup(SLICE_LIT("example.com"));
	assert_int_equal(settings_finish(s, NULL, NULL), ERR_OK);
	assert_int_equal(files_put(f, "/etc/a table", memfd_with("row a", true)), ERR_OK);
	assert_int_equal(files_put(f, "/etc/b", memfd_with("", true)), ERR_OK);
	assert_int_equal(handover_send_load(pair[0], 7, s, f), ERR_OK);

	assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_OK);
	assert_int_equal(m.type, HANDOVER_LOAD);
	assert_int_equal(m.generation, 7);
	assert_string_equal(m.settings->selector, "s1");
	assert_int_equal(m.settings->on_security, ACTION_TEMPFAIL);
	assert_int_equal(m.settings->on_signature_error, ACTION_ACCEPT);
	assert_int_equal(m.settings->on_token_failure, ACTION_TEMPFAIL);
	assert_int_equal(files_count(m.files), 2);
	assert_int_equal(files_map(m.files, "/etc/a table", &text, NULL), ERR_OK);
	assert_true(slice_eq(text, SLICE_LIT("row a")));
	assert_int_equal(files_map(m.files, "/etc/b", &text, NULL), ERR_OK);
	assert_int_equal(text.len, 0);
	assert_int_equal(files_map(m.files, "/etc/passwd", &text, NULL), ERR_NOT_FOUND);
	handover_msg_done(&m);
	handover_msg_done(&m); /* twice is harmless */
}

static void a_live_file_travels_read_only(void **state)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();
	char path[] = "/tmp/hsmdkim-test.XXXXXX";
	struct handover_msg m;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(files_read_live(f, path, NULL), ERR_OK);
	assert_int_equal(files_put(f, path, memfd_with("a copy", true)), ERR_OK);
	assert_int_equal(handover_send_load(pair[0], 1, s, f), ERR_OK);
	assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_OK);
	assert_int_equal(files_count(m.files), 2);
	assert_true(files_is_live(m.files, 0));
	assert_false(files_is_live(m.files, 1));
	assert_string_equal(files_path(m.files, 0), path);
	handover_msg_done(&m);
	assert_int_equal(files_put_live(f, "/other", fd), ERR_OK); /* writable: refused */
	assert_int_equal(handover_send_load(pair[0], 1, s, f), ERR_OK);
	assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_PROTOCOL);
	assert_int_equal(unlink(path), 0);
}

static void two_hundred_files_travel_and_one_more_does_not(void **state)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();
	struct handover_msg m;
	char path[32];

	(void)state;
	for (int i = 0; i < HANDOVER_FILES_MAX; i++) {
		(void)snprintf(path, sizeof(path), "/t/%d", i);
		assert_int_equal(files_put(f, path, memfd_with("x", true)), ERR_OK);
	}
	assert_int_equal(handover_send_load(pair[0], 1, s, f), ERR_OK);
	assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_OK);
	assert_int_equal(files_count(m.files), HANDOVER_FILES_MAX);
	assert_string_equal(files_path(m.files, 199), "/t/199");
	handover_msg_done(&m);
	assert_int_equal(files_put(f, "/t/more", memfd_with("x", true)), ERR_OK);
	assert_int_equal(handover_send_load(pair[0], 1, s, f), ERR_LIMIT);
}

static void small_messages_arrive_as_they_are(void **state)
{
	static const struct {
		enum handover_type type;
		const char *text;
		bool fd;
	} cases[] = {
		{ HANDOVER_COMMIT, NULL, false },
		{ HANDOVER_ABORT, NULL, false },
		{ HANDOVER_PEER, NULL, true },
		{ HANDOVER_LISTEN, NULL, true },
		{ HANDOVER_STOP, NULL, false },
		{ HANDOVER_LOADED, NULL, false },
		{ HANDOVER_FAILED, "f:1: bad", false },
		{ HANDOVER_READY, NULL, false },
		{ HANDOVER_NOTE, "pin-refused tok", false },
		{ HANDOVER_ASK, "keys a", true },
		{ HANDOVER_ANSWER, NULL, false },
		{ HANDOVER_COMMITTED, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct handover_msg m;

		assert_int_equal(handover_send(pair[0], cases[i].type, (uint32_t)i, cases[i].text,
					       cases[i].fd ? pair[1] : -1),
				 ERR_OK);
		assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_OK);
		assert_int_equal(m.type, cases[i].type);
		assert_int_equal(m.generation, i);
		assert_int_equal(m.fd >= 0, cases[i].fd);
		if (cases[i].text != NULL)
			assert_string_equal(m.text, cases[i].text);
		else
			assert_null(m.text);
		if (m.fd >= 0)
			assert_int_equal(fcntl(m.fd, F_GETFD), FD_CLOEXEC);
		handover_msg_done(&m);
	}
}

static void ask(const char *text, int *ret_fd, struct handover_msg *ret_msg)
{
	assert_int_equal(question_ask(pair[0], 7, text, ret_fd), ERR_OK);
	assert_int_equal(handover_recv(pair[1], 1000, ret_msg), ERR_OK);
	assert_int_equal(ret_msg->type, HANDOVER_ASK);
	assert_int_equal(ret_msg->generation, 7);
	assert_string_equal(ret_msg->text, text);
}

static void assert_answer(int fd, struct slice expected)
{
	struct handover_msg m;
	struct slice text;
	struct buf out;

	assert_int_equal(handover_recv(pair[0], 1000, &m), ERR_OK);
	assert_int_equal(m.type, HANDOVER_ANSWER);
	assert_int_equal(m.generation, 7);
	buf_init(&out, QUESTION_ANSWER_BYTES_MAX);
	assert_int_equal(question_read(fd, &out), ERR_OK);
	assert_int_equal(buf_finish(&out, &text), ERR_OK);
	assert_true(slice_eq(text, expected));
	buf_done(&out);
	(void)close(fd);
}

static void a_question_gets_its_answer(void **state)
{
	char *huge = malloc(QUESTION_ANSWER_BYTES_MAX + 1);
	struct handover_msg m;
	int fd;

	(void)state;
	assert_non_null(huge);
	memset(huge, 'x', QUESTION_ANSWER_BYTES_MAX + 1);
	for (size_t len = 0; len <= QUESTION_ANSWER_BYTES_MAX + 1; len = 40 * len + 1) {
		ask("status", &fd, &m);
		assert_int_equal(question_answer(pair[1], &m, slice_of(huge, len)), ERR_OK);
		handover_msg_done(&m);
		assert_answer(fd, slice_of(huge, len));
	}
	ask("keys", &fd, &m); /* too long: cut */
	assert_int_equal(
		question_answer(pair[1], &m, slice_of(huge, QUESTION_ANSWER_BYTES_MAX + 1)),
		ERR_OK);
	handover_msg_done(&m);
	assert_answer(fd, slice_of(huge, QUESTION_ANSWER_BYTES_MAX - 1));
	free(huge);
}

static void who_does_not_read_is_not_waited_for(void **state)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();
	int64_t started_ms = clock_mono_ms();
	unsigned asked = 0;
	enum err e;
	int fd;

	(void)state;
	while ((e = question_ask(pair[0], 7, "status", &fd)) == ERR_OK) {
		(void)close(fd);
		asked++;
	}
	assert_int_equal(e, ERR_BUSY);
	assert_true(asked > QUESTIONS_OWED_MAX); /* and room for orders, whatever it owes */
	assert_int_equal(handover_send_now(pair[0], HANDOVER_STOP, 0, NULL, -1), ERR_BUSY);
	assert_int_equal(handover_send_load(pair[0], 1, s, f), ERR_BUSY);
	assert_true(clock_mono_ms() - started_ms < HANDOVER_SEND_TIMEOUT_MS / 2);
}

static void only_what_is_owed_can_be_paid(void **state)
{
	struct questions_owed o = { .count = 0 };

	(void)state;
	assert_false(questions_owed_take(&o, 0));
	for (uint32_t i = 1; i <= QUESTIONS_OWED_MAX; i++)
		assert_true(questions_owed_add(&o, i, 100 + i));
	assert_false(questions_owed_add(&o, 1000, 1000));
	assert_true(questions_owed_take(&o, 5));
	assert_false(questions_owed_take(&o, 5));
	assert_false(questions_owed_take(&o, 1000));
	assert_int_equal(o.asked_ms[0], 101);
	assert_true(questions_owed_take(&o, 1));
	assert_int_equal(o.asked_ms[0], 102);
	assert_int_equal(o.numbers[3], 6);
	assert_int_equal(o.count, QUESTIONS_OWED_MAX - 2);
	assert_true(questions_owed_take(&o, QUESTIONS_OWED_MAX));
	assert_true(questions_owed_add(&o, 2000, 2000));
	assert_int_equal(o.numbers[o.count - 1], 2000);
	assert_int_equal(o.asked_ms[o.count - 1], 2000);
}

/* A child that was taken over. */
static void an_answer_cannot_fill_memory(void **state)
{
	struct handover_msg m;
	struct buf out;
	int fd;

	(void)state;
	ask("status", &fd, &m);
	assert_int_not_equal(ftruncate(m.fd, (off_t)QUESTION_ANSWER_BYTES_MAX * 2), 0);
	assert_int_not_equal(ftruncate(m.fd, 0), 0);
	assert_true(pwrite(m.fd, "x", 1, (off_t)QUESTION_ANSWER_BYTES_MAX) < 1);
	assert_int_not_equal(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	handover_msg_done(&m);
	buf_init(&out, 10);
	assert_int_equal(question_read(fd, &out), ERR_OK);
	assert_int_equal(out.len, 0);
	buf_done(&out);
	(void)close(fd);
}

static void waiting_ends_at_the_deadline_and_when_the_peer_dies(void **state)
{
	struct handover_msg m;
	int64_t start = clock_mono_ms();

	(void)state;
	assert_int_equal(handover_recv(pair[1], 30, &m), ERR_TIMEOUT);
	assert_true(clock_mono_ms() - start >= 30);
	assert_int_equal(handover_recv(pair[1], 0, &m), ERR_TIMEOUT);
	assert_int_equal(handover_send(pair[0], HANDOVER_READY, 1, NULL, -1), ERR_OK);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(handover_recv(pair[1], -1, &m), ERR_OK);
	assert_int_equal(handover_recv(pair[1], -1, &m), ERR_PEER_LOST);
	(void)close(pair[1]);
	assert_int_equal(handover_send(pair[0], HANDOVER_READY, 1, NULL, -1), ERR_PEER_LOST);
	pair[1] = dup(pair[0]);
}

/* A packet as handover.c writes it, with any field wrong. */
static void send_raw(const uint32_t header[5], struct slice text, const int *fds, size_t count)
{
	union {
		char room[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov[2] = { { (void *)header, 5 * sizeof(*header) },
				{ (void *)text.ptr, text.len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (count > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	assert_true(sendmsg(pair[0], &msg, 0) >= 0);
}

#define MAGIC 0x68736d31U

static void hostile_packets_are_refused_and_leave_no_descriptor(void **state)
{
	int sealed = memfd_with("Selector a\n", true);
	int open_table = memfd_with("Selector a\n", false);
	int bad_settings = memfd_with("Nonsense a\n", true);
	int one[1] = { sealed };
	int two[2] = { sealed, sealed };
	int unsealed[2] = { sealed, open_table };
	int bad[1] = { bad_settings };
	int many[253];
	char *huge = calloc(1, 70000);
	const struct {
		uint32_t header[5];
		struct slice text;
		const int *fds;
		size_t count;
	} cases[] = {
		{ { 1, HANDOVER_READY, 1, 0, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, 0, 1, 0, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_COMMITTED + 1, 1, 0, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_ASK, 1, 0, 4 }, SLICE_LIT("keys"), NULL, 0 },
		{ { MAGIC, HANDOVER_ASK, 1, 2, 4 }, SLICE_LIT("keys"), two, 2 },
		{ { MAGIC, HANDOVER_ASK, 1, 1, 3 }, SLICE_LIT("a\0b"), one, 1 },
		{ { MAGIC, HANDOVER_ANSWER, 1, 1, 0 }, SLICE_LIT(""), one, 1 },
		{ { MAGIC, HANDOVER_ANSWER, 1, 0, 1 }, SLICE_LIT("x"), NULL, 0 },
		{ { MAGIC, HANDOVER_COMMITTED, 1, 0, 1 }, SLICE_LIT("x"), NULL, 0 },
		{ { MAGIC, 0xffffffff, 1, 0, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_READY, 1, 0, 5 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_READY, 1, 0, 0 }, SLICE_LIT("x"), NULL, 0 },
		{ { MAGIC, HANDOVER_READY, 1, 0, 1 }, SLICE_LIT("x"), NULL, 0 },
		{ { MAGIC, HANDOVER_READY, 1, 1, 0 }, SLICE_LIT(""), one, 1 },
		{ { MAGIC, HANDOVER_STOP, 1, 0, 0 }, SLICE_LIT(""), one, 1 },
		{ { MAGIC, HANDOVER_PEER, 1, 0, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_PEER, 1, 2, 0 }, SLICE_LIT(""), two, 2 },
		{ { MAGIC, HANDOVER_PEER, 1, 1, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_NOTE, 1, 0, 3 }, SLICE_LIT("a\0b"), NULL, 0 },
		{ { MAGIC, HANDOVER_NOTE, 1, 1, 1 }, SLICE_LIT("a"), one, 1 },
		{ { MAGIC, HANDOVER_LOAD, 1, 0, 0 }, SLICE_LIT(""), NULL, 0 },
		{ { MAGIC, HANDOVER_LOAD, 1, 2, 0 }, SLICE_LIT(""), two, 2 },
		{ { MAGIC, HANDOVER_LOAD, 1, 1, 4 }, SLICE_LIT("s/a\0"), one, 1 },
		{ { MAGIC, HANDOVER_LOAD, 1, 2, 3 }, SLICE_LIT("s/a"), two, 2 },
		{ { MAGIC, HANDOVER_LOAD, 1, 2, 4 }, SLICE_LIT("s/a\0"), unsealed, 2 },
		{ { MAGIC, HANDOVER_LOAD, 1, 1, 0 }, SLICE_LIT(""), bad, 1 },
		{ { MAGIC, HANDOVER_LOAD, 1, 253, 0 }, SLICE_LIT(""), many, 253 },
		{ { MAGIC, HANDOVER_NOTE, 1, 0, 70000 }, slice_of(huge, 70000), NULL, 0 },
	};
	size_t before;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = sealed;
	before = count_entries("/proc/self/fd");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct handover_msg m = { .generation = 99 };
		enum err e;

		send_raw(cases[i].header, cases[i].text, cases[i].fds, cases[i].count);
		e = handover_recv(pair[1], 1000, &m);
		if (e != ERR_PROTOCOL)
			fail_msg("case %zu: %s", i, err_name(e));
		assert_int_equal(m.generation, 99);
		assert_int_equal(count_entries("/proc/self/fd"), before);
	}
	assert_int_equal(send(pair[0], "abc", 3, 0), 3);
	struct handover_msg m;

	assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_PROTOCOL);
	assert_int_equal(handover_send(pair[0], HANDOVER_READY, 1, NULL, -1), ERR_OK);
	assert_int_equal(handover_recv(pair[1], 1000, &m), ERR_OK); /* still in step */
	(void)close(sealed);
	(void)close(open_table);
	(void)close(bad_settings);
	free(huge);
}

int main(void)
{
#define WITH_PAIR(fn) cmocka_unit_test_setup_teardown(fn, open_pair, close_pair)
	const struct CMUnitTest tests[] = {
		WITH_PAIR(a_generation_arrives_with_settings_and_files),
		WITH_PAIR(a_live_file_travels_read_only),
		WITH_PAIR(two_hundred_files_travel_and_one_more_does_not),
		WITH_PAIR(small_messages_arrive_as_they_are),
		WITH_PAIR(a_question_gets_its_answer),
		WITH_PAIR(who_does_not_read_is_not_waited_for),
		cmocka_unit_test(only_what_is_owed_can_be_paid),
		WITH_PAIR(an_answer_cannot_fill_memory),
		WITH_PAIR(waiting_ends_at_the_deadline_and_when_the_peer_dies),
		WITH_PAIR(hostile_packets_are_refused_and_leave_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
