/* Signature fields: what is kept of one is safe to print, whatever the reason; what is accepted has
 * all that a verifier needs. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dkim/domain.h"
#include "dkim/sighdr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_safe(const struct sighdr *sig)
{
	check(sig->domain.len == 0 || dkim_domain_valid(sig->domain));
	check(sig->selector.len == 0 || dkim_domain_valid(sig->selector));
	check(sig->identity_domain.len == 0 || dkim_domain_valid(sig->identity_domain));
	for (size_t i = 0; i < sig->identity_local.len; i++)
		check((unsigned char)sig->identity_local.ptr[i] >= 0x20);
	for (size_t i = 0; i < sig->b_text.len; i++)
		check(sig->b_text.ptr[i] > ' ' && sig->b_text.ptr[i] < 0x7f);
}

static void check_complete(const struct sighdr *sig, size_t size)
{
	check(sig->has_alg && sig->domain.len != 0 && sig->selector.len != 0);
	check(sig->signature.len != 0 && sig->body_hash.len == 32);
	check(sig->names_count != 0 && sig->names_count <= LIMIT_H_LISTED);
	check(sig->hashed.len < size);
	check(sig->key_name.len == strlen(sig->key_name.text));
	check(dkim_domain_valid(slice_of(sig->key_name.text, sig->key_name.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sighdr_time time = { .now = 1528637909, .drift_s = 300 };
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	enum dkim_reason reason;
	struct sighdr sig;

	if (arena != NULL &&
	    sighdr_parse(arena, slice_of(data, size), &time, &sig, &reason) == ERR_OK) {
		check_safe(&sig);
		if (reason == DKIM_REASON_GOOD)
			check_complete(&sig, size);
	}
	arena_free(&arena);
	return 0;
}
