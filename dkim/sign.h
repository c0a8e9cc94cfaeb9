/*
 * Making one DKIM-Signature, RFC 6376 section 5. Two pure steps around the token: prepare gives the
 * bytes to sign, finish puts the signature into the header field.
 */
#ifndef DKIM_SIGN_H
#define DKIM_SIGN_H

#include "base/alg.h"
#include "base/arena.h"
#include "dkim/bodyhash.h"
#include "dkim/hdrselect.h"
#include "dkim/hdrstore.h"

#include <stdint.h>

/** What all signatures of a message share. */
struct dkim_sign_params {
	const struct dkim_hdrselect *select;
	enum dkim_canon header_canon;
	enum dkim_canon body_canon;
	int64_t now;	      /**< t=, seconds since 1970-01-01 UTC */
	int64_t ttl_s;	      /**< x= is now + ttl_s; 0: no x= */
	bool write_query;     /**< q=dns/txt, which is the default anyway */
	bool copy_headers;    /**< z= with the signed fields, as many as LIMIT_Z_BYTES takes */
	bool request_reports; /**< r=y, RFC 6651 */
	bool write_length;    /**< l= with body_length */
	uint64_t body_length;
	struct slice body_digest; /**< of body_canon and of the algorithm's hash */
	bool leading_space;	  /**< the MTA wants the space after the colon in the value
				     (SMFIP_HDR_LEADSPC) */
};

struct dkim_sign_request {
	/* Names may be in U-labels. A-labels are written, which are right in all mail: U-labels
	 * would make the header 8-bit (RFC 6376 section 3.5, RFC 8616 section 3). */
	struct slice domain;   /**< d= */
	struct slice selector; /**< s= */
	struct slice
		identity; /**< i=, "local@domain" or "@domain"; empty: none; must be in domain */
	enum dkim_alg alg;
};

struct dkim_sign_prepared;

/**
 * Build the field with an empty b= and the canonical header that is signed.
 * @param ret_input  the canonical header bytes (hash input; what CKM_SHA256_RSA_PKCS gets), in the
 * arena
 * @param ret_digest its hash, 32 bytes, in the arena: what RSA puts into a DigestInfo and Ed25519
 * signs
 * @return ERR_NOMEM, ERR_LIMIT, ERR_CRYPTO, ERR_NO_SENDER (no From field), ERR_SYNTAX (domain,
 * selector or identity that must not be written), ERR_NOT_SUPPORTED (an algorithm that is for
 * verifying only), ERR_RANGE (a time before 1970 or an x= beyond 12 digits)
 */
NODISCARD enum err dkim_sign_prepare(struct arena *arena, const struct hdrstore *headers,
				     const struct dkim_sign_params *params,
				     const struct dkim_sign_request *request,
				     struct dkim_sign_prepared **ret_prepared,
				     struct slice *ret_input, struct slice *ret_digest);

/**
 * @param ret_value the value of the DKIM-Signature field, NUL-terminated, folds as LF + TAB (what
 *                  smfi_insheader wants), lines of at most 78 columns where they can be; in the
 * arena
 * @return ERR_NOMEM, ERR_LIMIT, ERR_RANGE (an empty signature)
 */
NODISCARD enum err dkim_sign_finish(struct arena *arena, const struct dkim_sign_prepared *prepared,
				    struct slice signature, struct slice *ret_value);

#endif
