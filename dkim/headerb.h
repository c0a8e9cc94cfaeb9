/* header.b, RFC 6008: how much of b= names one signature among several. */
#ifndef DKIM_HEADERB_H
#define DKIM_HEADERB_H

#include "dkim/verify.h"

/** RFC 6008 section 4 asks for eight characters at least. */
#define HEADERB_CHARS_MIN 8u
/** Where a look-alike gives up being told apart: no header of ours grows with foreign text. */
#define HEADERB_CHARS_MAX 64u

/** Set header_b of each verdict: the shortest start of its b= that no other has, within the limits
 * above; all of a short b=, empty without one. Equal b= stay equal. */
void headerb_set(struct dkim_verdict *verdicts, size_t count);

#endif
