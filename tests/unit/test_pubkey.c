/* base/pubkey: keys from every form, and signatures that do and do not belong to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/pubkey.h"

/* RFC 8463 appendix A: the public key, base64 of the 32 bytes. */
#define RFC8463_P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* The private half that makes the signatures; pubkey.c never sees it. */
struct maker {
	EVP_PKEY *pkey;
	unsigned char *der;
	size_t der_len;
};

static struct maker maker_new(const char *type, size_t bits)
{
	struct maker m;
	int len;

	m.pkey = bits != 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, bits)
			   : EVP_PKEY_Q_keygen(NULL, NULL, type);
	assert_non_null(m.pkey);
	m.der = NULL;
	len = i2d_PUBKEY(m.pkey, &m.der);
	assert_true(len > 0);
	m.der_len = (size_t)len;
	return m;
}

static void maker_done(struct maker *m)
{
	EVP_PKEY_free(m->pkey);
	OPENSSL_free(m->der);
}

/* RSA over a message, so that its DigestInfo is OpenSSL's and not ours. */
static size_t sign(const struct maker *m, const EVP_MD *md, const void *text, size_t len,
		   unsigned char *out, size_t room)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, m->pkey), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &room, text, len), 1);
	EVP_MD_CTX_free(ctx);
	return room;
}

/* The right signature passes; any change in digest, signature or length does not. */
static void check_signatures(const struct maker *m, enum dkim_alg alg, const EVP_MD *md)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	static const char text[] = "a canonical header";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned char signature[2048];
	unsigned digest_len;
	size_t len;

	assert_int_equal(pubkey_from_spki(slice_of(m->der, m->der_len), &key), ERR_OK);
	assert_int_equal(EVP_Digest(text, sizeof(text), digest, &digest_len,
				    md != NULL ? md : EVP_sha256(), NULL),
			 1);
	if (md != NULL)
		len = sign(m, md, text, sizeof(text), signature, sizeof(signature));
	else /* RFC 8463: Ed25519 signs the digest */
		len = sign(m, NULL, digest, digest_len, signature, sizeof(signature));
	assert_int_equal(
		pubkey_verify(key, alg, slice_of(digest, digest_len), slice_of(signature, len)),
		ERR_OK);
	for (size_t i = 0; i < len; i += 7) {
		signature[i] ^= 0x10;
		assert_int_equal(pubkey_verify(key, alg, slice_of(digest, digest_len),
					       slice_of(signature, len)),
				 ERR_DENIED);
		signature[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < len; cut += 31)
		assert_int_equal(pubkey_verify(key, alg, slice_of(digest, digest_len),
					       slice_of(signature, cut)),
				 ERR_DENIED);
	digest[0] ^= 1;
	assert_int_equal(
		pubkey_verify(key, alg, slice_of(digest, digest_len), slice_of(signature, len)),
		ERR_DENIED);
}

static void rsa_signatures_are_told_apart(void **state)
{
	struct maker m = maker_new("RSA", 1024);

	(void)state;
	check_signatures(&m, DKIM_ALG_RSA_SHA256, EVP_sha256());
	check_signatures(&m, DKIM_ALG_RSA_SHA1, EVP_sha1());
	maker_done(&m);
}

static void ed25519_signatures_are_told_apart(void **state)
{
	struct maker m = maker_new("ED25519", 0);

	(void)state;
	check_signatures(&m, DKIM_ALG_ED25519_SHA256, NULL);
	maker_done(&m);
}

static void an_algorithm_of_another_key_type_is_refused(void **state)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	struct maker m = maker_new("ED25519", 0);
	static const char bytes[64];

	(void)state;
	assert_int_equal(pubkey_from_spki(slice_of(m.der, m.der_len), &key), ERR_OK);
	assert_int_equal(
		pubkey_verify(key, DKIM_ALG_RSA_SHA256, slice_of(bytes, 32), slice_of(bytes, 64)),
		ERR_KEY_BAD);
	maker_done(&m);
}

static void numbers_and_spki_make_the_same_rsa_key(void **state)
{
	AUTO(pubkey_free) struct pubkey *from_spki = NULL;
	AUTO(pubkey_free) struct pubkey *from_numbers = NULL;
	struct maker m = maker_new("RSA", 2048);
	unsigned char n[1 + 256] = { 0 }; /* a leading zero, as some tokens write it */
	unsigned char e[8];
	BIGNUM *bn = NULL;
	int e_len;

	(void)state;
	assert_int_equal(EVP_PKEY_get_bn_param(m.pkey, OSSL_PKEY_PARAM_RSA_N, &bn), 1);
	assert_int_equal(BN_bn2bin(bn, n + 1), 256);
	BN_free(bn);
	bn = NULL;
	assert_int_equal(EVP_PKEY_get_bn_param(m.pkey, OSSL_PKEY_PARAM_RSA_E, &bn), 1);
	e_len = BN_bn2bin(bn, e);
	BN_free(bn);
	assert_int_equal(pubkey_from_spki(slice_of(m.der, m.der_len), &from_spki), ERR_OK);
	assert_int_equal(
		pubkey_from_rsa(slice_of(n, sizeof(n)), slice_of(e, (size_t)e_len), &from_numbers),
		ERR_OK);
	assert_true(pubkey_equal(from_spki, from_numbers));
	assert_int_equal(pubkey_bits(from_numbers), 2048);
	assert_int_equal(pubkey_type(from_numbers), KEY_TYPE_RSA);
	assert_true(slice_eq(pubkey_spki(from_numbers), slice_of(m.der, m.der_len)));
	maker_done(&m);
}

