/*
 * What became of the PINs that were sent to a token: two rows of the TokenTable may mean the same
 * token, and its few attempts are spent once, not once a row. One list a process. All functions may
 * be called from any thread.
 */
#ifndef PKCS11_PINLOG_H
#define PKCS11_PINLOG_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/pin.h"

#include <stdint.h>

struct pinlog_place;

/** Attempts in a row without a clear answer. Zeroed: none. */
struct pin_doubt {
	unsigned count;
	int64_t last_ms; /**< clock_mono_ms() of the last one */
};

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

/** @return what is known of the token's last attempts; place may be NULL */
struct pin_doubt pinlog_doubt(const struct pinlog_place *place);
/** So it is from now on. NULL-safe. */
void pinlog_set_doubt(struct pinlog_place *place, struct pin_doubt doubt);
/** For how many ms no PIN may be sent; 0: one may now. (The number has its limit besides.) */
int64_t pinlog_rest_ms(struct pin_doubt doubt);
/** For tests: another rest than PIN_UNCLEAR_REST_MS. */
void pinlog_set_rest(int64_t rest_ms);

/** What was refused may be tried again, once; what was unclear is forgotten. */
void pinlog_forget(void);

#endif
