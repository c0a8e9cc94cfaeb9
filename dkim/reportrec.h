/*
 * Reporting records, RFC 6651 section 3.2: the TXT record at _report._domainkey.DOMAIN says to
 * which mailbox of the domain failure reports may go, and which. It comes from DNS and is as
 * hostile as the mail that names the domain.
 */
#ifndef DKIM_REPORTREC_H
#define DKIM_REPORTREC_H

#include "base/slice.h"
#include "dkim/result.h"

#include <stdbool.h>

#define REPORTREC_PREFIX "_report._domainkey."
/** RFC 5321 section 4.5.3.1.1 */
#define REPORTREC_LOCAL_BYTES 64u

/** What rr= asks for, as bits. */
enum reportrec_kind {
	REPORTREC_DNS = 1 << 0,	    /**< d: the key cannot be had */
	REPORTREC_OTHER = 1 << 1,   /**< o */
	REPORTREC_POLICY = 1 << 2,  /**< p: good, but not good enough for this host */
	REPORTREC_SYNTAX = 1 << 3,  /**< s */
	REPORTREC_UNKNOWN = 1 << 4, /**< u: unknown tags; they are no failure here */
	REPORTREC_VERIFY = 1 << 5,  /**< v: the signature or the body hash does not match */
	REPORTREC_EXPIRED = 1 << 6, /**< x */
	REPORTREC_ALL = (1 << 7) - 1,
};

struct reportrec {
	char local[REPORTREC_LOCAL_BYTES + 1]; /**< of the mailbox; NUL-terminated */
	unsigned percent;		       /**< of the failures that are reported */
	unsigned kinds;			       /**< REPORTREC_... bits */
};

/**
 * rs= (a text for SMTP replies) is not read: the answer to a message does not wait for this record.
 * @return false: the record asks for no report, or cannot be read, or names a mailbox that is not
 * plain (letters, digits, "._+-=")
 */
NODISCARD bool reportrec_parse(struct slice text, struct reportrec *ret_record);

/** The kind of a failure. 0: it is never reported, for it is ours, passes by itself or is none. */
unsigned reportrec_kind_of(enum dkim_reason reason);

#endif
