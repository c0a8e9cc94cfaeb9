/* Address fields: what was accepted, written down again in its plainest form, reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "dkim/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void add_quoted(struct slice local, struct buf *out)
{
	buf_add_ch(out, '"');
	for (size_t i = 0; i < local.len; i++) {
		if (local.ptr[i] == '"' || local.ptr[i] == '\\')
			buf_add_ch(out, '\\');
		buf_add_ch(out, local.ptr[i]);
	}
	buf_add_ch(out, '"');
}

static void read_back(struct arena *arena, const struct dkim_address *a)
{
	struct dkim_address again;
	struct slice text;
	struct buf b;
	size_t count;

	buf_init(&b, LIMIT_MESSAGE_ARENA_BYTES);
	add_quoted(a->local, &b);
	buf_add_ch(&b, '@');
	buf_add(&b, a->domain);
	check(buf_finish(&b, &text) == ERR_OK);
	check(dkim_address_parse(arena, text, &again, &count) == ERR_OK && count == 1);
	check(slice_eq(again.local, a->local) && slice_eq(again.domain, a->domain));
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct dkim_address a;
	size_t count = 0;

	if (arena != NULL && size < LIMIT_HEADER_BYTES_DEFAULT &&
	    dkim_address_parse(arena, slice_of(data, size), &a, &count) == ERR_OK && count != 0) {
		check(a.local.len != 0);
		check(a.domain.ptr[0] == '[' || dkim_domain_valid(a.domain));
		read_back(arena, &a);
	}
	arena_free(&arena);
	return 0;
}
