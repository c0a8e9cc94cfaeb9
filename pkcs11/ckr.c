/* The table of return codes. */
#include "pkcs11/ckr.h"

#include "base/attr.h"
#include "pkcs11/cryptoki.h"

#include <stddef.h>

#define ROW(code, class, error, advice)                                                            \
	{                                                                                          \
		code, #code, CKR_CLASS_##class, error, advice                                      \
	}

#define TRY_LATER "it is tried again by itself"
#define ASK_VENDOR "see the log of the token's own software"
#define OUR_BUG "please report this"

/* clang-format off */
static const struct ckr_info rows[] = {
	ROW(CKR_OK, OK, ERR_OK, ""),

	ROW(CKR_OBJECT_HANDLE_INVALID, REFIND, ERR_KEY_MISSING, "was the key deleted on the token?"),
	ROW(CKR_KEY_HANDLE_INVALID, REFIND, ERR_KEY_MISSING, "was the key deleted on the token?"),

	ROW(CKR_SESSION_HANDLE_INVALID, REOPEN, ERR_TOKEN_FAILED, TRY_LATER),
	ROW(CKR_SESSION_CLOSED, REOPEN, ERR_TOKEN_FAILED, TRY_LATER),
	/* the operation before was not ended, or a busy driver says so */
	ROW(CKR_OPERATION_ACTIVE, REOPEN, ERR_TOKEN_FAILED, "one session (sessions=1) helps some drivers"),
	ROW(CKR_OPERATION_NOT_INITIALIZED, REOPEN, ERR_TOKEN_FAILED, TRY_LATER),
	/* busy network HSMs say these, too: one retry, then the token rests */
	ROW(CKR_DEVICE_ERROR, RETRY, ERR_TOKEN_FAILED, ASK_VENDOR),
	ROW(CKR_GENERAL_ERROR, RETRY, ERR_TOKEN_FAILED, ASK_VENDOR),
	ROW(CKR_FUNCTION_FAILED, RETRY, ERR_TOKEN_FAILED, ASK_VENDOR),

	/* not ERR_TOKEN_PIN: no PIN was refused, and that error ends the token until a reload */
	ROW(CKR_USER_NOT_LOGGED_IN, LOGIN, ERR_TOKEN_FAILED, "is PKCS11PinSource (or pin-source=) set?"),

	ROW(CKR_CRYPTOKI_NOT_INITIALIZED, RELOAD, ERR_TOKEN_FAILED, "the signer process restarts"),
	ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, RELOAD, ERR_TOKEN_FAILED, "the signer process restarts"),

	ROW(CKR_DEVICE_REMOVED, FAIL_OVER, ERR_TOKEN_ABSENT, "plug the token in or mend the connection; " TRY_LATER),
	ROW(CKR_TOKEN_NOT_PRESENT, FAIL_OVER, ERR_TOKEN_ABSENT, "plug the token in or mend the connection; " TRY_LATER),
	ROW(CKR_TOKEN_NOT_RECOGNIZED, FAIL_OVER, ERR_TOKEN_ABSENT, "plug the token in or mend the connection; " TRY_LATER),
	ROW(CKR_SLOT_ID_INVALID, FAIL_OVER, ERR_TOKEN_ABSENT, TRY_LATER),
	ROW(CKR_SESSION_COUNT, FAIL_OVER, ERR_TOKEN_BUSY, "lower sessions= here or on other hosts"),
	ROW(CKR_HOST_MEMORY, FAIL_OVER, ERR_NOMEM, TRY_LATER),
	ROW(CKR_DEVICE_MEMORY, FAIL_OVER, ERR_TOKEN_FAILED, "the token is full (an audit log that must be fetched?)"),
	ROW(CKR_FUNCTION_CANCELED, FAIL_OVER, ERR_TOKEN_FAILED, TRY_LATER),
	ROW(CKR_FUNCTION_REJECTED, FAIL_OVER, ERR_TOKEN_FAILED, "the token's policy or a person said no"),

	ROW(CKR_PIN_INCORRECT, PIN, ERR_TOKEN_PIN, "correct the PIN, then reload; it is not tried again before that"),
	ROW(CKR_PIN_INVALID, PIN, ERR_TOKEN_PIN, "correct the PIN, then reload; it is not tried again before that"),
	ROW(CKR_PIN_LEN_RANGE, PIN, ERR_TOKEN_PIN, "correct the PIN, then reload; it is not tried again before that"),
	ROW(CKR_PIN_LOCKED, PIN, ERR_TOKEN_PIN, "unlock it (SO PIN; for a TPM: its owner), then reload"),
	ROW(CKR_PIN_EXPIRED, PIN, ERR_TOKEN_PIN, "set a new PIN, then reload"),
	ROW(CKR_USER_PIN_NOT_INITIALIZED, PIN, ERR_TOKEN_PIN, "set the user PIN on the token, then reload"),

	ROW(CKR_KEY_TYPE_INCONSISTENT, PERMANENT, ERR_KEY_BAD, "the key is of another type than the token said"),
	ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, PERMANENT, ERR_KEY_BAD, "the key may not sign (CKA_SIGN)"),
	ROW(CKR_KEY_SIZE_RANGE, PERMANENT, ERR_KEY_BAD, "the token does not sign with a key of this size"),
	ROW(CKR_MECHANISM_INVALID, PERMANENT, ERR_KEY_BAD, "the token does not offer the mechanism"),
	ROW(CKR_MECHANISM_PARAM_INVALID, PERMANENT, ERR_KEY_BAD, "the token does not offer the mechanism"),
	ROW(CKR_FUNCTION_NOT_SUPPORTED, PERMANENT, ERR_KEY_BAD, "the token does not offer the function"),
	ROW(CKR_ATTRIBUTE_SENSITIVE, PERMANENT, ERR_KEY_BAD, ""),
	ROW(CKR_ATTRIBUTE_TYPE_INVALID, PERMANENT, ERR_KEY_BAD, ""),
	ROW(CKR_ATTRIBUTE_VALUE_INVALID, PERMANENT, ERR_KEY_BAD, ""),
	ROW(CKR_ATTRIBUTE_READ_ONLY, PERMANENT, ERR_KEY_BAD, ""),
	ROW(CKR_TEMPLATE_INCOMPLETE, PERMANENT, ERR_KEY_BAD, ""),
	ROW(CKR_TEMPLATE_INCONSISTENT, PERMANENT, ERR_KEY_BAD, ""),
	ROW(CKR_SESSION_READ_ONLY, PERMANENT, ERR_TOKEN_FAILED, ""),
	ROW(CKR_TOKEN_WRITE_PROTECTED, PERMANENT, ERR_TOKEN_FAILED, "the token is write protected"),
	ROW(CKR_CANT_LOCK, PERMANENT, ERR_MODULE, ""),
	ROW(CKR_NEED_TO_CREATE_THREADS, PERMANENT, ERR_MODULE, ""),

	ROW(CKR_ARGUMENTS_BAD, BUG, ERR_INTERNAL, OUR_BUG),
	ROW(CKR_DATA_INVALID, BUG, ERR_INTERNAL, OUR_BUG),
	ROW(CKR_DATA_LEN_RANGE, BUG, ERR_INTERNAL, OUR_BUG),
	ROW(CKR_BUFFER_TOO_SMALL, BUG, ERR_INTERNAL, OUR_BUG),
	ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED, BUG, ERR_INTERNAL, OUR_BUG),

	/* handled where they are met: success at C_Login and C_Initialize */
	ROW(CKR_USER_ALREADY_LOGGED_IN, OK, ERR_OK, ""),
	ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED, OK, ERR_OK, ""),
};
/* clang-format on */

static const struct ckr_info unknown = { CKR_VENDOR_DEFINED, "CKR_?", CKR_CLASS_RETRY,
					 ERR_TOKEN_FAILED, ASK_VENDOR };

const struct ckr_info *ckr_info(unsigned long code)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return &unknown;
}

enum err ckr_error(const char *function, unsigned long code, struct err_detail *detail)
{
	const struct ckr_info *info = ckr_info(code);

	err_detail_set(detail, "%s: %s (0x%lx)%s%s", function, info->name, code,
		       info->advice[0] != '\0' ? ": " : "", info->advice);
	return info->error == ERR_OK ? ERR_TOKEN_FAILED : info->error;
}

const struct ckr_info *ckr_row(unsigned i)
{
	return i < ARRAY_LEN(rows) ? &rows[i] : NULL;
}
