/*
 * Making one DKIM-Signature, RFC 6376 section 5. Two pure steps around the token: prepare gives the bytes to
 * sign, finish puts the signature into the header field.
 */
#ifndef DKIM_SIGN_H
#define DKIM_SIGN_H

#include "base/alg.h"
#include "base/arena.h"
#include "dkim/bodyhash.h"
#include "dkim/hdrstore.h"

#include <stdint.h>

/**
 * Which header fields are signed: OpenDKIM's SignHeaders, OmitHeaders and OversignHeaders, compiled once at
 * load. Immutable, shared by all messages.
 */
struct dkim_hdrselect;

/**
 * The setting's values as written: a comma list of names; "*" stands for the default list, "+Name" adds,
 * "-Name" takes away (opendkim.conf(5)). NULL: the default.
 * @return ERR_SYNTAX (a name that RFC 5322 does not allow), ERR_NOMEM
 */
NODISCARD enum err dkim_hdrselect_new(const char *sign_headers, const char *omit_headers,
				      const char *oversign_headers, struct dkim_hdrselect **ret_select,
				      struct err_detail *detail);
void dkim_hdrselect_free(struct dkim_hdrselect **select);

/** The effective lists, for -n and the log ("From:Subject:... oversigned From"). Caller frees. */
NODISCARD char *dkim_hdrselect_text(const struct dkim_hdrselect *select);

/** What all signatures of a message share. */
struct dkim_sign_params {
	const struct dkim_hdrselect *select;
	enum dkim_canon header_canon;
	enum dkim_canon body_canon;
	int64_t now;	       /**< t=, seconds since 1970-01-01 UTC */
	int64_t ttl_s;	       /**< x= is now + ttl_s; 0: no x= */
	bool copy_headers;     /**< z= */
	bool request_reports;  /**< r=y, RFC 6651 */
	bool write_length;     /**< l= with body_length */
	uint64_t body_length;
	struct slice body_digest;
	bool leading_space; /**< the MTA wants the space after the colon in the value (SMFIP_HDR_LEADSPC) */
};

struct dkim_sign_request {
	struct slice domain;   /**< d=, A-labels or U-labels as the table says */
	struct slice selector; /**< s= */
	struct slice identity; /**< i=, empty: none; must be in domain */
	enum dkim_alg alg;
};

struct dkim_sign_prepared;

/**
 * Build the field with an empty b= and the canonical header that is signed.
 * @param ret_input  the canonical header bytes (hash input; what CKM_SHA256_RSA_PKCS gets), in the arena
 * @param ret_digest its hash, 32 bytes, in the arena: what RSA puts into a DigestInfo and Ed25519 signs
 * @return ERR_NOMEM, ERR_LIMIT, ERR_CRYPTO, ERR_NO_SENDER (no From field), ERR_SYNTAX (domain, selector or
 *         identity that must not be written)
 */
NODISCARD enum err dkim_sign_prepare(struct arena *arena, const struct hdrstore *headers,
				     const struct dkim_sign_params *params,
				     const struct dkim_sign_request *request,
				     struct dkim_sign_prepared **ret_prepared, struct slice *ret_input,
				     struct slice *ret_digest);

/**
 * @param ret_value the value of the DKIM-Signature field, NUL-terminated, folds as LF + TAB (what
 *                  smfi_insheader wants), lines of at most 78 columns where they can be; in the arena
 * @return ERR_NOMEM, ERR_LIMIT
 */
NODISCARD enum err dkim_sign_finish(struct arena *arena, const struct dkim_sign_prepared *prepared,
				    struct slice signature, struct slice *ret_value);

#endif
