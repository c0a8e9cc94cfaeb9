/* daemon/smtpsend, reportto and config/smtp_uri: a server by script, one that is none, recipients
 * that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "daemon/reportto.h"
#include "daemon/smtpsend.h"

#define HEARD_BYTES_MAX 65536u

/* One connection: says a line, reads one, says the next. Behind DATA it reads up to the dot. */
struct server {
	int fd;
	const char *const *says;
	struct buf heard;
	struct smtp_uri uri;
	pthread_t thread;
};

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* @return false: the client is gone */
static bool hear(struct server *s, int fd, const char *until)
{
	char c;

	do {
		if (recv(fd, &c, 1, 0) != 1)
			return false;
		buf_add_ch(&s->heard, c);
	} while (!slice_ends(buf_slice(&s->heard), slice_str(until)));
	return true;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);

	for (size_t i = 0; fd >= 0 && s->says[i] != NULL; i++) {
		say(fd, s->says[i]);
		if (!hear(s, fd, s->says[i][0] == '3' ? "\r\n.\r\n" : "\r\n"))
			break;
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

static void start_server(struct server *s, const char *const *says)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);

	*s = (struct server){ .says = says, .uri = { .host = "127.0.0.1" } };
	buf_init(&s->heard, HEARD_BYTES_MAX);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&addr, &len), 0);
	(void)snprintf(s->uri.port, sizeof(s->uri.port), "%u", (unsigned)ntohs(addr.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop_server(struct server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	(void)close(s->fd);
	buf_done(&s->heard);
}

static enum err send_to(struct server *s, struct smtpsend_said *ret_said)
{
	const struct slice recipients[] = { SLICE_INIT("a@example.com"),
					    SLICE_INIT("b@example.net") };

	return smtpsend(&s->uri, recipients, 2, SLICE_LIT("Subject: x\n\n.\n..y\n"), 30000,
			ret_said);
}

static void a_message(void **state)
{
	static const char *const says[] = { "220-hello\r\n220 there\r\n",
					    "250-ok\r\n250 ok\r\n",
					    "250 ok\r\n",
					    "250 ok\r\n",
					    "550 no\r\n",
					    "354 go\r\n",
					    "250 kept\r\n",
					    NULL };
	struct smtpsend_said said;
	struct server s;

	(void)state;
	start_server(&s, says);
	assert_int_equal(send_to(&s, &said), ERR_OK);
	(void)pthread_join(s.thread, NULL);
	assert_int_equal(pthread_create(&s.thread, NULL, serve, &s), 0);
	assert_string_equal(s.heard.data, "HELO localhost\r\nMAIL FROM:<>\r\n"
					  "RCPT TO:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n"
					  "DATA\r\nSubject: x\r\n\r\n..\r\n...y\r\n.\r\nQUIT\r\n");
	stop_server(&s);
}

/* Refused at each step, with what was said. */
static void refusals(void **state)
{
	static const char *const good[] = { "220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n",
					    "250 x\r\n", "354 x\r\n", "250 x\r\n" };
	const char *says[ARRAY_LEN(good) + 1];

	(void)state;
	for (size_t step = 0; step < ARRAY_LEN(good); step++) {
		struct smtpsend_said said;
		struct server s;

		for (size_t i = 0; i < ARRAY_LEN(good); i++)
			says[i] = good[i];
		says[ARRAY_LEN(good)] = NULL;
		says[step] = "451 4.3.0 not now\r\n";
		if (step == 3) /* no recipient at all */
			says[4] = says[3];
		start_server(&s, says);
		assert_int_equal(send_to(&s, &said), step == 4 ? ERR_OK : ERR_IO);
		if (step != 4)
			assert_string_equal(said.text, "451 4.3.0 not now");
		stop_server(&s);
	}
}

static void what_is_no_smtp(void **state)
{
	static char flood[20000];
	static const char *const rows[] = { "HTTP/1.1 400 Bad Request\r\n", "\r\n", "2\r\n",
					    flood };

	(void)state;
	memset(flood, '2', sizeof(flood) - 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *says[] = { rows[i], NULL };
		struct smtpsend_said said;
		struct server s;

		start_server(&s, says);
		assert_int_equal(send_to(&s, &said), ERR_PROTOCOL);
		stop_server(&s);
	}
}

static void who_says_nothing(void **state)
{
	static const char *const says[] = { "", NULL };
	static const char *const hangs_up[] = { NULL };
	const struct slice to = SLICE_INIT("a@example.com");
	int64_t start_ms = clock_mono_ms();
	struct smtpsend_said said;
	struct server s;

	(void)state;
	start_server(&s, says);
	assert_int_equal(smtpsend(&s.uri, &to, 1, SLICE_LIT("x\n"), 300, &said), ERR_TIMEOUT);
	assert_true(clock_mono_ms() - start_ms < 20000);
	stop_server(&s);
	start_server(&s, hangs_up);
	assert_int_equal(send_to(&s, &said), ERR_IO);
	stop_server(&s);
	/* nobody listens there any more */
	assert_int_equal(smtpsend(&s.uri, &to, 1, SLICE_LIT("x\n"), 30000, &said), ERR_IO);
	assert_string_equal(said.text, "Connection refused");
}

static void uris(void **state)
{
	static const struct {
		const char *text;
		const char *host; /* NULL: refused */
		const char *port;
	} rows[] = {
		{ "smtp://localhost", "localhost", "25" },
		{ "SMTP://127.0.0.1:2525", "127.0.0.1", "2525" },
		{ "smtp://mx.example.net/", "mx.example.net", "25" },
		{ "smtp://[::1]", "::1", "25" },
		{ "smtp://[::1]:26", "::1", "26" },
		{ "smtps://localhost", NULL, NULL },
		{ "localhost:25", NULL, NULL },
		{ "smtp://", NULL, NULL },
		{ "smtp://:25", NULL, NULL },
		{ "smtp://a:0", NULL, NULL },
		{ "smtp://a:65536", NULL, NULL },
		{ "smtp://a:", NULL, NULL },
		{ "smtp://a:smtp", NULL, NULL },
		{ "smtp://[::1", NULL, NULL },
		{ "smtp://[::1]25", NULL, NULL },
		{ "smtp://[]", NULL, NULL },
		{ "smtp://user@a", NULL, NULL },
		{ "smtp://a/b", NULL, NULL },
		{ "smtp://a b", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };
		struct smtp_uri uri;
		enum err err = smtp_uri_parse(rows[i].text, &uri, &detail);

		if ((err == ERR_OK) != (rows[i].host != NULL))
			fail_msg("%s", rows[i].text);
		if (err != ERR_OK)
			continue;
		assert_string_equal(uri.host, rows[i].host);
		assert_string_equal(uri.port, rows[i].port);
	}
}

static void recipients(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct reportto to;
	size_t skipped;

	(void)state;
	assert_non_null(arena);
	assert_int_equal(reportto_init(&to, NULL, arena, &skipped), ERR_OK);
	assert_int_equal(to.count, 1);
	assert_int_equal(reportto_init(&to,
				       "tom@example.net, \"Hary, the \\\" second\" "
				       "<hary@Example.net>,, none, <a\"b c\"@example.net>, "
				       "x@example.org",
				       arena, &skipped),
			 ERR_OK);
	assert_int_equal(to.count, 4);
	assert_int_equal(skipped, 2);
	assert_true(slice_eq(to.recipients[1], SLICE_LIT("tom@example.net")));
	assert_true(slice_eq(to.recipients[2], SLICE_LIT("hary@example.net")));
	assert_true(slice_eq(to.recipients[3], SLICE_LIT("x@example.org")));
	assert_int_equal(
		reportto_init(&to,
			      "a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b",
			      arena, &skipped),
		ERR_OK);
	assert_int_equal(to.count, REPORTTO_MAX);
	assert_int_equal(skipped, 1);
	assert_true(reportto_is_plain(SLICE_LIT("a@example.com")));
	assert_false(reportto_is_plain(SLICE_LIT("a@example.com>\r\nRCPT TO:<b@example.com")));
	assert_false(reportto_is_plain(SLICE_LIT("a b@example.com")));
	assert_false(reportto_is_plain(SLICE_LIT("a@b@example.com")));
	assert_false(reportto_is_plain(SLICE_LIT("@example.com")));
	assert_false(reportto_is_plain(SLICE_LIT("a@")));
	assert_false(reportto_is_plain(SLICE_LIT("")));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message),
		cmocka_unit_test(refusals),
		cmocka_unit_test(what_is_no_smtp),
		cmocka_unit_test(who_says_nothing),
		cmocka_unit_test(uris),
		cmocka_unit_test(recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
