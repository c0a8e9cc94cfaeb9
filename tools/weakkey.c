/* Weak RSA keys. */
#include "tools/weakkey.h"

#include "base/alg.h"

#include <stdint.h>

#define USUAL_EXPONENT 65537U

/* All odd primes whose product the faulty generator of CVE-2017-15361 built its primes from. */
static const unsigned primes[] = {
	3,  5,	7,  11, 13, 17,	 19,  23,  29,	31,  37,  41,  43,  47,	 53,  59,  61,	67,  71,
	73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
};

static unsigned remainder_of(struct slice number, unsigned divisor)
{
	unsigned rest = 0;

	for (size_t i = 0; i < number.len; i++)
		rest = (rest << 8 | (unsigned char)number.ptr[i]) % divisor;
	return rest;
}

/* Is value a power of 65537 modulo the prime? */
static bool is_power(unsigned value, unsigned prime)
{
	unsigned power = 1;

	for (unsigned i = 1; i < prime; i++) {
		if (power == value)
			return true;
		power = power * (USUAL_EXPONENT % prime) % prime;
	}
	return false;
}

/* Both primes are powers of 65537 modulo each of the small primes, so their product is, too. Of
 * other keys one in a hundred millions looks like that. */
static bool is_roca(struct slice modulus)
{
	for (size_t i = 0; i < ARRAY_LEN(primes); i++)
		if (!is_power(remainder_of(modulus, primes[i]), primes[i]))
			return false;
	return true;
}

static bool has_small_factor(struct slice modulus)
{
	bool found = remainder_of(modulus, 2) == 0;

	for (size_t i = 0; i < ARRAY_LEN(primes) && !found; i++)
		found = remainder_of(modulus, primes[i]) == 0;
	return found;
}

static bool below_usual(struct slice exponent)
{
	uint32_t value = 0;

	if (exponent.len > 3)
		return false;
	for (size_t i = 0; i < exponent.len; i++)
		value = value << 8 | (unsigned char)exponent.ptr[i];
	return value < USUAL_EXPONENT;
}

enum weakkey weakkey_judge(const struct rsa_numbers *key)
{
	if (remainder_of(key->exponent, 2) == 0 || rsader_bits(key->exponent) < 2)
		return WEAKKEY_EXPONENT;
	if (has_small_factor(key->modulus))
		return WEAKKEY_FACTOR;
	if (is_roca(key->modulus))
		return WEAKKEY_ROCA;
	return below_usual(key->exponent) ? WEAKKEY_SMALL_EXPONENT : WEAKKEY_NONE;
}
