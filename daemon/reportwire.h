/*
 * What the milter process tells the reports process of one failed signature: one SOCK_SEQPACKET
 * packet. Everything in it is of the mail, hence hostile; the reader checks the frame here and the
 * content where it is used (daemon/reportmail.h).
 */
#ifndef DAEMON_REPORTWIRE_H
#define DAEMON_REPORTWIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "dkim/result.h"

#include <stdint.h>

/** RFC 6591 section 3.2.2 */
enum report_delivery { REPORT_DELIVERED, REPORT_REJECTED, REPORT_BY_POLICY, REPORT_DELIVERY_OTHER };

enum report_text {
	REPORT_JOB,	  /**< queue id */
	REPORT_HOST,	  /**< the MTA's name */
	REPORT_DOMAIN,	  /**< d= in A-labels; never cut: that is another domain */
	REPORT_SELECTOR,  /**< s= */
	REPORT_IDENTITY,  /**< i=, or "@" and d= */
	REPORT_SOURCE_IP, /**< of the client; empty: not known */
	REPORT_MAIL_FROM, /**< envelope sender, without brackets */
	REPORT_RESULTS,	  /**< value of an Authentication-Results field */
	REPORT_HEADER,	  /**< of the message, CRLF behind each field, cut at a field */
	REPORT_TEXT_COUNT
};

struct report_request {
	int64_t arrival_s; /**< seconds since 1970-01-01 UTC */
	enum dkim_reason reason;
	enum report_delivery delivery;
	bool header_cut; /**< REPORT_HEADER is not all of it */
	struct slice text[REPORT_TEXT_COUNT];
};

#define REPORT_HEADER_BYTES 32768u
#define REPORT_PACKET_BYTES 49152u

/** Append the packet; texts are cut at their limits. @return ERR_NOMEM, ERR_LIMIT (also: the domain
 * is too long) */
NODISCARD enum err reportwire_encode(const struct report_request *request, struct buf *out);

/** @param ret_request points into packet @return ERR_PROTOCOL for what reportwire_encode() would
 * not have made */
NODISCARD enum err reportwire_decode(struct slice packet, struct report_request *ret_request);

#endif
