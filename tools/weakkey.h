/*
 * RSA keys that can be broken, or that nobody can use, seen from the public half alone. Not a proof
 * of strength: keys from a bad random number generator (Debian's of 2008) are found by lists only,
 * and those are not here.
 */
#ifndef TOOLS_WEAKKEY_H
#define TOOLS_WEAKKEY_H

#include "dkim/rsader.h"

enum weakkey {
	WEAKKEY_NONE,
	WEAKKEY_EXPONENT,	/**< even or 1: no signature can be made or means anything */
	WEAKKEY_FACTOR,		/**< the modulus has a prime factor below 168 */
	WEAKKEY_ROCA,		/**< primes of the form k*M + 65537^a mod M, CVE-2017-15361 */
	WEAKKEY_SMALL_EXPONENT, /**< below 65537: a remark, NIST SP 800-56B wants more */
};

/** The worst of them. */
enum weakkey weakkey_judge(const struct rsa_numbers *key);

#endif
