/* tools/weakkey: RSA numbers made to be weak, and some that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <stdlib.h>

#include "tools/weakkey.h"

struct number {
	unsigned char bytes[1024];
	struct slice slice;
};

static void store(const BIGNUM *n, struct number *out)
{
	assert_true(BN_num_bytes(n) <= (int)sizeof(out->bytes));
	out->slice = slice_of(out->bytes, (size_t)BN_bn2bin(n, out->bytes));
}

static enum weakkey judge(const BIGNUM *modulus, unsigned long exponent)
{
	struct number n;
	struct number e;
	BIGNUM *small = BN_new();

	assert_true(BN_set_word(small, exponent));
	store(modulus, &n);
	store(small, &e);
	BN_free(small);
	return weakkey_judge(&(struct rsa_numbers){ n.slice, e.slice });
}

static BIGNUM *random_prime(int bits)
{
	BIGNUM *p = BN_new();

	assert_true(BN_generate_prime_ex(p, bits, 0, NULL, NULL, NULL));
	return p;
}

static BIGNUM *product(BIGNUM *a, BIGNUM *b)
{
	BN_CTX *ctx = BN_CTX_new();

	assert_true(BN_mul(a, a, b, ctx));
	BN_CTX_free(ctx);
	BN_free(b);
	return a;
}

static void good_keys_are_not_suspected(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		BIGNUM *n = product(random_prime(256), random_prime(256));

		assert_int_equal(judge(n, 65537), WEAKKEY_NONE);
		assert_int_equal(judge(n, 0xffffffffUL), WEAKKEY_NONE);
		assert_int_equal(judge(n, 3), WEAKKEY_SMALL_EXPONENT);
		assert_int_equal(judge(n, 65535), WEAKKEY_SMALL_EXPONENT);
		assert_int_equal(judge(n, 1), WEAKKEY_EXPONENT);
		assert_int_equal(judge(n, 65536), WEAKKEY_EXPONENT);
		BN_free(n);
	}
}

/* A prime as the faulty generator made it: k * M + (65537^a mod M), M the product of the first 39
 * primes. */
static BIGNUM *faulty_prime(void)
{
	static const unsigned char first[] = { 2,   3,	 5,   7,   11,	13,  17,  19,  23,  29,
					       31,  37,	 41,  43,  47,	53,  59,  61,  67,  71,
					       73,  79,	 83,  89,  97,	101, 103, 107, 109, 113,
					       127, 131, 137, 139, 149, 151, 157, 163, 167 };
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *m = BN_new();
	BIGNUM *a = BN_new();
	BIGNUM *base = BN_new();
	BIGNUM *p = BN_new();

	assert_true(BN_one(m) && BN_set_word(base, 65537));
	for (size_t i = 0; i < sizeof(first); i++)
		assert_true(BN_mul_word(m, first[i]));
	do {
		assert_true(BN_rand(a, 62, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY));
		assert_true(BN_mod_exp(p, base, a, m, ctx));
		assert_true(BN_rand(a, 37, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY));
		assert_true(BN_mul(a, a, m, ctx) && BN_add(p, p, a));
	} while (BN_check_prime(p, ctx, NULL) != 1);
	BN_free(m);
	BN_free(a);
	BN_free(base);
	BN_CTX_free(ctx);
	return p;
}

static void keys_of_the_faulty_generator_are_found(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		BIGNUM *n = product(faulty_prime(), faulty_prime());

		assert_int_equal(judge(n, 65537), WEAKKEY_ROCA);
		BN_free(n);
	}
}

static void small_factors_are_found(void **state)
{
	static const unsigned factors[] = { 2, 3, 5, 97, 167 };

	(void)state;
	for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
		BIGNUM *n = random_prime(512);

		assert_true(BN_mul_word(n, factors[i]));
		assert_int_equal(judge(n, 65537), WEAKKEY_FACTOR);
		BN_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_keys_are_not_suspected),
		cmocka_unit_test(keys_of_the_faulty_generator_are_found),
		cmocka_unit_test(small_factors_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
