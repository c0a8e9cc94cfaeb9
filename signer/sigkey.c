/* Keys as the milter knows them: see client.h. */
#include "signer/sigkey.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct sigkey *sigkey_ref(struct sigkey *key)
{
	atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
	return key;
}

void sigkey_unref(struct sigkey **key)
{
	struct sigkey *k;

	if (key == NULL || *key == NULL)
		return;
	k = *key;
	*key = NULL;
	if (atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(k->name);
	free(k->domain);
	free(k->selector);
	free(k->pubkey);
	free(k);
}

struct sigkey *sigkey_new(struct slice name, const struct wire_msg *answer)
{
	struct sigkey *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return NULL;
	atomic_init(&key->refs, 1);
	key->name = slice_dup(name);
	key->domain = slice_dup(answer->domain);
	key->selector = slice_dup(answer->selector);
	key->pubkey = (unsigned char *)slice_dup(answer->bytes);
	key->pubkey_len = answer->bytes.len;
	key->alg = answer->alg;
	key->bits = answer->bits;
	key->wants_input = answer->wants_input;
	if (key->name == NULL || key->domain == NULL || key->selector == NULL ||
	    key->pubkey == NULL ||
	    EVP_Digest(answer->bytes.ptr, answer->bytes.len, key->fingerprint, NULL, EVP_sha256(),
		       NULL) != 1)
		sigkey_unref(&key);
	return key;
}
