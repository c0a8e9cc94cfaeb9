/* daemon/message: settings that change what a signed message gets or loses: BodyLengthDB,
 * RemoveOldSignatures, SoftwareHeader, RequiredHeaders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "daemon/reportwire.h"
#include "session_world.h"

#define FROM " a@example.com"

/* A message of ours with two signatures of others. */
static enum answer signed_before(struct session *s)
{
	(void)session_mail(s, "<a@example.com>");
	(void)session_header(s, "DKIM-Signature", " v=1; d=one.example");
	(void)session_header(s, "dkim-signature", " v=1; d=two.example");
	return message_rest(s, FROM);
}

static void old_signatures_go_from_the_bottom(void **state)
{
	struct session *s = begin(ONE_KEY "RemoveOldSignatures yes\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(signed_before(s), ANSWER_ACCEPT);
	assert_string_equal(seen.deleted, "DKIM-Signature 2;DKIM-Signature 1;");
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void old_signatures_stay(void **state)
{
	static const struct {
		const char *settings;
		const char *from_ip;
		enum err error;
		unsigned signatures;
	} rows[] = {
		{ ONE_KEY, "127.0.0.1", ERR_OK, 1 }, /* nobody asked */
		/* not ours */
		{ ONE_KEY "RemoveOldSignatures yes\nMode s\n", "192.0.2.1", ERR_OK, 0 },
		/* no signature for them */
		{ ONE_KEY "RemoveOldSignatures yes\n", "127.0.0.1", ERR_TOKEN_TIMEOUT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct session *s = begin(rows[i].settings, &new_mta);

		fake.sign_error[1] = rows[i].error;
		connect_from(s, rows[i].from_ip);
		(void)signed_before(s);
		assert_string_equal(seen.deleted, "");
		assert_int_equal(seen.headers_count, rows[i].signatures);
		end(s);
	}
}

/* Once for all signatures of the message. */
static void three_signatures_remove_the_old_ones_once(void **state)
{
	struct session *s = begin(THREE_KEYS "RemoveOldSignatures yes\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(signed_before(s), ANSWER_ACCEPT);
	assert_string_equal(seen.deleted, "DKIM-Signature 2;DKIM-Signature 1;");
	assert_int_equal(seen.headers_count, 3);
	end(s);
}

static void a_listed_recipient_gets_a_body_length(void **state)
{
	static const struct {
		const char *list;
		bool length;
	} rows[] = {
		{ "b@example.org", true },  { "B@Example.ORG", true },
		{ "*@example.org", true },  { "x@y.example,b@example.org", true },
		{ "a@example.com", false }, { "other@example.org", false },
		{ "*@example.com", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char settings[512];
		struct session *s;

		(void)snprintf(settings, sizeof(settings), "%sBodyLengthDB csl:%s\n", ONE_KEY,
			       rows[i].list);
		s = begin(settings, &new_mta);
		connect_from(s, "127.0.0.1");
		assert_int_equal(message(s, FROM), ANSWER_ACCEPT);
		assert_int_equal(seen.headers_count, 1);
		/* "Hello" and the end of its line */
		assert_int_equal(strstr(seen.headers[0], "l=7;") != NULL, rows[i].length);
		assert_int_equal(strstr(lines, "QID1: BodyLengthDB matched ") != NULL,
				 rows[i].length);
		end(s);
	}
}

static void the_filter_names_itself_when_asked(void **state)
{
	static const struct {
		const char *settings;
		const char *from;
		bool named;
	} rows[] = {
		{ ONE_KEY "SoftwareHeader yes\n", FROM, true },
		{ ONE_KEY "SoftwareHeader no\n", FROM, false },
		{ ONE_KEY, FROM, false },
		{ ONE_KEY "SoftwareHeader yes\nMode s\n", " a@elsewhere.example", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct session *s = begin(rows[i].settings, &new_mta);

		connect_from(s, "127.0.0.1");
		assert_int_equal(message(s, rows[i].from), ANSWER_ACCEPT);
		if (rows[i].named) {
			assert_non_null(strstr(seen.filter, "hsmdkim Filter v" HSMDKIM_VERSION));
			assert_non_null(strstr(seen.filter, " QID1"));
		} else {
			assert_string_equal(seen.filter, "");
		}
		end(s);
	}
}

static void a_message_without_a_date_is_refused(void **state)
{
	static const struct {
		const char *settings;
		bool date;
		enum answer answer;
	} rows[] = {
		{ ONE_KEY "RequiredHeaders yes\n", false, ANSWER_REJECT },
		{ ONE_KEY "RequiredHeaders yes\n", true, ANSWER_ACCEPT },
		{ ONE_KEY, false, ANSWER_ACCEPT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct session *s = begin(rows[i].settings, &new_mta);

		connect_from(s, "127.0.0.1");
		(void)session_mail(s, "<a@example.com>");
		if (rows[i].date)
			(void)session_header(s, "Date", " Tue, 24 Nov 2026 10:00:00 +0000");
		assert_int_equal(message_rest(s, FROM), rows[i].answer);
		assert_int_equal(seen.headers_count, rows[i].answer == ANSWER_ACCEPT);
		if (rows[i].answer == ANSWER_REJECT)
			assert_non_null(strstr(seen.reply, "exactly one Date field"));
		end(s);
	}
}

/* StrictHeaders: nobody looks at its signatures, so none of them asks for a report. */
static void an_unfit_message_causes_no_report(void **state)
{
	static const char *const from[] = { FROM, " no address", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		struct session *s = begin("Mode v\nStrictHeaders yes\nSendReports yes\n", &new_mta);

		env.reporter = reporter_new();
		assert_non_null(env.reporter);
		connect_from(s, "192.0.2.1");
		(void)session_mail(s, "<a@example.com>");
		(void)session_header(s, "DKIM-Signature", " v=1; d=one.example; r=y");
		(void)session_header(s, "Subject", " two of them");
		(void)message_rest(s, from[i]);
		assert_null(strstr(lines, "failure report"));
		end(s);
		reporter_free(&env.reporter);
	}
}

/* A valid name that is longer in U-labels than in A-labels: whole, never its first 253 bytes. */
static void a_report_is_asked_for_the_whole_domain(void **state)
{
	static const char label[] = "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"
				    "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc.";
	struct session *s = begin("Mode v\nSendReports yes\n", &new_mta);
	static char packet[REPORT_PACKET_BYTES];
	struct report_request request;
	char domain[512];
	size_t domain_len = 0;
	char field[1024];
	int pair[2];
	ssize_t len;

	(void)state;
	while (domain_len < 253)
		domain_len += (size_t)snprintf(domain + domain_len, sizeof(domain) - domain_len,
					       "%s", label);
	(void)snprintf(domain + domain_len, sizeof(domain) - domain_len, "com");
	(void)snprintf(field, sizeof(field),
		       " v=1; a=rsa-sha256; d=%s; s=s; h=from; r=y; t=1; x=2; bh=%s; b=AAAA",
		       domain, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	env.reporter = reporter_new();
	assert_non_null(env.reporter);
	reporter_attach(env.reporter, pair[0]);
	connect_from(s, "192.0.2.1");
	(void)session_mail(s, "<a@example.com>");
	(void)session_header(s, "DKIM-Signature", field);
	(void)message_rest(s, FROM);
	len = recv(pair[1], packet, sizeof(packet), MSG_DONTWAIT);
	assert_true(len > 0);
	assert_int_equal(reportwire_decode(slice_of(packet, (size_t)len), &request), ERR_OK);
	assert_true(slice_starts(request.text[REPORT_DOMAIN], SLICE_LIT("xn--")));
	assert_true(slice_ends(request.text[REPORT_DOMAIN], SLICE_LIT(".com")));
	end(s);
	reporter_free(&env.reporter);
	(void)close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_signatures_go_from_the_bottom),
		cmocka_unit_test(old_signatures_stay),
		cmocka_unit_test(three_signatures_remove_the_old_ones_once),
		cmocka_unit_test(a_listed_recipient_gets_a_body_length),
		cmocka_unit_test(the_filter_names_itself_when_asked),
		cmocka_unit_test(a_message_without_a_date_is_refused),
		cmocka_unit_test(an_unfit_message_causes_no_report),
		cmocka_unit_test(a_report_is_asked_for_the_whole_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
