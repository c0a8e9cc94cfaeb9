/*
 * RSA public keys in DER, as p= of a key record holds them. Read by hand: forty lines that accept
 * two shapes stand between DNS and a general decoder of keys of all kinds.
 */
#ifndef DKIM_RSADER_H
#define DKIM_RSADER_H

#include "base/slice.h"

/** Big-endian, without leading zeros; not empty. Both point into the DER. */
struct rsa_numbers {
	struct slice modulus;
	struct slice exponent;
};

/**
 * A SubjectPublicKeyInfo of rsaEncryption (RFC 3279) or a bare RSAPublicKey (RFC 8017), whole and
 * with nothing behind it.
 * @return false: it is neither
 */
NODISCARD bool rsader_parse(struct slice der, struct rsa_numbers *ret_numbers);

/** Bits of a number without leading zeros. */
size_t rsader_bits(struct slice number);

#endif
