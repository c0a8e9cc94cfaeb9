/* Key records: one with every algorithm; two at a name, parted by the first NUL. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dkim/keyrec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void use(const struct keyrec *record, enum dkim_alg alg)
{
	struct pubkey *key = NULL;
	unsigned bits = 0;

	if (keyrec_allows(record, alg) != DKIM_REASON_GOOD)
		return;
	if (keyrec_pubkey(record, alg, 1024, &key, &bits) == DKIM_REASON_GOOD) {
		check(key != NULL && pubkey_bits(key) == bits);
		check(pubkey_verify(key, alg, SLICE_LIT("0123456789abcdef0123456789abcdef"),
				    SLICE_LIT("no signature")) != ERR_OK);
	} else {
		check(key == NULL);
	}
	pubkey_free(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct slice text = slice_of(data, size);
	size_t cut = slice_find(text, '\0');
	struct slice records[2] = { slice_sub(text, 0, cut), slice_sub(text, cut + 1, size) };
	struct keyrec record;

	if (arena != NULL &&
	    keyrec_select(arena, records, cut == size ? 1 : 2, &record) == DKIM_REASON_GOOD)
		for (unsigned alg = 0; alg < DKIM_ALG_COUNT; alg++)
			use(&record, (enum dkim_alg)alg);
	arena_free(&arena);
	return 0;
}
