/* What a Cryptoki return code means for a signer: one table, with the reason in each row. */
#ifndef PKCS11_CKR_H
#define PKCS11_CKR_H

#include "base/err.h"

/** The rung of the recovery ladder on which a code is answered. */
enum ckr_class {
	CKR_CLASS_OK,
	CKR_CLASS_REFIND,    /**< the object handle is stale: look the key up again */
	CKR_CLASS_REOPEN,    /**< the session is lost: open another, try once */
	CKR_CLASS_RETRY,     /**< a fault of the moment, perhaps: once more, in a new session */
	CKR_CLASS_LOGIN,     /**< nobody is logged in any more: log in once for all sessions */
	CKR_CLASS_RELOAD,    /**< only a new process with a fresh C_Initialize cures it */
	CKR_CLASS_FAIL_OVER, /**< the token is away or full: another one, or later */
	CKR_CLASS_PIN,	     /**< the PIN was refused or is locked: never again by ourselves */
	CKR_CLASS_PERMANENT, /**< this key can't do this: an operator must act */
	CKR_CLASS_BUG,	     /**< we called it wrongly */
};

struct ckr_info {
	unsigned long code;
	const char *name; /**< "CKR_DEVICE_ERROR" */
	enum ckr_class class;
	enum err error;	    /**< what the caller's caller gets when recovery fails */
	const char *advice; /**< for the log: what an operator can do; "" when nothing */
};

/** @return the row; unknown and vendor codes have the row of CKR_DEVICE_ERROR under the name
 * "CKR_?" */
const struct ckr_info *ckr_info(unsigned long code);

/** "C_Sign: CKR_DEVICE_ERROR (0x30): advice" into the detail (which may be NULL). @return the row's
 * error */
enum err ckr_error(const char *function, unsigned long code, struct err_detail *detail);

/** For the table test: the i-th row, NULL behind the last. */
const struct ckr_info *ckr_row(unsigned i);

#endif
