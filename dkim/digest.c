/* Hash methods, fetched once: EVP_sha256() would be looked up again at every EVP_DigestInit_ex().
 */
#include "dkim/digest.h"

#include <stdatomic.h>

static const char *const names[] = {
	[DKIM_HASH_SHA256] = "SHA2-256",
	[DKIM_HASH_SHA1] = "SHA1",
};
static _Atomic(EVP_MD *) methods[ARRAY_LEN(names)];

/* Not pthread_once(): a fetch that failed for want of memory must be tried again. */
const EVP_MD *dkim_digest_md(enum dkim_hash hash)
{
	EVP_MD *md = atomic_load_explicit(&methods[hash], memory_order_acquire);
	EVP_MD *expected = NULL;

	if (md != NULL)
		return md;
	md = EVP_MD_fetch(NULL, names[hash], NULL);
	if (md == NULL || atomic_compare_exchange_strong(&methods[hash], &expected, md))
		return md;
	EVP_MD_free(md); /* another thread was first */
	return expected;
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
