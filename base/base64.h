/* Base64, RFC 4648 section 4: the form of b=, bh= and p= (RFC 6376 section 2.8). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/** Characters that n bytes take, with padding; SIZE_MAX when that does not fit. */
size_t base64_encoded_len(size_t n);

/** Append data as base64 with padding, without line breaks. */
void base64_encode(struct slice data, struct buf *out);

/** What may stand between the characters. */
enum base64_blanks {
	BASE64_NO_BLANKS, /**< nothing */
	BASE64_SKIP_FWS	  /**< space, tab, CR and LF anywhere, as in tag values (FWS of RFC 6376) */
};

/**
 * Decode strictly: only the alphabet, padding complete and at the end only, no stray bits in the
 * last character. Empty text gives no bytes.
 * @param out      at least 3 bytes for each 4 characters; a prefix may be written on failure
 * @param ret_len  bytes written; unchanged on failure
 * @return ERR_SYNTAX, ERR_LIMIT (out_size is too small)
 */
NODISCARD enum err base64_decode(struct slice text, enum base64_blanks blanks, uint8_t *out,
				 size_t out_size, size_t *ret_len);

#endif
