/* Private keys in files. */
#include "signer/filekey.h"

#include "base/base64.h"
#include "base/limits.h"
#include "base/safefile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_BYTES 65536u

struct filekey {
	EVP_PKEY *pkey;
	struct pubkey *pubkey;
};

void filekey_free(struct filekey **key)
{
	if (key == NULL || *key == NULL)
		return;
	EVP_PKEY_free((*key)->pkey);
	pubkey_free(&(*key)->pubkey);
	free(*key);
	*key = NULL;
}

/* A daemon has nobody to ask: OpenSSL's default would read the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)ctx = true;
	return -1;
}

static EVP_PKEY *read_pem(struct slice text, bool *ret_encrypted)
{
	BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
	EVP_PKEY *pkey = NULL;

	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, ret_encrypted);
	BIO_free(bio);
	return pkey;
}

static EVP_PKEY *read_base64_der(struct slice text)
{
	unsigned char *der = malloc(KEY_FILE_BYTES);
	const unsigned char *p = der;
	EVP_PKEY *pkey = NULL;
	size_t len = 0;

	if (der == NULL)
		return NULL;
	if (base64_decode(text, BASE64_SKIP_FWS, der, KEY_FILE_BYTES, &len) == ERR_OK)
		pkey = d2i_AutoPrivateKey(NULL, &p, (long)len);
	OPENSSL_cleanse(der, KEY_FILE_BYTES);
	free(der);
	return pkey;
}

static enum err wrap(EVP_PKEY *pkey, struct filekey **ret_key, struct err_detail *detail)
{
	struct filekey *key = calloc(1, sizeof(*key));
	unsigned char *spki = NULL;
	int len = i2d_PUBKEY(pkey, &spki);
	enum err e = ERR_KEY_BAD;

	if (key == NULL) {
		EVP_PKEY_free(pkey);
		OPENSSL_free(spki);
		return ERR_NOMEM;
	}
	key->pkey = pkey;
	if (len > 0)
		e = pubkey_from_spki(slice_of(spki, (size_t)len), &key->pubkey);
	OPENSSL_free(spki);
	if (e != ERR_OK) {
		err_detail_set(detail, "only RSA and Ed25519 keys sign mail: make another key with "
				       "hsmdkim-genkey");
		filekey_free(&key);
		return e;
	}
	*ret_key = key;
	return ERR_OK;
}

enum err filekey_from_text(struct slice text, struct filekey **ret_key, struct err_detail *detail)
{
	bool encrypted = false;
	EVP_PKEY *pkey = NULL;

	if (text.len <= KEY_FILE_BYTES)
		pkey = read_pem(text, &encrypted);
	if (pkey == NULL && !encrypted && text.len <= KEY_FILE_BYTES)
		pkey = read_base64_der(text);
	ERR_clear_error();
	if (pkey == NULL) {
		err_detail_set(detail, "%s",
			       encrypted       ? "the key has a passphrase: store it without one "
						 "(openssl pkey -in FILE -out NEW)"
			       : text.len == 0 ? "empty: make a key with hsmdkim-genkey"
					       : "no private key in PEM: name the SELECTOR.private "
						 "that genkey made, not the record");
		return ERR_KEY_BAD;
	}
	return wrap(pkey, ret_key, detail);
}

/* @return the bytes read, -1 with errno; at most size */
static ssize_t read_file(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, out, size);
	else
		errno = EINVAL;
	(void)close(fd);
	return n;
}

enum err filekey_from_path(const char *path, bool safe_only, struct filekey **ret_key,
			   struct err_detail *detail)
{
	char *text;
	ssize_t n;
	enum err e = ERR_OK;

	if (safe_only) {
		e = safefile_check(path, geteuid(), detail);
		if (e != ERR_OK)
			return e == ERR_IO ? ERR_KEY_MISSING : e;
	}
	text = malloc(KEY_FILE_BYTES + 1);
	if (text == NULL)
		return ERR_NOMEM;
	n = read_file(path, text, KEY_FILE_BYTES + 1);
	if (n < 0) {
		safefile_explain(path, errno, detail);
		e = ERR_KEY_MISSING;
	} else {
		e = filekey_from_text(slice_of(text, (size_t)n), ret_key, detail);
		if (e != ERR_OK)
			err_detail_prefix(detail, "%s: ", path);
	}
	OPENSSL_cleanse(text, KEY_FILE_BYTES + 1);
	free(text);
	return e;
}

const struct pubkey *filekey_pubkey(const struct filekey *key)
{
	return key->pubkey;
}

static bool sign_rsa(EVP_PKEY *pkey, struct slice digest, unsigned char *signature, size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		  EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		  EVP_PKEY_sign(ctx, signature, len, (const unsigned char *)digest.ptr,
				digest.len) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool sign_ed25519(EVP_PKEY *pkey, struct slice digest, unsigned char *signature, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		  EVP_DigestSign(ctx, signature, len, (const unsigned char *)digest.ptr,
				 digest.len) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

enum err filekey_sign(const struct filekey *key, enum dkim_alg alg, struct slice digest,
		      unsigned char *signature, size_t *ret_len)
{
	size_t len = LIMIT_SIGNATURE_BYTES;
	bool ok;

	if (dkim_alg_info(alg)->key_type != pubkey_type(key->pubkey) || digest.len != 32)
		return ERR_KEY_BAD;
	if (pubkey_type(key->pubkey) == KEY_TYPE_RSA)
		ok = sign_rsa(key->pkey, digest, signature, &len);
	else
		ok = sign_ed25519(key->pkey, digest, signature, &len);
	ERR_clear_error();
	if (!ok || pubkey_verify(key->pubkey, alg, digest, slice_of(signature, len)) != ERR_OK)
		return ERR_CRYPTO;
	*ret_len = len;
	return ERR_OK;
}
