/*
 * PINs that were refused, by token: two rows of the TokenTable may mean the same token, and its few
 * attempts are spent once, not once a row. One list a process. All functions may be called from any
 * thread.
 */
#ifndef PKCS11_PINLOG_H
#define PKCS11_PINLOG_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/pin.h"

struct pinlog_place;

/**
 * Wait for the turn to send a PIN to this token: no two are under way at once.
 * @return the token's place, to be left; NULL when memory is short
 */
NODISCARD struct pinlog_place *pinlog_enter(const char *module_path, CK_SLOT_ID slot,
					    const CK_TOKEN_INFO *info);
/** NULL-safe. */
void pinlog_leave(struct pinlog_place *place);

/** @return true: the token has refused this very PIN; with the detail of then. NULL-safe. */
bool pinlog_refused(const struct pinlog_place *place, const struct pin *pin,
		    struct err_detail *detail);
/** It has just done so. NULL-safe. */
void pinlog_note(struct pinlog_place *place, const struct pin *pin,
		 const struct err_detail *detail);

/** What was refused may be tried again, once. */
void pinlog_forget(void);

#endif
