/* A DKIM-Signature field, read: RFC 6376 section 3.5, and the checks of section 6.1.1 that need no
 * key. */
#ifndef DKIM_SIGHDR_H
#define DKIM_SIGHDR_H

#include "base/alg.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "dkim/canon.h"
#include "dkim/idn.h"
#include "dkim/result.h"

#include <stdint.h>

#define SIGHDR_NO_LENGTH UINT64_MAX

/**
 * After a fault what was read before it is set, the rest is empty: enough to report d=, s=, i=, a=
 * and b=. What is set is valid: nothing in it can break the syntax of a header or of a log line,
 * but for identity_local, which may hold any printing character of UTF-8.
 */
struct sighdr {
	bool has_alg;
	enum dkim_alg alg;	      /**< when has_alg */
	struct slice domain;	      /**< d=, as written */
	struct slice selector;	      /**< s=, as written */
	struct slice identity_local;  /**< of i=, decoded; may be empty */
	struct slice identity_domain; /**< of i=, or d= when there is no i= */
	struct slice b_text;	      /**< b= in base64 without blanks */
	struct slice signature;	      /**< b= decoded, not empty */
	struct slice body_hash;	      /**< bh= decoded, of the hash's length */
	enum dkim_canon header_canon;
	enum dkim_canon body_canon;
	struct slice *names; /**< h= in order, From among them */
	size_t names_count;
	uint64_t length;	  /**< l=; SIGHDR_NO_LENGTH: none */
	bool wants_report;	  /**< r=y (RFC 6651): failures may be reported */
	struct slice hashed;	  /**< the field's value with b= emptied: what is signed */
	struct idn_name key_name; /**< selector._domainkey.domain in A-labels: what DNS is asked */
};

/** The injected clock and how far it may be off. */
struct sighdr_time {
	int64_t now; /**< seconds since 1970-01-01 UTC */
	int64_t drift_s;
};

/**
 * @param arena   what ret_sig points to lives there, or in value
 * @param value   all after the colon, folds as CRLF (hdr.value)
 * @param ret_reason DKIM_REASON_GOOD: the signature is worth a key look-up
 * @return ERR_NOMEM; a bad signature is ERR_OK with its reason
 */
NODISCARD enum err sighdr_parse(struct arena *arena, struct slice value,
				const struct sighdr_time *time, struct sighdr *ret_sig,
				enum dkim_reason *ret_reason);

/** d= alone, as written and unchecked: to order signatures before they are read. Empty when the
 * field cannot be read so far. */
struct slice sighdr_peek_domain(struct slice value);

#endif
