/* Private keys in files, or as text in the KeyTable. */
#ifndef SIGNER_FILEKEY_H
#define SIGNER_FILEKEY_H

#include "base/alg.h"
#include "base/err.h"
#include "base/pubkey.h"

struct filekey;

/**
 * From PEM, or from DER in base64 as OpenDKIM's KeyTable has it.
 * @param text is not kept; the caller wipes it
 * @return ERR_KEY_BAD (no key, a key with a passphrase, neither RSA nor Ed25519) with a detail,
 * ERR_NOMEM
 */
NODISCARD enum err filekey_from_text(struct slice text, struct filekey **ret_key,
				     struct err_detail *detail);

/**
 * From a file; with safe_only as RequireSafeKeys wants it (base/safefile.h).
 * @return ERR_KEY_MISSING, ERR_FILE_UNSAFE, ERR_KEY_BAD, ERR_NOMEM with a detail that names the
 * path
 */
NODISCARD enum err filekey_from_path(const char *path, bool safe_only, struct filekey **ret_key,
				     struct err_detail *detail);
void filekey_free(struct filekey **key);

/** Borrowed from the key. */
const struct pubkey *filekey_pubkey(const struct filekey *key);

/**
 * @param digest    32 bytes
 * @param signature room for LIMIT_SIGNATURE_BYTES
 * @return ERR_CRYPTO; ERR_KEY_BAD (alg is for another type)
 */
NODISCARD enum err filekey_sign(const struct filekey *key, enum dkim_alg alg, struct slice digest,
				unsigned char *signature, size_t *ret_len);

#endif
