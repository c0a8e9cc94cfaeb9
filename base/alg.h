/* The signature algorithms: rows of one registry, so that a new one is a row and not a hunt for
 * switches. */
#ifndef BASE_ALG_H
#define BASE_ALG_H

#include "base/slice.h"

#include <stdint.h>

enum key_type { KEY_TYPE_RSA, KEY_TYPE_ED25519 };

/** The order is the order in which several signatures of one key name are made. */
enum dkim_alg { DKIM_ALG_RSA_SHA256, DKIM_ALG_ED25519_SHA256, DKIM_ALG_RSA_SHA1, DKIM_ALG_COUNT };

enum dkim_hash { DKIM_HASH_SHA256, DKIM_HASH_SHA1 };

struct dkim_alg_info {
	struct slice name;	/**< a=, RFC 6376 section 3.3 and RFC 8463 */
	struct slice key_name;	/**< k= of the key record */
	struct slice hash_name; /**< h= of the key record */
	enum key_type key_type;
	enum dkim_hash hash;
	unsigned min_bits; /**< hard floor (RFC 8301); MinimumKeyBits may ask for more */
	unsigned max_bits;
	unsigned max_sig_bytes;
	bool may_sign; /**< false: verify only (RFC 8301 section 3.1) */
};

/** @return the row; alg must be in range */
const struct dkim_alg_info *dkim_alg_info(enum dkim_alg alg);

/** Find by a= name, ASCII case does not matter. @return false: unknown */
NODISCARD bool dkim_alg_find(struct slice name, enum dkim_alg *ret_alg);

/** The algorithm with which a key of this type signs. */
enum dkim_alg dkim_alg_for_key(enum key_type type);

/** "rsa", "ed25519" */
const char *key_type_name(enum key_type type);

#endif
