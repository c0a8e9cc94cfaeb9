/* pkcs11/ckr: every return code that a token can give has a row, and each row is complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "pkcs11/ckr.h"

/* Written out again, from PKCS#11's list and what tokens were seen to do: the number, the rung, and
 * whether mail is answered with "later" (true) or as a fault that someone must mend. */
static const struct {
	unsigned long code;
	enum ckr_class class;
	bool later;
} expected[] = {
	{ 0x02, CKR_CLASS_FAIL_OVER, true },  /* HOST_MEMORY */
	{ 0x03, CKR_CLASS_FAIL_OVER, true },  /* SLOT_ID_INVALID */
	{ 0x05, CKR_CLASS_RETRY, true },      /* GENERAL_ERROR */
	{ 0x06, CKR_CLASS_RETRY, true },      /* FUNCTION_FAILED */
	{ 0x07, CKR_CLASS_BUG, true },	      /* ARGUMENTS_BAD */
	{ 0x0a, CKR_CLASS_PERMANENT, true },  /* CANT_LOCK */
	{ 0x20, CKR_CLASS_BUG, true },	      /* DATA_INVALID */
	{ 0x21, CKR_CLASS_BUG, true },	      /* DATA_LEN_RANGE */
	{ 0x30, CKR_CLASS_RETRY, true },      /* DEVICE_ERROR */
	{ 0x31, CKR_CLASS_FAIL_OVER, true },  /* DEVICE_MEMORY */
	{ 0x32, CKR_CLASS_FAIL_OVER, true },  /* DEVICE_REMOVED */
	{ 0x50, CKR_CLASS_FAIL_OVER, true },  /* FUNCTION_CANCELED */
	{ 0x54, CKR_CLASS_PERMANENT, false }, /* FUNCTION_NOT_SUPPORTED */
	{ 0x60, CKR_CLASS_REFIND, false },    /* KEY_HANDLE_INVALID */
	{ 0x62, CKR_CLASS_PERMANENT, false }, /* KEY_SIZE_RANGE */
	{ 0x63, CKR_CLASS_PERMANENT, false }, /* KEY_TYPE_INCONSISTENT */
	{ 0x68, CKR_CLASS_PERMANENT, false }, /* KEY_FUNCTION_NOT_PERMITTED */
	{ 0x70, CKR_CLASS_PERMANENT, false }, /* MECHANISM_INVALID */
	{ 0x71, CKR_CLASS_PERMANENT, false }, /* MECHANISM_PARAM_INVALID */
	{ 0x82, CKR_CLASS_REFIND, false },    /* OBJECT_HANDLE_INVALID */
	{ 0x90, CKR_CLASS_REOPEN, true },     /* OPERATION_ACTIVE */
	{ 0x91, CKR_CLASS_REOPEN, true },     /* OPERATION_NOT_INITIALIZED */
	{ 0xa0, CKR_CLASS_PIN, true },	      /* PIN_INCORRECT */
	{ 0xa1, CKR_CLASS_PIN, true },	      /* PIN_INVALID */
	{ 0xa2, CKR_CLASS_PIN, true },	      /* PIN_LEN_RANGE */
	{ 0xa3, CKR_CLASS_PIN, true },	      /* PIN_EXPIRED */
	{ 0xa4, CKR_CLASS_PIN, true },	      /* PIN_LOCKED */
	{ 0xb0, CKR_CLASS_REOPEN, true },     /* SESSION_CLOSED */
	{ 0xb1, CKR_CLASS_FAIL_OVER, true },  /* SESSION_COUNT */
	{ 0xb3, CKR_CLASS_REOPEN, true },     /* SESSION_HANDLE_INVALID */
	{ 0xb4, CKR_CLASS_BUG, true },	      /* SESSION_PARALLEL_NOT_SUPPORTED */
	{ 0xb5, CKR_CLASS_PERMANENT, true },  /* SESSION_READ_ONLY */
	{ 0xe0, CKR_CLASS_FAIL_OVER, true },  /* TOKEN_NOT_PRESENT */
	{ 0xe1, CKR_CLASS_FAIL_OVER, true },  /* TOKEN_NOT_RECOGNIZED */
	{ 0xe2, CKR_CLASS_PERMANENT, true },  /* TOKEN_WRITE_PROTECTED */
	{ 0x101, CKR_CLASS_LOGIN, true },     /* USER_NOT_LOGGED_IN */
	{ 0x102, CKR_CLASS_PIN, true },	      /* USER_PIN_NOT_INITIALIZED */
	{ 0x104, CKR_CLASS_RELOAD, true },    /* USER_ANOTHER_ALREADY_LOGGED_IN */
	{ 0x150, CKR_CLASS_BUG, true },	      /* BUFFER_TOO_SMALL */
	{ 0x190, CKR_CLASS_RELOAD, true },    /* CRYPTOKI_NOT_INITIALIZED */
	{ 0x200, CKR_CLASS_FAIL_OVER, true }, /* FUNCTION_REJECTED */
};

static void every_code_has_its_rung(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const struct ckr_info *info = ckr_info(expected[i].code);
		bool perm = err_class(info->error) == ERR_CLASS_PERM;

		assert_true(info->code == expected[i].code);
		assert_int_equal(info->class, expected[i].class);
		assert_int_equal(!perm, expected[i].later);
	}
}

static void success_by_another_name(void **state)
{
	static const unsigned long codes[] = { 0x0, 0x100, 0x191 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_int_equal(ckr_info(codes[i])->class, CKR_CLASS_OK);
		assert_true(ckr_info(codes[i])->code == codes[i]);
	}
}

static void unknown_and_vendor_codes_are_device_errors(void **state)
{
	static const unsigned long codes[] = { 0x80000000ul, 0x80000383ul, 0xfffffffful, 0x04,
					       0x1a1 };
	const struct ckr_info *device = ckr_info(0x30);
	struct err_detail detail;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_int_equal(ckr_info(codes[i])->class, device->class);
		assert_int_equal(ckr_info(codes[i])->error, device->error);
	}
	assert_int_equal(ckr_error("C_Sign", 0x80000383ul, &detail), ERR_TOKEN_FAILED);
	assert_non_null(strstr(detail.text, "C_Sign"));
	assert_non_null(strstr(detail.text, "0x80000383"));
}

static void rows_are_complete_and_single(void **state)
{
	const struct ckr_info *row;

	(void)state;
	for (unsigned i = 0; (row = ckr_row(i)) != NULL; i++) {
		assert_ptr_equal(ckr_info(row->code), row);
		assert_int_equal(strncmp(row->name, "CKR_", 4), 0);
		assert_non_null(row->advice);
		assert_int_equal(row->class == CKR_CLASS_OK, row->error == ERR_OK);
		if (row->class == CKR_CLASS_PIN)
			assert_int_equal(row->error, ERR_TOKEN_PIN);
	}
	assert_true(ckr_row(0) != NULL);
}

static void a_failed_call_is_never_ok(void **state)
{
	const struct ckr_info *row;

	(void)state;
	for (unsigned i = 0; (row = ckr_row(i)) != NULL; i++) {
		struct err_detail detail = { "" };

		assert_int_not_equal(ckr_error("C_Sign", row->code, &detail), ERR_OK);
		assert_int_not_equal(ckr_error("C_Sign", row->code, NULL), ERR_OK);
		assert_non_null(strstr(detail.text, row->name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_its_rung),
		cmocka_unit_test(success_by_another_name),
		cmocka_unit_test(unknown_and_vendor_codes_are_device_errors),
		cmocka_unit_test(rows_are_complete_and_single),
		cmocka_unit_test(a_failed_call_is_never_ok),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
