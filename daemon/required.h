/* RequiredHeaders: the header fields that RFC 5322 section 3.6 asks for, as OpenDKIM counts them.
 */
#ifndef DAEMON_REQUIRED_H
#define DAEMON_REQUIRED_H

#include "dkim/hdrstore.h"

#define REQUIRED_TEXT_BYTES 64u

/**
 * @param text REQUIRED_TEXT_BYTES: what is wrong, for the SMTP reply
 * @return false: a field is missing, or is there more than once
 */
bool required_headers_ok(const struct hdrstore *headers, char *text);

#endif
