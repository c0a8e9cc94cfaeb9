/* What a question to DNS brought back, and its record data read with care: it comes from strangers.
 */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* X(name, text for people) */
#define DNS_STATUS_LIST(X)                                                                         \
	X(DNS_FOUND, "found")                                                                      \
	X(DNS_NXDOMAIN, "the name does not exist")                                                 \
	X(DNS_NODATA, "the name has no such record")                                               \
	X(DNS_BOGUS, "DNSSEC validation failed")                                                   \
	X(DNS_SERVFAIL, "the server failed (SERVFAIL)")                                            \
	X(DNS_REFUSED, "the server does not serve this name")                                      \
	X(DNS_TIMEOUT, "no answer in time")                                                        \
	X(DNS_BROKEN, "the answer could not be read")

enum dns_status {
#define X(name, text) name,
	DNS_STATUS_LIST(X)
#undef X
		DNS_STATUS_COUNT
};

/** @return a static text, never NULL */
const char *dns_status_text(enum dns_status status);

/** Record types, RFC 1035 and RFC 3596. */
enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
};

/** Records of one answer that are kept. */
#define DNS_RECORDS_MAX 64U

struct dns_answer {
	enum dns_status status;
	bool secure;   /**< validated by DNSSEC */
	bool too_many; /**< there were more records than are kept */
	char why[160]; /**< what libunbound says of a bogus answer; may be empty */
	size_t count;  /**< records in data */
	struct slice data[DNS_RECORDS_MAX]; /**< malloc'ed, owned by the answer */
};

void dns_answer_init(struct dns_answer *answer);
void dns_answer_done(struct dns_answer *answer);

/** Keep a copy of one record's data. @return ERR_NOMEM, ERR_LIMIT (too_many is set) */
NODISCARD enum err dns_answer_add(struct dns_answer *answer, const void *data, size_t len);

/**
 * The strings of TXT data, joined without anything between them (RFC 6376 section 3.6.2.2).
 * @param ret_strings how many there were; may be NULL
 * @return ERR_SYNTAX (a string runs over the end), or the error of out
 */
NODISCARD enum err dns_txt_join(struct slice data, struct buf *out, size_t *ret_strings);

/** The texts of an answer's TXT records. */
struct dns_texts {
	struct slice *list; /**< in the arena */
	size_t count;
	bool too_large; /**< none is listed: there were too many, or they are too long */
};

/**
 * dns_txt_join() for every record. What is no TXT data or too long is left out: others may be good.
 * @param bytes_max of one record
 * @return ERR_NOMEM, ERR_LIMIT (the arena)
 */
NODISCARD enum err dns_txt_texts(const struct dns_answer *answer, size_t bytes_max,
				 struct arena *arena, struct dns_texts *ret_texts);

/** Bytes of a domain name in text form with its NUL. */
#define DNS_NAME_TEXT_MAX 256U

/**
 * An uncompressed domain name as text without the last dot.
 * @param ret_used bytes of data that it took; may be NULL
 * @return ERR_SYNTAX: it does not end within data, or holds what no host name holds
 */
NODISCARD enum err dns_name_text(struct slice data, char out[DNS_NAME_TEXT_MAX], size_t *ret_used);

/** A or AAAA data as an address with a port. @return ERR_SYNTAX */
NODISCARD enum err dns_address(struct slice data, uint16_t port, struct sockaddr_storage *ret_addr,
			       socklen_t *ret_len);

#endif
