/* The header bytes that a signature covers, RFC 6376 section 3.7: one function for signer and
 * verifier. */
#ifndef DKIM_HDRINPUT_H
#define DKIM_HDRINPUT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "dkim/canon.h"
#include "dkim/hdrstore.h"

/**
 * Canonicalize the fields that h= names, each name taking the next field of that name from the
 * bottom, then the signature's own field without its final CRLF.
 * @param names     h= in order; blanks around a name removed
 * @param sig_name  as received ("DKIM-Signature")
 * @param sig_value its value with an empty b=, folds as CRLF
 * @param ret_input in the arena
 * @return ERR_NOMEM, ERR_LIMIT (LIMIT_SIGN_INPUT_BYTES)
 */
NODISCARD enum err dkim_header_input(struct arena *arena, const struct hdrstore *headers,
				     enum dkim_canon canon, const struct slice *names, size_t count,
				     struct slice sig_name, struct slice sig_value,
				     struct slice *ret_input);

#endif
