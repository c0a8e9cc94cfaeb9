/* DKIM-Quoted-Printable. */
#include "dkim/qp.h"

/* RFC 8616 lets UTF-8 stand as it is in EAI mail; encoded, it is right in every mail. */
static bool is_safe(char c)
{
	return c > ' ' && c < 127 && c != ';' && c != '=';
}

void dkim_qp_encode(struct slice text, struct slice also, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (is_safe(c) && slice_find(also, c) == also.len) {
			buf_add_ch(out, c);
			continue;
		}
		buf_add_ch(out, '=');
		buf_add_ch(out, hex[(unsigned char)c >> 4]);
		buf_add_ch(out, hex[(unsigned char)c & 15]);
	}
}
