/* daemon/required: how often header fields may be there, for RequiredHeaders and StrictHeaders. */
#include "daemon/required.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* @param names of a message, in order, separated by blanks */
static bool check(const char *names, bool strict, char *text)
{
	AUTO(arena_free) struct arena *arena = arena_new((size_t)64 * 1024);
	struct hdrstore *headers = NULL;
	struct slice rest = slice_str(names);
	struct slice name;

	assert_non_null(arena);
	assert_int_equal(hdrstore_new(arena, 4096, &headers), ERR_OK);
	while (slice_next(&rest, ' ', &name))
		assert_int_equal(hdrstore_add(headers, name, SLICE_LIT("x"), false), ERR_OK);
	return required_headers_ok(headers, strict, text);
}

static void date_and_from_are_needed_once(void **state)
{
	char text[REQUIRED_TEXT_BYTES] = "";

	(void)state;
	assert_true(check("from DATE", false, text));
	assert_true(check("From Date Subject To Cc Sender", true, text));
	assert_false(check("From", false, text));
	assert_string_equal(text, "message does not have exactly one Date field");
	assert_false(check("Date From Date", true, text));
	assert_string_equal(text, "message does not have exactly one Date field");
	assert_false(check("Date From From", true, text));
	assert_string_equal(text, "message does not have exactly one From field");
	assert_false(check("Date", false, text));
	assert_string_equal(text, "message does not have exactly one From field");
}

static void the_others_are_there_once_at_most(void **state)
{
	static const char *const doubled[] = { "Reply-To Reply-To",
					       "To to",
					       "Cc CC",
					       "Bcc Bcc",
					       "Message-ID Message-Id",
					       "In-Reply-To In-Reply-To",
					       "References References",
					       "Subject Subject" };
	char text[REQUIRED_TEXT_BYTES] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(doubled); i++) {
		char names[80];

		(void)snprintf(names, sizeof(names), "Date From %s", doubled[i]);
		assert_false(check(names, false, text));
		assert_memory_equal(text, "message has multiple ", 21);
		assert_false(check(names, true, text));
	}
}

static void sender_is_counted_by_strict_headers_only(void **state)
{
	char text[REQUIRED_TEXT_BYTES] = "";

	(void)state;
	assert_true(check("Date From Sender Sender", false, text));
	assert_false(check("Date From Sender Sender", true, text));
	assert_string_equal(text, "message has multiple Sender fields");
}

static void other_fields_are_not_counted(void **state)
{
	char text[REQUIRED_TEXT_BYTES] = "";

	(void)state;
	assert_true(check("Date From Received Received Comments Comments Resent-From Resent-From "
			  "X-From X-From",
			  true, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(date_and_from_are_needed_once),
		cmocka_unit_test(the_others_are_there_once_at_most),
		cmocka_unit_test(sender_is_counted_by_strict_headers_only),
		cmocka_unit_test(other_fields_are_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
