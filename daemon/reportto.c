/* Recipients of reports: see reportto.h. */
#include "daemon/reportto.h"

#include "base/buf.h"
#include "dkim/address.h"

#define ADDRESS_BYTES_MAX 320u

bool reportto_is_plain(struct slice address)
{
	static const struct slice refused = SLICE_INIT("<>()[]\\,;:\"");
	size_t at = slice_find(address, '@');

	if (at == 0 || at + 1 >= address.len || address.len > ADDRESS_BYTES_MAX ||
	    slice_rfind(address, '@') != at)
		return false;
	for (size_t i = 0; i < address.len; i++)
		if (address.ptr[i] <= ' ' || address.ptr[i] > '~' ||
		    slice_find(refused, address.ptr[i]) != refused.len)
			return false;
	return true;
}

/* Up to the next comma that is not in a quoted string. */
static struct slice next_entry(struct slice *rest)
{
	struct slice all = *rest;
	bool quoted = false;
	size_t i;

	for (i = 0; i < all.len && (quoted || all.ptr[i] != ','); i++) {
		if (all.ptr[i] == '"')
			quoted = !quoted;
		if (all.ptr[i] == '\\' && i + 1 < all.len)
			i++;
	}
	*rest = slice_sub(all, i + 1, all.len);
	return slice_trim(slice_sub(all, 0, i));
}

/* @return ERR_SYNTAX: no plain address */
static enum err read_entry(struct slice entry, struct arena *arena, struct slice *ret_address)
{
	AUTO(buf_done) struct buf text;
	struct dkim_address address;
	size_t count = 0;
	enum err err;

	buf_init(&text, ADDRESS_BYTES_MAX);
	err = dkim_address_parse(arena, entry, &address, &count);
	if (err != ERR_OK || count != 1)
		return err == ERR_NOMEM ? err : ERR_SYNTAX;
	buf_add(&text, address.local);
	buf_add_ch(&text, '@');
	buf_add(&text, address.domain);
	if (!reportto_is_plain(buf_slice(&text)))
		return ERR_SYNTAX;
	return arena_dup(arena, buf_slice(&text), ret_address);
}

enum err reportto_init(struct reportto *to, const char *bcc, struct arena *arena,
		       size_t *ret_skipped)
{
	struct slice rest = slice_str(bcc);

	*to = (struct reportto){ .count = 1 };
	*ret_skipped = 0;
	while (rest.len != 0) {
		struct slice entry = next_entry(&rest);
		enum err err = ERR_SYNTAX;

		if (slice_empty(entry))
			continue;
		if (to->count < REPORTTO_MAX)
			err = read_entry(entry, arena, &to->recipients[to->count]);
		if (err == ERR_NOMEM)
			return err;
		if (err == ERR_OK)
			to->count++;
		else
			(*ret_skipped)++;
	}
	return ERR_OK;
}
