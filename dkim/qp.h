/* DKIM-Quoted-Printable, RFC 6376 section 2.11: the form of z= and of the local part of i=. */
#ifndef DKIM_QP_H
#define DKIM_QP_H

#include "base/buf.h"
#include "base/slice.h"

/** Append text; every byte that is not a dkim-safe-char, and every byte of also, becomes =XX. */
void dkim_qp_encode(struct slice text, struct slice also, struct buf *out);

#endif
