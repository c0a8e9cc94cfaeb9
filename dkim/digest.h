/* The hashes of DKIM: the OpenSSL method of each is fetched once per process. */
#ifndef DKIM_DIGEST_H
#define DKIM_DIGEST_H

#include "base/alg.h"
#include "base/err.h"

#include <openssl/evp.h>

/** SHA-256; SHA-1 has 20 bytes. */
#define DKIM_DIGEST_MAX 32u

/** Thread-safe. @return NULL when the library refuses this hash (SHA-1 in some policies) */
const EVP_MD *dkim_digest_md(enum dkim_hash hash);

/**
 * Hash data in one go.
 * @param ret_digest DKIM_DIGEST_MAX bytes
 * @param ret_len    bytes of it that count
 * @return ERR_CRYPTO
 */
NODISCARD enum err dkim_digest(enum dkim_hash hash, struct slice data, uint8_t *ret_digest,
			       size_t *ret_len);

#endif
