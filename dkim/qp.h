/* DKIM-Quoted-Printable, RFC 6376 section 2.11: the form of z= and of the local part of i=. */
#ifndef DKIM_QP_H
#define DKIM_QP_H

#include "base/buf.h"
#include "base/slice.h"

/** Append text; every byte that is not a dkim-safe-char, and every byte of also, becomes =XX. */
void dkim_qp_encode(struct slice text, struct slice also, struct buf *out);

/**
 * Append the decoded text. Blanks and folds between the characters are dropped, UTF-8 stands for
 * itself (RFC 8616).
 * @return ERR_SYNTAX (a "=" without two hex digits); out may hold a part then; or the error of out
 */
NODISCARD enum err dkim_qp_decode(struct slice text, struct buf *out);

#endif
