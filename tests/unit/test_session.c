/* daemon/session and message: the dialogue in any order, and what is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_world.h"

static void a_message_of_ours_is_signed(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_non_null(strstr(seen.headers[0], "d=example.com;"));
	assert_non_null(strstr(seen.headers[0], "t=1700000000;"));
	assert_string_equal(lines, "QID1: DKIM-Signature field added (s=k1, d=example.com)\n");
	end(s);
}

static void a_known_key_is_not_asked_for(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	fake.known = true;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(fake.opens, 0);
	assert_int_equal(fake.signs, 1);
	assert_non_null(strstr(seen.headers[0], "s=k1;"));
	end(s);
}

static void success_is_silent_without_syslog_success(void **state)
{
	struct session *s =
		begin("KeyTable csl:k1=%:s1:/k\nSigningTable csl:example.com=k1\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_string_equal(lines, "");
	end(s);
}

static void several_messages_on_a_connection_are_independent(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(message(s, " a@example.net"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 2);
	assert_string_equal(seen.headers[0], seen.headers[1]);
	end(s);
}

static void signatures_are_in_flight_together_and_the_last_is_on_top(void **state)
{
	struct session *s = begin(THREE_KEYS, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(fake.signs_before_wait, 3);
	assert_int_equal(seen.headers_count, 3);
	/* each is put above those before it */
	assert_non_null(strstr(seen.headers[0], "s=k1;"));
	assert_non_null(strstr(seen.headers[1], "s=k2;"));
	assert_non_null(strstr(seen.headers[2], "s=k3;"));
	end(s);
}

static void two_from_fields_of_ours_are_rejected(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	(void)session_header(s, "From", " b@example.com");
	assert_int_equal(session_eoh(s, &mta), ANSWER_CONTINUE);
	assert_int_equal(session_eom(s, &mta), ANSWER_REJECT);
	assert_string_equal(seen.reply, "550 5.7.0 DKIM signing error");
	assert_int_equal(fake.opens, 0);
	assert_non_null(strstr(lines, "cannot sign: d=example.com: message has no usable From "
				      "address; rejected (On-SignatureError)"));
	end(s);
}

