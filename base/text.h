/* Foreign bytes made safe for a log line. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/slice.h"

/**
 * Copy s to out so that it can stand in a log line: control bytes, DEL, backslash and bytes that
 * are not valid UTF-8 become \xNN (a backslash becomes \\); too long a text ends in "...".
 * @param out_size bytes of out, at least 5; the result is always terminated
 * @return out
 */
const char *text_sanitize(struct slice s, char *out, size_t out_size);

/** Bytes of the UTF-8 character that s starts with (RFC 3629), 1 for ASCII; 0 when it is none, or a
 * C1 control.
 * @param s not empty */
size_t text_utf8_len(struct slice s);

#endif
