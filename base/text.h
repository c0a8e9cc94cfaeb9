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

#endif
