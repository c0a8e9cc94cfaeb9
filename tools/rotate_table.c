/* Replacing one row of a KeyTable file. Pure. */
#include "tools/rotate.h"

static size_t blanks_at(struct slice s)
{
	size_t n = 0;

	while (n < s.len && ch_is_wsp(s.ptr[n]))
		n++;
	return n;
}

static size_t word_at(struct slice s)
{
	size_t n = 0;

	while (n < s.len && !ch_is_fws(s.ptr[n]))
		n++;
	return n;
}

/* Bytes before the value when this line is the row of the name, else 0. */
static size_t value_start(struct slice line, struct slice name)
{
	size_t start = blanks_at(line);
	size_t len = word_at(slice_sub(line, start, line.len));

	if (!slice_eq(slice_sub(line, start, start + len), name))
		return 0;
	start += len;
	return start + blanks_at(slice_sub(line, start, line.len));
}

enum err rotate_table_replace(struct slice text, struct slice name, struct slice value,
			      struct buf *out)
{
	unsigned hits = 0;

	while (text.len != 0) {
		size_t end = slice_find(text, '\n');
		struct slice line = slice_sub(text, 0, end);
		size_t start = value_start(line, name);

		if (start != 0) {
			hits++;
			buf_add(out, slice_sub(line, 0, start));
			buf_add(out, value);
		} else {
			buf_add(out, line);
		}
		if (end < text.len)
			buf_add_ch(out, '\n');
		text = slice_sub(text, end + 1, text.len);
	}
	if (hits != 1)
		return hits == 0 ? ERR_NOT_FOUND : ERR_AMBIGUOUS;
	return out->error;
}
