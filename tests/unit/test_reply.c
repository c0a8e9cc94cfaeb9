/* daemon/reply: every error has an answer, and by default none lets a message leave unsigned. */
#include "daemon/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void by_default_no_error_lets_a_message_leave_unsigned(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	assert_non_null(s);
	assert_int_equal(settings_finish(s, NULL, NULL), ERR_OK);
	for (int e = ERR_OK + 1; e < ERR_COUNT; e++) {
		enum policy p = policy_for_signing((enum err)e);
		struct reply r = reply_for(p, policy_action(p, s));

		assert_true(r.answer == ANSWER_TEMPFAIL || r.answer == ANSWER_REJECT);
		assert_int_equal(r.code[0], r.answer == ANSWER_TEMPFAIL ? '4' : '5');
		assert_int_equal(r.xcode[0], r.code[0]);
		assert_true(r.text[0] != '\0');
		assert_false(r.quarantine);
	}
	settings_free(&s);
}

static void what_may_pass_when_tried_again_is_never_rejected_by_default(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	assert_non_null(s);
	for (int e = ERR_OK + 1; e < ERR_COUNT; e++) {
		enum policy p = policy_for_signing((enum err)e);

		if (err_class((enum err)e) != ERR_CLASS_PERM)
			assert_int_equal(policy_action(p, s), ACTION_TEMPFAIL);
	}
	settings_free(&s);
}

static void each_error_goes_to_its_setting(void **state)
{
	static const struct {
		enum err err;
		const char *setting;
	} cases[] = {
		{ ERR_TIMEOUT, "On-TokenFailure" },
		{ ERR_BUSY, "On-TokenFailure" },
		{ ERR_PEER_LOST, "On-TokenFailure" },
		{ ERR_TOKEN_TIMEOUT, "On-TokenFailure" },
		{ ERR_TOKEN_ABSENT, "On-TokenFailure" },
		{ ERR_TOKEN_PIN, "On-TokenFailure" },
		{ ERR_TOKEN_LIED, "On-TokenFailure" },
		{ ERR_MODULE, "On-TokenFailure" },
		{ ERR_KEY_UNKNOWN, "as always without the key" },
		{ ERR_KEY_MISSING, "as always without the key" },
		{ ERR_KEY_BAD, "On-InternalError" },
		{ ERR_NOMEM, "On-InternalError" },
		{ ERR_CRYPTO, "On-InternalError" },
		{ ERR_INTERNAL, "On-InternalError" },
		{ ERR_NO_SENDER, "On-SignatureError" },
		{ ERR_LIMIT, "On-SignatureError" },
		{ ERR_SYNTAX, "On-SignatureError" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(policy_name(policy_for_signing(cases[i].err)),
				    cases[i].setting);
}

static void a_missing_key_defers_whatever_the_settings_say(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	assert_non_null(s);
	s->on_internal_error = ACTION_ACCEPT;
	assert_int_equal(policy_action(policy_for_signing(ERR_KEY_MISSING), s), ACTION_TEMPFAIL);
	assert_int_equal(policy_action(policy_for_signing(ERR_KEY_BAD), s), ACTION_ACCEPT);
	settings_free(&s);
}

static void the_settings_decide(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	assert_non_null(s);
	assert_int_equal(
		settings_set(s, SLICE_LIT("On-TokenFailure"), SLICE_LIT("reject"), NULL, NULL),
		ERR_OK);
	assert_int_equal(
		settings_set(s, SLICE_LIT("On-DNSError"), SLICE_LIT("discard"), NULL, NULL),
		ERR_OK);
	assert_int_equal(policy_action(POLICY_TOKEN_FAILURE, s), ACTION_REJECT);
	assert_int_equal(policy_action(POLICY_DNS_ERROR, s), ACTION_DISCARD);
	assert_int_equal(policy_action(POLICY_INTERNAL_ERROR, s), ACTION_TEMPFAIL);
	assert_int_equal(policy_action(POLICY_NO_SIGNATURE, s), ACTION_ACCEPT);
	settings_free(&s);
}

static void each_action_has_its_answer(void **state)
{
	static const struct {
		enum settings_action action;
		enum answer answer;
		const char *code;
		const char *xcode;
		bool quarantine;
	} cases[] = {
		{ ACTION_ACCEPT, ANSWER_ACCEPT, NULL, NULL, false },
		{ ACTION_DISCARD, ANSWER_DISCARD, NULL, NULL, false },
		{ ACTION_QUARANTINE, ANSWER_ACCEPT, NULL, NULL, true },
		{ ACTION_REJECT, ANSWER_REJECT, "550", "5.7.0", false },
		{ ACTION_TEMPFAIL, ANSWER_TEMPFAIL, "451", "4.7.0", false },
		{ ACTION_UNSET, ANSWER_TEMPFAIL, "451", "4.7.0", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct reply r = reply_for(POLICY_TOKEN_FAILURE, cases[i].action);

		assert_int_equal(r.answer, cases[i].answer);
		assert_int_equal(r.quarantine, cases[i].quarantine);
		if (cases[i].code == NULL) {
			assert_null(r.code);
			continue;
		}
		assert_string_equal(r.code, cases[i].code);
		assert_string_equal(r.xcode, cases[i].xcode);
		assert_string_equal(r.text, "resource unavailable");
	}
	assert_string_equal(reply_for(POLICY_DNS_ERROR, ACTION_TEMPFAIL).xcode, "4.7.5");
}

static void every_error_has_advice_and_every_action_a_word(void **state)
{
	(void)state;
	for (int e = ERR_OK; e < ERR_COUNT; e++)
		assert_true(reply_advice((enum err)e)[0] != '\0');
	assert_string_equal(reply_advice((enum err)9999), "please report this");
	assert_string_equal(reply_outcome(ACTION_TEMPFAIL, true), "deferred");
	assert_string_equal(reply_outcome(ACTION_ACCEPT, true), "passed on unsigned");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_no_error_lets_a_message_leave_unsigned),
		cmocka_unit_test(what_may_pass_when_tried_again_is_never_rejected_by_default),
		cmocka_unit_test(each_error_goes_to_its_setting),
		cmocka_unit_test(a_missing_key_defers_whatever_the_settings_say),
		cmocka_unit_test(the_settings_decide),
		cmocka_unit_test(each_action_has_its_answer),
		cmocka_unit_test(every_error_has_advice_and_every_action_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
