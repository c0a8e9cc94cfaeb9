/* Public keys, through OpenSSL's EVP interface. */
#include "base/pubkey.h"

#include "base/spki.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

/* More than the largest numbers that are taken need. */
#define SPKI_BYTES_MAX 8192u

struct pubkey {
	EVP_PKEY *pkey;
	enum key_type type;
	unsigned bits;
	struct buf spki;
	unsigned char fingerprint[PUBKEY_FINGERPRINT_BYTES];
};

void pubkey_free(struct pubkey **key)
{
	if (key == NULL || *key == NULL)
		return;
	EVP_PKEY_free((*key)->pkey);
	buf_done(&(*key)->spki);
	free(*key);
	*key = NULL;
}

/* What follows from key->pkey and key->spki. */
static enum err describe(struct pubkey *key)
{
	struct slice spki;
	enum err e = buf_finish(&key->spki, &spki);

	if (e != ERR_OK || spki.len == 0)
		return ERR_NOMEM;
	if (EVP_PKEY_is_a(key->pkey, "RSA"))
		key->type = KEY_TYPE_RSA;
	else if (EVP_PKEY_is_a(key->pkey, "ED25519"))
		key->type = KEY_TYPE_ED25519;
	else
		return ERR_KEY_BAD;
	key->bits = key->type == KEY_TYPE_RSA ? (unsigned)EVP_PKEY_get_bits(key->pkey) : 256;
	return EVP_Digest(spki.ptr, spki.len, key->fingerprint, NULL, EVP_sha256(), NULL) == 1
		       ? ERR_OK
		       : ERR_NOMEM;
}

/* Takes pkey and the content of spki over, also on failure. */
static enum err wrap(EVP_PKEY *pkey, struct buf *spki, struct pubkey **ret_key)
{
	AUTO(pubkey_free) struct pubkey *key = calloc(1, sizeof(*key));
	enum err e;

	if (key == NULL) {
		EVP_PKEY_free(pkey);
		buf_done(spki);
		return ERR_NOMEM;
	}
	key->pkey = pkey;
	key->spki = *spki;
	e = describe(key);
	if (e != ERR_OK)
		return e;
	*ret_key = key;
	key = NULL; /* handed over */
	return ERR_OK;
}

static void add_spki(struct buf *out, EVP_PKEY *pkey)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);

	if (len > 0)
		buf_add(out, slice_of(der, (size_t)len));
	OPENSSL_free(der); /* an empty form is noticed by describe() */
}

enum err pubkey_from_spki(struct slice der, struct pubkey **ret_key)
{
	const unsigned char *p = (const unsigned char *)der.ptr;
	EVP_PKEY *pkey = der.len <= LONG_MAX ? d2i_PUBKEY(NULL, &p, (long)der.len) : NULL;
	struct buf spki;

	ERR_clear_error();
	if (pkey == NULL)
		return ERR_KEY_BAD;
	if (p != (const unsigned char *)der.ptr + der.len) {
		EVP_PKEY_free(pkey);
		return ERR_KEY_BAD;
	}
	buf_init(&spki, SPKI_BYTES_MAX);
	add_spki(&spki, pkey);
	return wrap(pkey, &spki, ret_key);
}

/* @return NULL on failure */
static EVP_PKEY *rsa_from_numbers(BIGNUM *n, BIGNUM *e)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (build != NULL && ctx != NULL && n != NULL && e != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return pkey;
}

enum err pubkey_from_rsa(struct slice modulus, struct slice exponent, struct pubkey **ret_key)
{
	BIGNUM *n;
	BIGNUM *e;
	EVP_PKEY *pkey;
	struct buf spki;

	if (modulus.len == 0 || modulus.len > 4096 || exponent.len == 0 || exponent.len > 64)
		return ERR_KEY_BAD;
	n = BN_bin2bn((const unsigned char *)modulus.ptr, (int)modulus.len, NULL);
	e = BN_bin2bn((const unsigned char *)exponent.ptr, (int)exponent.len, NULL);
	pkey = rsa_from_numbers(n, e);
	BN_free(n);
	BN_free(e);
	if (pkey == NULL)
		return ERR_KEY_BAD;
	buf_init(&spki, SPKI_BYTES_MAX);
	spki_add_rsa(&spki, modulus, exponent);
	return wrap(pkey, &spki, ret_key);
}

enum err pubkey_from_ed25519(struct slice raw, struct pubkey **ret_key)
{
	EVP_PKEY *pkey = NULL;
	struct buf spki;

	if (raw.len == 32)
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
						   (const unsigned char *)raw.ptr, raw.len);
	ERR_clear_error();
	if (pkey == NULL)
		return ERR_KEY_BAD;
	buf_init(&spki, SPKI_BYTES_MAX);
	spki_add_ed25519(&spki, raw);
	return wrap(pkey, &spki, ret_key);
}

enum key_type pubkey_type(const struct pubkey *key)
{
	return key->type;
}

unsigned pubkey_bits(const struct pubkey *key)
{
	return key->bits;
}

struct slice pubkey_spki(const struct pubkey *key)
{
	return buf_slice(&key->spki);
}

const unsigned char *pubkey_fingerprint(const struct pubkey *key)
{
	return key->fingerprint;
}

bool pubkey_equal(const struct pubkey *a, const struct pubkey *b)
{
	return memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) == 0;
}

static int verify_rsa(EVP_PKEY *pkey, const EVP_MD *md, struct slice digest, struct slice signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	int rc = -1;

	if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, md) == 1)
		rc = EVP_PKEY_verify(ctx, (const unsigned char *)signature.ptr, signature.len,
				     (const unsigned char *)digest.ptr, digest.len);
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

static int verify_ed25519(EVP_PKEY *pkey, struct slice digest, struct slice signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	if (ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
		rc = EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
				      (const unsigned char *)digest.ptr, digest.len);
	EVP_MD_CTX_free(ctx);
	return rc;
}

enum err pubkey_verify(const struct pubkey *key, enum dkim_alg alg, struct slice digest,
		       struct slice signature)
{
	const struct dkim_alg_info *info = dkim_alg_info(alg);
	int rc;

	if (info->key_type != key->type)
		return ERR_KEY_BAD;
	if (key->type == KEY_TYPE_RSA)
		rc = verify_rsa(key->pkey, info->hash == DKIM_HASH_SHA1 ? EVP_sha1() : EVP_sha256(),
				digest, signature);
	else
		rc = verify_ed25519(key->pkey, digest, signature);
	ERR_clear_error();
	return rc == 1 ? ERR_OK : ERR_DENIED;
}
