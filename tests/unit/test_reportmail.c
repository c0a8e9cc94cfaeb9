/* daemon/reportwire, reportmail, reportlimit: requests that are nonsense, mail that wants to be
 * more than a part of a report, floods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/reportlimit.h"
#include "daemon/reportmail.h"

#define BOUNDARY "dkimreport0123456789abcdef"
#define LONG_BYTES ((size_t)2 * REPORT_HEADER_BYTES)

/* ---- the packet ---- */

static struct report_request plain(void)
{
	return (struct report_request){
		.arrival_s = 1764000000,
		.reason = DKIM_REASON_BODY_CHANGED,
		.delivery = REPORT_REJECTED,
		.header_cut = true,
		.text = { SLICE_INIT("4Qx"), SLICE_INIT("mx.example.net"),
			  SLICE_INIT("example.com"), SLICE_INIT("sel"), SLICE_INIT("@example.com"),
			  SLICE_INIT("192.0.2.1"), SLICE_INIT("a@example.com"),
			  SLICE_INIT("mx.example.net; dkim=fail\n\theader.d=example.com"),
			  SLICE_INIT("From: a@example.com\r\nSubject: x\r\n") },
	};
}

static void a_packet_comes_as_it_went(void **state)
{
	AUTO(buf_done) struct buf packet;
	struct report_request sent = plain();
	struct report_request got;

	(void)state;
	buf_init(&packet, REPORT_PACKET_BYTES);
	assert_int_equal(reportwire_encode(&sent, &packet), ERR_OK);
	assert_int_equal(reportwire_decode(buf_slice(&packet), &got), ERR_OK);
	assert_int_equal(got.arrival_s, sent.arrival_s);
	assert_int_equal(got.reason, sent.reason);
	assert_int_equal(got.delivery, sent.delivery);
	assert_true(got.header_cut);
	for (size_t i = 0; i < REPORT_TEXT_COUNT; i++)
		assert_true(slice_eq(got.text[i], sent.text[i]));
}

static void long_texts_are_cut(void **state)
{
	AUTO(buf_done) struct buf packet;
	struct report_request request = { .reason = DKIM_REASON_BAD_SIGNATURE };
	char *text = malloc(LONG_BYTES);
	struct report_request got;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', LONG_BYTES);
	for (size_t i = 0; i < REPORT_TEXT_COUNT; i++)
		request.text[i] = slice_of(text, LONG_BYTES);
	request.text[REPORT_DOMAIN] = slice_of(text, 253);
	buf_init(&packet, REPORT_PACKET_BYTES);
	assert_int_equal(reportwire_encode(&request, &packet), ERR_OK);
	assert_int_equal(reportwire_decode(buf_slice(&packet), &got), ERR_OK);
	assert_int_equal(got.text[REPORT_HEADER].len, REPORT_HEADER_BYTES);
	assert_int_equal(got.text[REPORT_DOMAIN].len, 253);
	/* What is left of a longer name may be another one, and somebody's. */
	request.text[REPORT_DOMAIN] = slice_of(text, 254);
	buf_reset(&packet);
	assert_int_equal(reportwire_encode(&request, &packet), ERR_LIMIT);
	free(text);
}

/* Every length, and every byte of the head set to 0xff: refused, or read within its bounds. */
static void nonsense_is_refused(void **state)
{
	AUTO(buf_done) struct buf packet;
	struct report_request request = plain();
	struct slice whole;

	(void)state;
	buf_init(&packet, REPORT_PACKET_BYTES);
	assert_int_equal(reportwire_encode(&request, &packet), ERR_OK);
	whole = buf_slice(&packet);
	for (size_t len = 0; len <= whole.len + 1; len++) {
		char *copy = calloc(1, len + 1); /* exactly as long: ASan sees one byte too far */

		assert_non_null(copy);
		memcpy(copy, whole.ptr, len < whole.len ? len : whole.len);
		assert_int_equal(reportwire_decode(slice_of(copy, len), &request),
				 len == whole.len ? ERR_OK : ERR_PROTOCOL);
		free(copy);
	}
	for (size_t i = 8; i < 56; i++) { /* behind the time */
		char *copy = slice_dup(whole);

		assert_non_null(copy);
		copy[i] = '\xff';
		assert_int_equal(reportwire_decode(slice_of(copy, whole.len), &request),
				 ERR_PROTOCOL);
		free(copy);
	}
}

/* ---- the message ---- */

