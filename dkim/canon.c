/* Canonicalization of header fields, and the names of the two algorithms. */
#include "dkim/canon.h"

static const struct slice names[] = {
	[DKIM_CANON_SIMPLE] = SLICE_INIT("simple"),
	[DKIM_CANON_RELAXED] = SLICE_INIT("relaxed"),
};

struct slice dkim_canon_name(enum dkim_canon c)
{
	return names[c];
}

bool dkim_canon_find(struct slice name, enum dkim_canon *ret_canon)
{
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (slice_ieq(name, names[i])) {
			*ret_canon = (enum dkim_canon)i;
			return true;
		}
	}
	return false;
}

static void add_lower(struct slice name, struct buf *out)
{
	while (name.len != 0 && ch_is_wsp(name.ptr[name.len - 1]))
		name.len--;
	for (size_t i = 0; i < name.len; i++)
		buf_add_ch(out, ch_lower(name.ptr[i]));
}

/* A CRLF of a fold. The WSP behind it is part of the run around it and not of this. */
static bool is_crlf(struct slice s, size_t i)
{
	return s.ptr[i] == '\r' && i + 1 < s.len && s.ptr[i + 1] == '\n';
}

/* Index behind the run of WSP and fold CRLFs that starts at i. */
static size_t skip_blanks(struct slice s, size_t i, bool *ret_wsp)
{
	*ret_wsp = false;
	while (i < s.len) {
		if (ch_is_wsp(s.ptr[i])) {
			*ret_wsp = true;
			i++;
		} else if (is_crlf(s, i)) {
			i += 2;
		} else {
			break;
		}
	}
	return i;
}

/* RFC 6376 section 3.4.2: unfold, runs of WSP become one space, none at either end. */
static void add_relaxed_value(struct slice value, struct buf *out)
{
	bool wsp;
	size_t i = skip_blanks(value, 0, &wsp);

	while (i < value.len) {
		size_t start = i;

		while (i < value.len && !ch_is_wsp(value.ptr[i]) && !is_crlf(value, i))
			i++;
		buf_add(out, slice_sub(value, start, i));
		i = skip_blanks(value, i, &wsp);
		if (wsp && i < value.len)
			buf_add_ch(out, ' ');
	}
}

void dkim_canon_header_open(enum dkim_canon c, struct slice name, struct slice value,
			    struct buf *out)
{
	if (c == DKIM_CANON_SIMPLE) {
		buf_add(out, name);
		buf_add_ch(out, ':');
		buf_add(out, value);
		return;
	}
	add_lower(name, out);
	buf_add_ch(out, ':');
	add_relaxed_value(value, out);
}

void dkim_canon_header(enum dkim_canon c, struct slice name, struct slice value, struct buf *out)
{
	dkim_canon_header_open(c, name, value, out);
	buf_add(out, SLICE_LIT("\r\n"));
}
