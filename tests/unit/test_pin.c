/* pkcs11/pin: what is cut from a PIN file, and what is not a PIN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/limits.h"
#include "pkcs11/pin.h"

static void one_line_end_is_cut_and_nothing_else(void **state)
{
	static const struct {
		struct slice file;
		struct slice pin;
	} rows[] = {
		{ SLICE_INIT("1234"), SLICE_INIT("1234") },
		{ SLICE_INIT("1234\n"), SLICE_INIT("1234") },
		{ SLICE_INIT("1234\r\n"), SLICE_INIT("1234") },
		{ SLICE_INIT("1234\r"), SLICE_INIT("1234") },
		{ SLICE_INIT(" 12 34 \n"), SLICE_INIT(" 12 34 ") },
		{ SLICE_INIT("user:pass:word"), SLICE_INIT("user:pass:word") },
		{ SLICE_INIT("p\xc3\xa4ss\n"), SLICE_INIT("p\xc3\xa4ss") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pin *pin = NULL;

		assert_int_equal(pin_new(rows[i].file, &pin, NULL), ERR_OK);
		assert_true(slice_eq(pin_bytes(pin), rows[i].pin));
		assert_int_equal(pin_has_outer_blank(pin), rows[i].file.ptr[0] == ' ');
		pin_free(&pin);
		assert_null(pin);
	}
}

static void what_is_no_pin_is_refused_without_showing_it(void **state)
{
	static char bytes[LIMIT_PIN_BYTES + 2];
	static const struct slice rows[] = {
		SLICE_INIT(""),
		SLICE_INIT("\n"),
		SLICE_INIT("\r\n"),
		SLICE_INIT("4711\0"),
		SLICE_INIT("\xef\xbb\xbf"
			   "4711\n"),
		SLICE_INIT("4711\n\n"),
		SLICE_INIT("4711\nsecond line\n"),
		SLICE_INIT("4711\r4712"),
		SLICE_INIT("47\0"
			   "11\n"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };
		struct pin *pin = NULL;

		assert_int_equal(pin_new(rows[i], &pin, &detail), ERR_SYNTAX);
		assert_null(pin);
		assert_true(detail.text[0] != '\0');
		assert_null(strstr(detail.text, "47"));
	}
	memset(bytes, '7', sizeof(bytes));
	for (size_t len = LIMIT_PIN_BYTES; len <= LIMIT_PIN_BYTES + 1; len++) {
		struct pin *pin = NULL;

		assert_int_equal(pin_new(slice_of(bytes, len), &pin, NULL),
				 len <= LIMIT_PIN_BYTES ? ERR_OK : ERR_SYNTAX);
		pin_free(&pin);
	}
}

static void freeing_nothing_is_allowed(void **state)
{
	struct pin *none = NULL;

	(void)state;
	pin_free(NULL);
	pin_free(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_end_is_cut_and_nothing_else),
		cmocka_unit_test(what_is_no_pin_is_refused_without_showing_it),
		cmocka_unit_test(freeing_nothing_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