static char *write_report(const struct report_request *request)
{
	const struct reportmail mail = {
		.from = "Admin <postmaster@example.net>",
		.bcc = "tom@example.net",
		.local = "dkim",
		.domain = "example.com",
		.boundary = BOUNDARY,
		.now_s = 1764000060,
		.request = request,
	};
	AUTO(buf_done) struct buf out;
	char *text;

	buf_init(&out, REPORTMAIL_BYTES);
	assert_int_equal(reportmail_write(&mail, &out), ERR_OK);
	text = slice_dup(buf_slice(&out));
	assert_non_null(text);
	return text;
}

/* Lines of the text that start so. */
static size_t count_lines(const char *text, const char *start)
{
	struct slice rest = slice_str(text);
	struct slice line;
	size_t count = 0;

	while (slice_next(&rest, '\n', &line))
		count += slice_starts(line, slice_str(start)) ? 1 : 0;
	return count;
}

static void a_report(void **state)
{
	static const char *const lines[] = {
		"From: Admin <postmaster@example.net>",
		"To: dkim@example.com",
		"Bcc: tom@example.net",
		"Date: Mon, 24 Nov 2025 16:01:00 +0000",
		"Subject: DKIM failure report for 4Qx",
		"Auto-Submitted: auto-generated",
		"Feedback-Type: auth-failure",
		"Auth-Failure: bodyhash (body hash did not verify)",
		"Original-Mail-From: <a@example.com>",
		"Arrival-Date: Mon, 24 Nov 2025 16:00:00 +0000",
		"Authentication-Results: mx.example.net; dkim=fail header.d=example.com",
		"Delivery-Result: reject",
		"Source-IP: 192.0.2.1",
		"From: a@example.com",
		"Content-Type: text/rfc822-headers",
	};
	struct report_request request = plain();
	char *text = write_report(&request);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (count_lines(text, lines[i]) != 1)
			fail_msg("not once: %s\n%s", lines[i], text);
	assert_int_equal(count_lines(text, "--" BOUNDARY), 4);
	assert_null(strchr(text, '\r'));
	free(text);
}

static void words_of_failures(void **state)
{
	struct report_request request = plain();
	char *text;

	(void)state;
	request.reason = DKIM_REASON_KEY_REVOKED;
	text = write_report(&request);
	assert_int_equal(count_lines(text, "Auth-Failure: revoked (key revoked)"), 1);
	free(text);
	request.reason = DKIM_REASON_SIG_EXPIRED;
	text = write_report(&request);
	assert_int_equal(count_lines(text, "Auth-Failure: signature (signature expired)"), 1);
	free(text);
}

/* Whatever stands in a text, the report has the same lines. */
static void texts_add_no_lines(void **state)
{
	static const char evil[] =
		"x\r\nBcc: victim@example.org\n\n--" BOUNDARY "\n\n.\n\0\x7f\xc3";
	struct report_request request = plain();
	char *good = write_report(&request);
	size_t lines = count_lines(good, "");

	(void)state;
	for (size_t i = 0; i < REPORT_HEADER; i++) {
		char *text;

		if (i == REPORT_DOMAIN)
			continue; /* not used: mail.domain is */
		request = plain();
		request.text[i] = slice_of(evil, sizeof(evil) - 1);
		text = write_report(&request);
		assert_int_equal(count_lines(text, ""), lines);
		assert_int_equal(count_lines(text, "Bcc:"), 1);
		assert_int_equal(count_lines(text, "."), 0);
		free(text);
	}
	free(good);
}

/* A header that is no plain text goes encoded: nothing in it can be a line of the report's. */
static void headers_stay_in_their_part(void **state)
{
	static const struct {
		const char *header;
		const char *written;
	} rows[] = {
		{ "A: b\r\n c\r\n", "A: b\n c\n" },	   { "A: \303\244=\r\n", "A: =C3=A4=3D\n" },
		{ "A: b\nBcc: c\r\n", "A: b=0ABcc: c\n" }, { "A: b\rc\r\n", "A: b=0Dc\n" },
		{ "A: b\r\n.\r\n", "A: b\n=2E\n" },	   { "A: \001b \r\n", "A: =01b=20\n" },
	};
	struct report_request request = plain();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *text;
		const char *part;

		request.text[REPORT_HEADER] = slice_str(rows[i].header);
		text = write_report(&request);
		part = strstr(text, "text/rfc822-headers");
		assert_non_null(part);
		part = strstr(part, "\n\n");
		assert_non_null(part);
		assert_memory_equal(part + 2, rows[i].written, strlen(rows[i].written));
		assert_string_equal(part + 2 + strlen(rows[i].written), "\n--" BOUNDARY "--\n");
		free(text);
	}
}

