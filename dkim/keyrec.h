/* Key records, RFC 6376 section 3.6.1 with RFC 8463: what DNS says of a key, read with care, for
 * anyone can publish anything. */
#ifndef DKIM_KEYREC_H
#define DKIM_KEYREC_H

#include "base/alg.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/pubkey.h"
#include "base/slice.h"
#include "dkim/result.h"

struct keyrec {
	enum key_type type;  /**< k=; RSA when there is none */
	struct slice data;   /**< p= decoded */
	bool has_hashes;     /**< h= is there: only hashes that it lists are good */
	struct slice hashes; /**< h=, a colon list */
	bool testing;	     /**< t=y: the domain is trying DKIM out */
	bool strict;	     /**< t=s: the domain of i= must be that of d= */
};

/**
 * Read one record (the strings of its TXT joined).
 * @return DKIM_REASON_GOOD, or what is wrong with it; DKIM_REASON_INTERNAL: memory is short
 */
enum dkim_reason keyrec_parse(struct arena *arena, struct slice text, struct keyrec *ret_record);

/**
 * The key record among the TXT records of a name. Others (SPF, a wildcard's) are passed over; two
 * key records are a fault, for the answer to "which" would be a matter of luck.
 */
enum dkim_reason keyrec_select(struct arena *arena, const struct slice *records, size_t count,
			       struct keyrec *ret_record);

/** Whether a key of this record may have made a signature with alg (type and h=). */
enum dkim_reason keyrec_allows(const struct keyrec *record, enum dkim_alg alg);

/**
 * The key itself: RSA as SubjectPublicKeyInfo or as a bare RSAPublicKey with a modulus of at most
 * 8192 bits and an odd exponent of at most 64 bits; Ed25519 as 32 bytes.
 * @param min_bits smallest RSA key that this host takes (MinimumKeyBits); below the floor of the
 * algorithm (RFC 8301) no key is taken
 * @param ret_key  pubkey_free() it; set for GOOD only
 * @param ret_bits size of the modulus as soon as it is known, also with KEY_WEAK, SMALL and LARGE
 */
enum dkim_reason keyrec_pubkey(const struct keyrec *record, enum dkim_alg alg, unsigned min_bits,
			       struct pubkey **ret_key, unsigned *ret_bits);

#endif
