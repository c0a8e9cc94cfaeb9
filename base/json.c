/* One JSON string: see json.h. */
#include "base/json.h"

#include "base/text.h"

void json_add_string(struct slice s, struct buf *out)
{
	buf_add_ch(out, '"');
	while (s.len > 0) {
		size_t n = text_utf8_len(s);
		unsigned char c = (unsigned char)s.ptr[0];

		if (n == 0)
			buf_add_str(out, "\\ufffd");
		else if (c == '"' || c == '\\')
			buf_add_fmt(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_add_fmt(out, "\\u%04x", c);
		else
			buf_add(out, slice_sub(s, 0, n));
		s = slice_sub(s, n != 0 ? n : 1, s.len);
	}
	buf_add_ch(out, '"');
}
