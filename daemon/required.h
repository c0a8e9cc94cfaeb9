/*
 * RequiredHeaders and StrictHeaders: how often RFC 5322 section 3.6 allows header fields, as
 * OpenDKIM counts them for each of the two.
 */
#ifndef DAEMON_REQUIRED_H
#define DAEMON_REQUIRED_H

#include "dkim/hdrstore.h"

#define REQUIRED_TEXT_BYTES 64u

/**
 * @param strict StrictHeaders, which counts Sender, too
 * @param text REQUIRED_TEXT_BYTES: what is wrong, for the SMTP reply or the log
 * @return false: a field is missing, or is there more than once
 */
bool required_headers_ok(const struct hdrstore *headers, bool strict, char *text);

#endif
