/*
 * Verifying all signatures of one message, RFC 6376 section 6. Pure: the clock, the key records and
 * the policy are given. Four steps, in the order of the milter's dialogue:
 *
 *   plan     end of the header: which signatures are looked at, which names DNS is asked for, which
 *            body hashes are needed
 *   body     each chunk as it comes, while DNS works
 *   finish   the answers of DNS go in
 *   verdicts one for each signature
 */
#ifndef DKIM_VERIFY_H
#define DKIM_VERIFY_H

#include "base/arena.h"
#include "base/err.h"
#include "dkim/hdrstore.h"
#include "dkim/result.h"
#include "dkim/sighdr.h"

#include <stdint.h>

/** What DNS knew of a name. */
enum dkim_key_status {
	DKIM_KEY_TIMEOUT,   /**< no answer before the deadline, or never asked */
	DKIM_KEY_FOUND,	    /**< there are TXT records */
	DKIM_KEY_NOT_FOUND, /**< no such name, or no TXT record there */
	DKIM_KEY_FAILED,    /**< SERVFAIL, REFUSED, no server */
	DKIM_KEY_GARBAGE,   /**< an answer that cannot be read */
	DKIM_KEY_TOO_LARGE  /**< records beyond our limits: the same at every attempt */
};

enum dkim_dnssec {
	DKIM_DNSSEC_UNKNOWN, /**< nobody validates */
	DKIM_DNSSEC_SECURE,
	DKIM_DNSSEC_INSECURE,
	DKIM_DNSSEC_BOGUS
};

struct dkim_key_answer {
	enum dkim_key_status status;
	enum dkim_dnssec dnssec;
	const struct slice *records; /**< with FOUND: each TXT record, its strings joined */
	size_t count;
};

/** What becomes of a good signature whose key is not secured by DNSSEC (BogusKey, UnprotectedKey).
 */
enum dkim_key_policy { DKIM_KEY_POLICY_NONE, DKIM_KEY_POLICY_NEUTRAL, DKIM_KEY_POLICY_FAIL };

/** Minimum: how much of the body a signature with l= must cover to be good. */
enum dkim_minimum {
	DKIM_MINIMUM_ALL,     /**< the whole body */
	DKIM_MINIMUM_BYTES,   /**< at least n bytes */
	DKIM_MINIMUM_PERCENT, /**< at least n percent, 0 to 100 */
	DKIM_MINIMUM_BUT      /**< all but n bytes */
};

/** What it points to must stay until dkim_verify_finish(). */
struct dkim_verify_params {
	struct sighdr_time time;
	size_t max_signatures; /**< MaximumSignaturesToVerify, 1 to LIMIT_VERIFY_SIGNATURES */
	unsigned min_key_bits;
	enum dkim_key_policy bogus_key;
	enum dkim_key_policy unprotected_key;
	enum dkim_minimum minimum;
	uint64_t minimum_value;
	const struct slice
		*must_be_signed; /**< field names that h= must cover when they are there */
	size_t must_be_signed_count;
	struct slice author_domain; /**< of From; empty when it cannot be read */
};

/** What came of one signature. Texts are empty when the signature has none that can be read, and
 * safe as struct sighdr says. */
struct dkim_verdict {
	enum dkim_result result;
	enum dkim_reason reason;
	const struct hdr *field;
	struct sighdr sig;
	struct slice header_b;	 /**< start of b= that tells it from the others (RFC 6008) */
	unsigned key_bits;	 /**< 0: not known */
	enum dkim_dnssec dnssec; /**< of the key record */
	bool testing;		 /**< t=y: not to be treated worse than no signature */
};

struct dkim_verifier;

/**
 * Every DKIM-Signature field counts, whether it can be read or not. Looked at are those of the
 * author's domain, then those of its parents and children, then the others, each from the top.
 * @param headers must not change before dkim_verify_finish()
 * @return ERR_NOMEM, ERR_CRYPTO, ERR_LIMIT. Free with dkim_verify_free() before the arena's reset
 */
NODISCARD enum err dkim_verify_plan(struct arena *arena, const struct hdrstore *headers,
				    const struct dkim_verify_params *params,
				    struct dkim_verifier **ret_verifier);
void dkim_verify_free(struct dkim_verifier **verifier);

/** Signatures of the message, looked at or not. */
size_t dkim_verify_found(const struct dkim_verifier *v);

/** Names to ask TXT of, each once. They stay until dkim_verify_free(). */
size_t dkim_verify_lookups(const struct dkim_verifier *v, const struct idn_name **ret_names);

void dkim_verify_body(struct dkim_verifier *v, const char *data, size_t len);
/** True when more of the body changes no verdict. */
bool dkim_verify_body_satisfied(const struct dkim_verifier *v);

/**
 * Call once, at the end of the body.
 * @param answers in the order of dkim_verify_lookups(), as many; may go afterwards
 * @return ERR_NOMEM, ERR_CRYPTO: there are no verdicts
 */
NODISCARD enum err dkim_verify_finish(struct dkim_verifier *v,
				      const struct dkim_key_answer *answers);

/** The verdicts, in the order of the header; none when the message is not signed. They stay until
 * dkim_verify_free(). */
size_t dkim_verify_verdicts(const struct dkim_verifier *v,
			    const struct dkim_verdict **ret_verdicts);

/**
 * Which On- setting answers for the message: none when one signature is good; otherwise what may
 * pass when tried again (DNS, internal) comes before what stays. Signatures of keys under test do
 * not count. Not for messages without signatures.
 */
enum dkim_cause dkim_verify_cause(const struct dkim_verdict *verdicts, size_t count);

#endif
