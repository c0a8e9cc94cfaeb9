/* One JSON string (RFC 8259); numbers and brackets are written by whoever has them. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/slice.h"

/** Append s in quotes. Quotes, backslashes and control bytes are escaped, UTF-8 stays, a byte that
 * is no UTF-8 becomes U+FFFD: the result is valid whatever s holds. */
void json_add_string(struct slice s, struct buf *out);

#endif