static void strict_headers_pass_an_unfit_message_unsigned(void **state)
{
	struct session *s = begin(ONE_KEY "Mode s\nStrictHeaders yes\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 0);
	assert_string_equal(lines, "QID1: RFC5322 header requirement error: message does not have "
				   "exactly one Date field; not signed (StrictHeaders)\n");
	(void)session_header(s, "Date", " Tue, 24 Nov 2026 10:00:00 +0000");
	assert_int_equal(message_rest(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void a_header_beyond_the_limit_is_on_security(void **state)
{
	struct session *s = begin(ONE_KEY "MaximumHeaders 200\n", &new_mta);
	char value[300];

	(void)state;
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	(void)session_header(s, "X", value);
	assert_int_equal(session_eom(s, &mta), ANSWER_TEMPFAIL);
	assert_non_null(strstr(lines, "QID1: too much header data"));
	assert_non_null(strstr(lines, "(On-Security)"));
	end(s);
}

static void an_old_mta_gets_its_answer_at_the_end_of_the_header(void **state)
{
	struct session *s = begin(ONE_KEY "Mode s\nLogWhy yes\n", &old_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", "a@example.net");
	assert_int_equal(session_eoh(s, &mta), ANSWER_ACCEPT);
	assert_string_equal(lines, "QID1: no signing table match for 'a@example.net'\n");
	/* the connection goes on */
	assert_int_equal(message(s, "a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void steps_in_any_order_are_survived(void **state)
{
	/* c connect, m mail, r rcpt, h header, f From header, e eoh, b body, E eom, a abort */
	static const char *const orders[] = {
		"E",	    "eE",	"bE",	   "hE",       "aE",	  "eeE",   "mE",
		"cE",	    "mmE",	"ccE",	   "fbeE",     "febfE",	  "mfecE", "mfea",
		"mfe",	    "mf",	"cmfebaE", "cmrfebEE", "faebE",	  "ebbbb", "rE",
		"cmfeccmE", "mfeEmfeE", "aaaa",	   "fEfE",     "mfemfeE",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct session *s = begin(ONE_KEY, i % 2 == 0 ? &new_mta : &old_mta);

		for (const char *step = orders[i]; *step != '\0'; step++) {
			switch (*step) {
			case 'c':
				connect_from(s, "127.0.0.1");
				break;
			case 'm':
				(void)session_mail(s, NULL);
				break;
			case 'r':
				(void)session_rcpt(s, "");
				break;
			case 'h':
				(void)session_header(s, "", "");
				break;
			case 'f':
				(void)session_header(s, "From", "a@example.com");
				break;
			case 'e':
				(void)session_eoh(s, &mta);
				break;
			case 'b':
				(void)session_body(s, "x", 1);
				break;
			case 'E':
				(void)session_eom(s, &mta);
				break;
			default:
				session_abort(s);
				break;
			}
		}
		end(s);
	}
}

static void an_end_without_end_of_header_is_signed_all_the_same(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	(void)session_header(s, "From", " a@example.com");
	assert_int_equal(session_eom(s, &mta), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void an_abort_gives_the_signer_s_work_up(void **state)
{
	struct session *s = begin(THREE_KEYS, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	(void)session_eoh(s, &mta);
	assert_int_equal(fake.jobs, 3);
	assert_int_equal(atomic_load(&env.in_flight), 1);
	session_abort(s);
	assert_int_equal(fake.jobs, 0);
	assert_int_equal(atomic_load(&env.in_flight), 0);
	end(s);
}

static void a_peer_is_passed_untouched(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct session *s = begin(ONE_KEY "PeerList 127.0.0.1\n", &old_mta);

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(session_connect(s, NULL, (const struct sockaddr *)&sin), ANSWER_ACCEPT);
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 0);
	assert_int_equal(fake.opens, 0);
	end(s);
}

static void a_connection_without_negotiation_defers(void **state)
{
	static const struct session_protocol unknown = { .known = false };
	struct session *s = begin(ONE_KEY, &unknown);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	end(s);
}

static void a_message_of_another_generation_keeps_its_tables(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);
	struct settings *settings = settings_new();
	struct snapshot *next;

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	assert_non_null(settings);
	assert_int_equal(snapshot_new(6, settings, files_new_closed(), &next, NULL), ERR_OK);
	snapshot_switch(env.slot, next);
	/* the fake signer wants generation 5 */
	assert_int_equal(session_eom(s, &mta), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void without_a_queue_id_the_lines_say_so(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	seen.queue_id = NULL;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_string_equal(lines,
			    "(unknown-jobid): DKIM-Signature field added (s=k1, d=example.com)\n");
	end(s);
}

static void a_message_that_begins_while_draining_is_not_waited_for(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	(void)session_mail(s, "<>");
	assert_int_equal(atomic_load(&env.in_flight), 1);
	atomic_store(&env.draining, true);
	(void)session_mail(s, "<>");
	assert_int_equal(atomic_load(&env.in_flight), 0);
	atomic_store(&env.draining, false);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_of_ours_is_signed),
		cmocka_unit_test(a_known_key_is_not_asked_for),
		cmocka_unit_test(success_is_silent_without_syslog_success),
		cmocka_unit_test(several_messages_on_a_connection_are_independent),
		cmocka_unit_test(signatures_are_in_flight_together_and_the_last_is_on_top),
		cmocka_unit_test(two_from_fields_of_ours_are_rejected),
		cmocka_unit_test(strict_headers_pass_an_unfit_message_unsigned),
		cmocka_unit_test(a_header_beyond_the_limit_is_on_security),
		cmocka_unit_test(an_old_mta_gets_its_answer_at_the_end_of_the_header),
		cmocka_unit_test(steps_in_any_order_are_survived),
		cmocka_unit_test(an_end_without_end_of_header_is_signed_all_the_same),
		cmocka_unit_test(an_abort_gives_the_signer_s_work_up),
		cmocka_unit_test(a_peer_is_passed_untouched),
		cmocka_unit_test(a_connection_without_negotiation_defers),
		cmocka_unit_test(a_message_of_another_generation_keeps_its_tables),
		cmocka_unit_test(without_a_queue_id_the_lines_say_so),
		cmocka_unit_test(a_message_that_begins_while_draining_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
