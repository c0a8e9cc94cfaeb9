/* New private keys in PEM files. OpenSSL's EVP only, never a shell. */
#include "tools/keyfile.h"

#include "tools/outfile.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static enum err take_public(EVP_PKEY *key, struct pubkey **ret_key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	enum err e = ERR_CRYPTO;

	if (len > 0)
		e = pubkey_from_spki(slice_of(der, (size_t)len), ret_key);
	OPENSSL_free(der);
	return e;
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

enum err keyfile_make(const char *path, enum key_type type, unsigned bits, struct pubkey **ret_key,
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
		e = take_public(key, ret_key);
	EVP_PKEY_free(key);
	return e;
}
