/* daemon/reportcomposer, restartwait, sidechild: a packet that is none ends nobody, and what ends
 * is started again in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/reportcomposer.h"
#include "daemon/reportsender.h"
#include "daemon/reportwire.h"
#include "daemon/restartwait.h"
#include "daemon/sidechild.h"

struct composer {
	pid_t pid;
	int ask_fd;
	int reports_fd;
};

static struct composer start(const char *text)
{
	struct settings *s = settings_new();
	struct files *files = files_new_closed();
	struct composer c;
	int ask[2];
	int reports[2];

	assert_non_null(s);
	assert_non_null(files);
	assert_int_equal(
		settings_load_text(s, slice_str(text), "test", &settings_reader_files, NULL, NULL),
		ERR_OK);
	assert_int_equal(settings_finish(s, NULL, NULL), ERR_OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ask), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reports), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		(void)close(ask[0]);
		(void)close(reports[0]);
		_exit(reportcomposer_run(s, files, ask[1], reports[1]));
	}
	(void)close(ask[1]);
	(void)close(reports[1]);
	c.ask_fd = ask[0];
	c.reports_fd = reports[0];
	settings_free(&s);
	files_free(&files);
	return c;
}

static int status_of(const struct composer *c)
{
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void ask(const struct composer *c)
{
	const struct report_request request = {
		.arrival_s = 1764000000,
		.reason = DKIM_REASON_BODY_CHANGED,
		.text = { [REPORT_DOMAIN] = SLICE_INIT("example.com") },
	};
	AUTO(buf_done) struct buf packet;

	buf_init(&packet, REPORT_PACKET_BYTES);
	assert_int_equal(reportwire_encode(&request, &packet), ERR_OK);
	assert_int_equal(send(c->ask_fd, packet.data, packet.len, MSG_NOSIGNAL), packet.len);
}

/* A milter process that was taken over may send it. */
static void an_empty_packet_is_no_end(void **state)
{
	static char report[REPORTSENDER_PACKET_BYTES];
	const unsigned char outcome = REPORTSENDER_SENT;
	struct composer c = start("Mode v\nTestDNSData csl:_report._domainkey.example.com=ra=a\n");
	const struct timeval wait = { .tv_sec = 60 };

	(void)state;
	assert_int_equal(send(c.ask_fd, "", 0, MSG_NOSIGNAL), 0);
	ask(&c);
	assert_int_equal(setsockopt(c.reports_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	assert_true(recv(c.reports_fd, report, sizeof(report), 0) > 0);
	assert_memory_equal(report, "a@example.com\n", 14);
	assert_int_equal(send(c.reports_fd, &outcome, 1, MSG_NOSIGNAL), 1);
	/* This is one: nothing will come from there any more. */
	assert_int_equal(shutdown(c.ask_fd, SHUT_WR), 0);
	assert_int_equal(status_of(&c), EX_UNAVAILABLE);
	(void)close(c.ask_fd);
	(void)close(c.reports_fd);
}

static void waits_are_doubled_to_a_minute(void **state)
{
	int64_t wait_ms = 0;

	(void)state;
	for (int64_t expected_ms = 500; expected_ms < 60000; expected_ms *= 2) {
		wait_ms = restartwait_next(wait_ms, 0);
		assert_int_equal(wait_ms, expected_ms);
	}
	assert_int_equal(restartwait_next(wait_ms, 0), 60000);
	assert_int_equal(restartwait_next(60000, 59999), 60000);
	assert_int_equal(restartwait_next(60000, 60000), 500);
}

/* A reload, while a process that failed waits: its settings may be what was mended. */
static void a_new_configuration_waits_for_nothing(void **state)
{
	struct sidechild c;

	(void)state;
	sidechild_init(&c, "test process", "hsmdkim-none");
	c.wait_ms = RESTARTWAIT_MAX_MS;
	c.start_at_ms = clock_mono_ms() + c.wait_ms;
	assert_true(sidechild_wait_ms(&c) > 0);
	sidechild_replace(&c);
	assert_int_equal(sidechild_wait_ms(&c), 0);
	assert_int_equal(c.wait_ms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_packet_is_no_end),
		cmocka_unit_test(waits_are_doubled_to_a_minute),
		cmocka_unit_test(a_new_configuration_waits_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
