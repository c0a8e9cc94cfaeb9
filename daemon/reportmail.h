/*
 * A failure report as a message: RFC 5965 with the fields of RFC 6591, the failed message's header
 * as its third part. Nothing of the mail or of DNS reaches it but as printing ASCII in its place:
 * no line ends, no field, no MIME part can be smuggled in.
 */
#ifndef DAEMON_REPORTMAIL_H
#define DAEMON_REPORTMAIL_H

#include "daemon/reportwire.h"

/** Room for the longest report: a header of three bytes a byte, and the rest. */
#define REPORTMAIL_BYTES 131072u

struct reportmail {
	const char *from;     /**< ReportAddress, or user and host */
	const char *bcc;      /**< ReportBccAddress; NULL: none */
	const char *local;    /**< of the recipient; plain (dkim/reportrec.h) */
	const char *domain;   /**< of the recipient, in A-labels */
	const char *boundary; /**< that nobody can guess, at most 60 letters and digits */
	int64_t now_s;
	const struct report_request *request;
};

/** Append the message, lines end in LF: what sendmail(1) wants. @return ERR_NOMEM, ERR_LIMIT */
NODISCARD enum err reportmail_write(const struct reportmail *mail, struct buf *out);

#endif