/* The longest request of the worst bytes has room, in lines that mail may have. */
static void the_worst_header_has_room(void **state)
{
	static char worst[REPORT_HEADER_BYTES];
	struct report_request request = plain();
	struct slice rest;
	struct slice line;
	char *text;

	(void)state;
	memset(worst, '\xff', sizeof(worst));
	request.text[REPORT_HEADER] = slice_of(worst, sizeof(worst));
	text = write_report(&request);
	rest = slice_str(text);
	while (slice_next(&rest, '\n', &line))
		assert_true(line.len <= 998);
	free(text);
	memset(worst, 'x', sizeof(worst));
	text = write_report(&request);
	rest = slice_str(text);
	while (slice_next(&rest, '\n', &line))
		assert_true(line.len <= 998);
	free(text);
}

/* Blanks count, too. */
static void long_results_stay_in_a_line(void **state)
{
	static char results[4000];
	struct report_request request = plain();
	struct slice rest;
	struct slice line;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(results); i++)
		results[i] = i % 2 == 0 ? 'x' : '\n';
	request.text[REPORT_RESULTS] = slice_of(results, sizeof(results));
	text = write_report(&request);
	rest = slice_str(text);
	while (slice_next(&rest, '\n', &line))
		assert_true(line.len <= 998);
	free(text);
}

static void a_time_that_is_none(void **state)
{
	struct report_request request = plain();
	char *text;

	(void)state;
	request.arrival_s = INT64_MAX;
	text = write_report(&request);
	assert_int_equal(count_lines(text, "Arrival-Date:"), 0);
	free(text);
	request.arrival_s = INT64_MIN;
	text = write_report(&request);
	assert_int_equal(count_lines(text, "Arrival-Date:"), 0);
	free(text);
}

/* ---- the limit ---- */

static void one_of_a_domain_and_kind(void **state)
{
	static struct reportlimit_event events[100];
	struct reportlimit limit = { .period_ms = 600, .count = 100, .events = events };
	struct slice one = SLICE_LIT("one.example");
	struct slice two = SLICE_LIT("two.example");

	(void)state;
	assert_true(reportlimit_take(&limit, one, 1, 0));
	assert_false(reportlimit_take(&limit, one, 1, 599));
	assert_true(reportlimit_take(&limit, one, 2, 599));
	assert_true(reportlimit_take(&limit, two, 1, 599));
	assert_true(reportlimit_take(&limit, one, 1, 600));
	assert_false(reportlimit_take(&limit, one, 1, 1199));
}

static void so_many_in_all(void **state)
{
	struct reportlimit_event events[3];
	struct reportlimit limit = { .period_ms = 1000, .count = 3, .events = events };

	(void)state;
	for (int64_t at_ms = 0; at_ms < 3; at_ms++)
		assert_true(reportlimit_take(&limit, SLICE_LIT(""), 0, at_ms));
	assert_false(reportlimit_take(&limit, SLICE_LIT(""), 0, 999));
	assert_true(reportlimit_take(&limit, SLICE_LIT(""), 0, 1000));
	assert_false(reportlimit_take(&limit, SLICE_LIT(""), 0, 1000));
	assert_true(reportlimit_take(&limit, SLICE_LIT(""), 0, 1001));
}

/* A flood of names that are all different: never more than count in any period. */
static void a_flood(void **state)
{
	static struct reportlimit_event events[50];
	struct reportlimit limit = { .period_ms = 1000, .count = 50, .events = events };
	unsigned taken = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "d%d.example", i);
		taken += reportlimit_take(&limit, slice_str(name), 1, i) ? 1 : 0;
	}
	assert_int_equal(taken, 500); /* 10 periods */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_comes_as_it_went),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_report),
		cmocka_unit_test(words_of_failures),
		cmocka_unit_test(texts_add_no_lines),
		cmocka_unit_test(headers_stay_in_their_part),
		cmocka_unit_test(the_worst_header_has_room),
		cmocka_unit_test(long_results_stay_in_a_line),
		cmocka_unit_test(a_time_that_is_none),
		cmocka_unit_test(one_of_a_domain_and_kind),
		cmocka_unit_test(so_many_in_all),
		cmocka_unit_test(a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
