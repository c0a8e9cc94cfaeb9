/* daemon/session and message: what the MTA is told, and what is logged, when a signature cannot be
 * made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_world.h"

static void a_token_that_fails_defers_and_says_why(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[1] = ERR_TOKEN_TIMEOUT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	assert_string_equal(seen.reply, "451 4.7.0 resource unavailable");
	assert_string_equal(lines, "QID1: cannot sign: d=example.com s=k1 key=k1: token did not "
				   "answer in time; deferred (On-TokenFailure); see whether the "
				   "token hangs or is overloaded\n");
	/* and the next one is signed */
	fake.sign_error[1] = ERR_OK;
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void a_key_that_cannot_be_opened_defers_with_the_signers_words(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.open_error[1] = ERR_KEY_MISSING;
	fake.open_detail = "no object \"x\" on\ntoken";
	fake.open_names = (struct sigkey_names){ "signs.example", "s\n1" };
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_string_equal(seen.reply, "451 4.7.0 internal DKIM error");
	assert_non_null(strstr(lines, "QID1: error loading key 'k1'\n"));
	assert_non_null(strstr(lines, "d=signs.example s=s\\x0a1 key=k1: private key not found: "
				      "no object \"x\" on\\x0atoken; deferred (as always without "
				      "the key)"));
	end(s);
}

static void a_key_nobody_can_name_is_logged_with_the_from_domain(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.open_error[1] = ERR_KEY_UNKNOWN;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_non_null(strstr(lines, "d=example.com s=? key=k1: key is not in the KeyTable"));
	end(s);
}

static void an_open_that_timed_out_during_a_long_body_is_asked_again(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.open_error[1] = ERR_TIMEOUT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(fake.opens, 2);
	end(s);
}

static void one_of_three_that_fails_defers_the_message(void **state)
{
	struct session *s = begin(THREE_KEYS, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[2] = ERR_TOKEN_ABSENT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	assert_non_null(strstr(lines, "key=k2: token is not present"));
	assert_null(strstr(lines, "field added"));
	end(s);
}

static void with_accept_the_signatures_that_were_made_are_put_in(void **state)
{
	struct session *s = begin(THREE_KEYS "On-TokenFailure accept\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[2] = ERR_TOKEN_ABSENT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 2);
	assert_non_null(strstr(lines, "key=k2: token is not present; passed on unsigned "
				      "(On-TokenFailure)"));
	end(s);
}

static void what_one_setting_forbids_another_does_not_allow(void **state)
{
	struct session *s = begin(THREE_KEYS "On-TokenFailure accept\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[1] = ERR_TOKEN_ABSENT;
	fake.open_error[3] = ERR_KEY_BAD;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	assert_string_equal(seen.reply, "451 4.7.0 internal DKIM error");
	end(s);
}

static void quarantine_asks_the_mta(void **state)
{
	struct session *s = begin(ONE_KEY "On-TokenFailure quarantine\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[1] = ERR_TOKEN_LIED;
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_string_equal(seen.quarantined, "resource unavailable");
	end(s);
}

static void a_header_field_that_the_mta_refuses_defers(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	seen.refuse_header = true;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_null(strstr(lines, "field added"));
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_that_fails_defers_and_says_why),
		cmocka_unit_test(a_key_that_cannot_be_opened_defers_with_the_signers_words),
		cmocka_unit_test(a_key_nobody_can_name_is_logged_with_the_from_domain),
		cmocka_unit_test(an_open_that_timed_out_during_a_long_body_is_asked_again),
		cmocka_unit_test(one_of_three_that_fails_defers_the_message),
		cmocka_unit_test(with_accept_the_signatures_that_were_made_are_put_in),
		cmocka_unit_test(what_one_setting_forbids_another_does_not_allow),
		cmocka_unit_test(quarantine_asks_the_mta),
		cmocka_unit_test(a_header_field_that_the_mta_refuses_defers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
