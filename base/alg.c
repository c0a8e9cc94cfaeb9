/* The algorithm registry. */
#include "base/alg.h"

static const struct dkim_alg_info algs[DKIM_ALG_COUNT] = {
	[DKIM_ALG_RSA_SHA256] = {
		.name = SLICE_INIT("rsa-sha256"),
		.key_name = SLICE_INIT("rsa"),
		.hash_name = SLICE_INIT("sha256"),
		.key_type = KEY_TYPE_RSA,
		.hash = DKIM_HASH_SHA256,
		.min_bits = 1024,
		.max_bits = 8192,
		.max_sig_bytes = 1024,
		.may_sign = true,
	},
	[DKIM_ALG_ED25519_SHA256] = {
		.name = SLICE_INIT("ed25519-sha256"),
		.key_name = SLICE_INIT("ed25519"),
		.hash_name = SLICE_INIT("sha256"),
		.key_type = KEY_TYPE_ED25519,
		.hash = DKIM_HASH_SHA256,
		.min_bits = 256,
		.max_bits = 256,
		.max_sig_bytes = 64,
		.may_sign = true,
	},
	[DKIM_ALG_RSA_SHA1] = {
		.name = SLICE_INIT("rsa-sha1"),
		.key_name = SLICE_INIT("rsa"),
		.hash_name = SLICE_INIT("sha1"),
		.key_type = KEY_TYPE_RSA,
		.hash = DKIM_HASH_SHA1,
		.min_bits = 1024,
		.max_bits = 8192,
		.max_sig_bytes = 1024,
		.may_sign = false,
	},
};

const struct dkim_alg_info *dkim_alg_info(enum dkim_alg alg)
{
	return &algs[alg];
}

bool dkim_alg_find(struct slice name, enum dkim_alg *ret_alg)
{
	for (unsigned i = 0; i < DKIM_ALG_COUNT; i++) {
		if (slice_ieq(name, algs[i].name)) {
			*ret_alg = (enum dkim_alg)i;
			return true;
		}
	}
	return false;
}

enum dkim_alg dkim_alg_for_key(enum key_type type)
{
	return type == KEY_TYPE_RSA ? DKIM_ALG_RSA_SHA256 : DKIM_ALG_ED25519_SHA256;
}

const char *key_type_name(enum key_type type)
{
	return type == KEY_TYPE_RSA ? "rsa" : "ed25519";
}
