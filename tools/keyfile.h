/* Private keys in PEM files, and the public half as a key record has it. OpenSSL's EVP only. */
#ifndef TOOLS_KEYFILE_H
#define TOOLS_KEYFILE_H

#include "base/alg.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/** What a key record says of a key. */
struct pubtext {
	enum key_type type;
	unsigned bits;
	struct buf
		p; /**< p=, base64: RSA a SubjectPublicKeyInfo, Ed25519 the 32 bytes (RFC 8463) */
};

void pubtext_done(struct pubtext *text);

/**
 * @param spki SubjectPublicKeyInfo, DER
 * @return ERR_KEY_BAD, ERR_NOT_SUPPORTED (neither RSA nor Ed25519), ERR_NOMEM
 */
NODISCARD enum err pubtext_from_spki(struct slice spki, struct pubtext *ret_text);

/**
 * Make a key and write it to a file that must not exist, PKCS#8 PEM, mode 0600.
 * @param bits     RSA only
 * @param ret_spki its public half, appended
 * @return as outfile_create(); ERR_CRYPTO
 */
NODISCARD enum err keyfile_make(const char *path, enum key_type type, unsigned bits,
				struct buf *ret_spki, struct err_detail *detail);

/** The public half of a PEM file, appended. @return ERR_IO, ERR_KEY_BAD (also: with a passphrase)
 */
NODISCARD enum err keyfile_read_public(const char *path, struct buf *ret_spki,
				       struct err_detail *detail);

/** The same of a key that stands in a KeyTable: PEM, or the base64 of its DER. */
NODISCARD enum err keyfile_text_public(struct slice text, struct buf *ret_spki,
				       struct err_detail *detail);

#endif