/* What is written by hand is what OpenSSL writes: lengths of one, two and three bytes, numbers that
 * need a zero before them and numbers that need none. */
static void the_spki_is_the_one_that_openssl_writes(void **state)
{
	static const struct {
		unsigned bits;
		unsigned long exponent;
	} cases[] = { { 512, 3 },      { 1024, 65537 }, { 1025, 65537 }, { 1031, 129 },
		      { 1032, 65537 }, { 2048, 3 },	{ 4096, 65537 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(pubkey_free) struct pubkey *by_hand = NULL;
		AUTO(pubkey_free) struct pubkey *by_openssl = NULL;
		unsigned char n[513] = { 0 }; /* any odd number of that length will do */
		unsigned char e[4] = { 0 };
		size_t len = (cases[i].bits + 7) / 8;

		memset(n + 1, 0x5b, len);
		n[1] = (unsigned char)(1U << ((cases[i].bits - 1) % 8));
		for (size_t k = 0; k < sizeof(e); k++)
			e[k] = (unsigned char)(cases[i].exponent >> (8 * (sizeof(e) - 1 - k)));
		assert_int_equal(
			pubkey_from_rsa(slice_of(n, len + 1), slice_of(e, sizeof(e)), &by_hand),
			ERR_OK);
		assert_int_equal(pubkey_bits(by_hand), cases[i].bits);
		assert_int_equal(pubkey_from_spki(pubkey_spki(by_hand), &by_openssl), ERR_OK);
		assert_true(slice_eq(pubkey_spki(by_hand), pubkey_spki(by_openssl)));
	}
}

static void the_fingerprint_is_the_hash_of_the_spki(void **state)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	struct maker m = maker_new("ED25519", 0);
	unsigned char hash[PUBKEY_FINGERPRINT_BYTES];

	(void)state;
	assert_int_equal(pubkey_from_spki(slice_of(m.der, m.der_len), &key), ERR_OK);
	assert_int_equal(EVP_Digest(m.der, m.der_len, hash, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(pubkey_fingerprint(key), hash, sizeof(hash));
	maker_done(&m);
}

static void rfc8463_key_is_read_from_its_32_bytes(void **state)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	AUTO(pubkey_free) struct pubkey *by_openssl = NULL;
	uint8_t raw[48];
	size_t len;

	(void)state;
	assert_int_equal(
		base64_decode(SLICE_LIT(RFC8463_P), BASE64_NO_BLANKS, raw, sizeof(raw), &len),
		ERR_OK);
	assert_int_equal(len, 32);
	assert_int_equal(pubkey_from_ed25519(slice_of(raw, len), &key), ERR_OK);
	assert_int_equal(pubkey_bits(key), 256);
	assert_int_equal(pubkey_type(key), KEY_TYPE_ED25519);
	assert_true(slice_ends(pubkey_spki(key), slice_of(raw, len)));
	assert_int_equal(pubkey_from_spki(pubkey_spki(key), &by_openssl), ERR_OK);
	assert_true(slice_eq(pubkey_spki(key), pubkey_spki(by_openssl)));
	for (size_t wrong = 0; wrong <= sizeof(raw); wrong++) {
		struct pubkey *none = NULL;

		if (wrong == 32)
			continue;
		assert_int_equal(pubkey_from_ed25519(slice_of(raw, wrong), &none), ERR_KEY_BAD);
		assert_null(none);
	}
}

static void what_is_no_spki_is_refused(void **state)
{
	struct maker m = maker_new("ED25519", 0);
	struct maker ec = maker_new("X25519", 0); /* a key that cannot sign */
	unsigned char longer[128];
	struct pubkey *none = NULL;

	(void)state;
	for (size_t cut = 0; cut < m.der_len; cut++) {
		unsigned char *exact = malloc(cut != 0 ? cut : 1);

		memcpy(exact, m.der, cut);
		assert_int_equal(pubkey_from_spki(slice_of(exact, cut), &none), ERR_KEY_BAD);
		free(exact);
	}
	memcpy(longer, m.der, m.der_len);
	longer[m.der_len] = 0;
	assert_int_equal(pubkey_from_spki(slice_of(longer, m.der_len + 1), &none), ERR_KEY_BAD);
	assert_int_equal(pubkey_from_spki(slice_of(ec.der, ec.der_len), &none), ERR_KEY_BAD);
	assert_int_equal(pubkey_from_rsa(SLICE_LIT(""), SLICE_LIT("\x03"), &none), ERR_KEY_BAD);
	assert_null(none);
	maker_done(&m);
	maker_done(&ec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsa_signatures_are_told_apart),
		cmocka_unit_test(ed25519_signatures_are_told_apart),
		cmocka_unit_test(an_algorithm_of_another_key_type_is_refused),
		cmocka_unit_test(numbers_and_spki_make_the_same_rsa_key),
		cmocka_unit_test(the_spki_is_the_one_that_openssl_writes),
		cmocka_unit_test(the_fingerprint_is_the_hash_of_the_spki),
		cmocka_unit_test(rfc8463_key_is_read_from_its_32_bytes),
		cmocka_unit_test(what_is_no_spki_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
