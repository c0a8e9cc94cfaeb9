/* Authentication-Results: a field that can be read belongs to the id that it shows and to no other;
 * with our id put before it, it is ours. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dkim/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_prefixed(struct arena *arena, struct slice value)
{
	struct authres ar;
	struct slice text;
	struct buf b;

	buf_init(&b, (size_t)LIMIT_HEADER_BYTES_DEFAULT * 2);
	buf_add_str(&b, "mx.example.com;");
	buf_add(&b, value);
	check(buf_finish(&b, &text) == ERR_OK);
	if (authres_parse(arena, text, &ar) == ERR_OK)
		check(ar.id_readable && authres_claims(&ar, SLICE_LIT("MX.example.com.")));
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct slice value = slice_of(data, size);
	struct authres ar;

	if (arena != NULL && size < LIMIT_HEADER_BYTES_DEFAULT &&
	    authres_parse(arena, value, &ar) == ERR_OK) {
		check(ar.id.len <= size && ar.joined.len <= size && ar.squeezed.len <= size);
		check(!ar.id_readable || ar.id.len != 0);
		if (ar.id.len != 0)
			check(authres_claims(&ar, ar.id));
		check_prefixed(arena, value);
	}
	arena_free(&arena);
	return 0;
}
