/* A PIN in memory that is never swapped, never dumped, and wiped when it goes. */
#ifndef PKCS11_PIN_H
#define PKCS11_PIN_H

#include "base/err.h"
#include "base/slice.h"

/*
 * A token locks after a few wrong PINs, most after three, and counts them whatever its module makes
 * of the answer: a code that says nothing (CKR_GENERAL_ERROR), a crash, a hang. So an attempt
 * without a clear answer may have been a wrong PIN. At most PIN_UNCLEAR_MAX of them in a row are
 * made, PIN_UNCLEAR_REST_MS apart, whichever row of the TokenTable and whichever process makes
 * them; then the PIN counts as refused, and one attempt of three is left for the operator. A login
 * that succeeds begins the count anew, and so does a reload. An answer behind which the token does
 * not even answer C_GetTokenInfo is an outage and counts as none: it is tried again by itself.
 */
#define PIN_UNCLEAR_MAX 2u
#define PIN_UNCLEAR_REST_MS 10000

struct pin;

/**
 * From the bytes of a PIN file or of a terminal line: one trailing CR, LF or CRLF is cut, nothing
 * else.
 * @return ERR_SYNTAX (empty, a NUL, more than LIMIT_PIN_BYTES, and what an editor leaves there and
 * would cost an attempt: a byte order mark, a second line) with a detail, ERR_NOMEM
 */
NODISCARD enum err pin_new(struct slice bytes, struct pin **ret_pin, struct err_detail *detail);
void pin_free(struct pin **pin);

/** Is there a blank at its begin or end? */
bool pin_has_outer_blank(const struct pin *pin);

struct slice pin_bytes(const struct pin *pin);

/** SHA-256 of salt and PIN: to know a refused PIN again without keeping it. 32 bytes. */
void pin_digest(const struct pin *pin, struct slice salt, unsigned char out[static 32]);

#endif
