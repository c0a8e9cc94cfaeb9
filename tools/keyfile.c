/* Private keys in PEM files. */
#include "tools/keyfile.h"

#include "base/base64.h"
#include "base/limits.h"
#include "tools/outfile.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#define ED25519_BYTES 32U
/* p= of an 8192-bit key is below 1.5 KB. */
#define PUBTEXT_BYTES_MAX 8192U

void pubtext_done(struct pubtext *text)
{
	if (text != NULL)
		buf_done(&text->p);
}

static enum err add_ed25519(EVP_PKEY *key, struct buf *p)
{
	unsigned char raw[ED25519_BYTES];
	size_t len = sizeof(raw);

	if (EVP_PKEY_get_raw_public_key(key, raw, &len) != 1 || len != sizeof(raw))
		return ERR_KEY_BAD;
	base64_encode(slice_of(raw, len), p);
	return p->error;
}

enum err pubtext_from_spki(struct slice spki, struct pubtext *ret_text)
{
	const unsigned char *at = (const unsigned char *)spki.ptr;
	EVP_PKEY *key =
		spki.len <= LIMIT_PUBKEY_DER_BYTES ? d2i_PUBKEY(NULL, &at, (long)spki.len) : NULL;
	struct pubtext text = { 0 };
	enum err e = ERR_NOT_SUPPORTED;

	if (key == NULL)
		return ERR_KEY_BAD;
	text.bits = (unsigned)EVP_PKEY_get_bits(key);
	buf_init(&text.p, PUBTEXT_BYTES_MAX);
	if (EVP_PKEY_is_a(key, "RSA")) {
		text.type = KEY_TYPE_RSA;
		base64_encode(spki, &text.p);
		e = text.p.error;
	} else if (EVP_PKEY_is_a(key, "ED25519")) {
		text.type = KEY_TYPE_ED25519;
		e = add_ed25519(key, &text.p);
	}
	EVP_PKEY_free(key);
	if (e != ERR_OK) {
		pubtext_done(&text);
		return e;
	}
	*ret_text = text;
	return ERR_OK;
}

static enum err add_public(EVP_PKEY *key, struct buf *ret_spki)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	if (len <= 0)
		return ERR_CRYPTO;
	buf_add(ret_spki, slice_of(der, (size_t)len));
	OPENSSL_free(der);
	return ret_spki->error;
}

/* The PEM text lives in memory that OpenSSL wipes. */
static enum err write_private(const char *path, EVP_PKEY *key, struct err_detail *detail)
{
	BIO *pem = BIO_new(BIO_s_secmem());
	char *text = NULL;
	enum err e = ERR_CRYPTO;
	long len;

	if (pem == NULL)
		return ERR_NOMEM;
	if (PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1) {
		len = BIO_get_mem_data(pem, &text);
		if (len > 0)
			e = outfile_create(path, slice_of(text, (size_t)len), 0600, detail);
	}
	BIO_free(pem);
	return e;
}

enum err keyfile_make(const char *path, enum key_type type, unsigned bits, struct buf *ret_spki,
		      struct err_detail *detail)
{
	EVP_PKEY *key = type == KEY_TYPE_RSA ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
					     : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	enum err e;

	if (key == NULL) {
		err_detail_set(detail, "OpenSSL could not make a %s key", key_type_name(type));
		return ERR_CRYPTO;
	}
	e = write_private(path, key, detail);
	if (e == ERR_OK)
		e = add_public(key, ret_spki);
	EVP_PKEY_free(key);
	return e;
}

/* Never ask on the terminal: a key with a passphrase is no key for a daemon. */
static int no_passphrase(char *buffer, int size, int writing, void *ctx)
{
	(void)buffer, (void)size, (void)writing, (void)ctx;
	return -1;
}

enum err keyfile_read_public(const char *path, struct buf *ret_spki, struct err_detail *detail)
{
	FILE *in = fopen(path, "re");
	EVP_PKEY *key;
	enum err e;

	if (in == NULL) {
		err_detail_set(detail, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	key = PEM_read_PrivateKey(in, NULL, no_passphrase, NULL);
	(void)fclose(in);
	if (key == NULL) {
		err_detail_set(detail, "%s: is no private key in PEM without a passphrase", path);
		return ERR_KEY_BAD;
	}
	e = add_public(key, ret_spki);
	EVP_PKEY_free(key);
	return e;
}

/* @return NULL: it is no key */
static EVP_PKEY *key_from_base64(struct slice text)
{
	unsigned char der[LIMIT_KEY_RECORD_BYTES];
	const unsigned char *at = der;
	size_t len = 0;
	EVP_PKEY *key = NULL;

	if (base64_decode(text, BASE64_SKIP_FWS, der, sizeof(der), &len) == ERR_OK)
		key = d2i_AutoPrivateKey(NULL, &at, (long)len);
	OPENSSL_cleanse(der, sizeof(der));
	return key;
}

enum err keyfile_text_public(struct slice text, struct buf *ret_spki, struct err_detail *detail)
{
	EVP_PKEY *key = NULL;
	enum err e;

	if (slice_starts(text, SLICE_LIT("-----"))) {
		BIO *pem = BIO_new_mem_buf(text.ptr, (int)text.len);

		if (pem != NULL)
			key = PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, NULL);
		BIO_free(pem);
	} else {
		key = key_from_base64(text);
	}
	if (key == NULL) {
		err_detail_set(detail,
			       "the key in the KeyTable is neither PEM nor base64 of a key");
		return ERR_KEY_BAD;
	}
	e = add_public(key, ret_spki);
	EVP_PKEY_free(key);
	return e;
}
