/* Hash methods, fetched once: EVP_sha256() would be looked up again at every EVP_DigestInit_ex().
 */
#include "dkim/digest.h"

#include <pthread.h>

static const char *const names[] = {
	[DKIM_HASH_SHA256] = "SHA2-256",
	[DKIM_HASH_SHA1] = "SHA1",
};
static EVP_MD *methods[ARRAY_LEN(names)];
static pthread_once_t methods_once = PTHREAD_ONCE_INIT;

static void fetch_methods(void)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		methods[i] = EVP_MD_fetch(NULL, names[i], NULL);
}

const EVP_MD *dkim_digest_md(enum dkim_hash hash)
{
	(void)pthread_once(&methods_once, fetch_methods);
	return methods[hash];
}

enum err dkim_digest(enum dkim_hash hash, struct slice data, uint8_t *ret_digest, size_t *ret_len)
{
	const EVP_MD *md = dkim_digest_md(hash);
	unsigned len = 0;

	if (md == NULL || EVP_Digest(data.ptr, data.len, ret_digest, &len, md, NULL) != 1)
		return ERR_CRYPTO;
	*ret_len = len;
	return ERR_OK;
}
