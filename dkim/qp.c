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

/* @return 0 to 15, or -1. RFC 6376 writes upper case; lower case is read, too. */
static int hex_value(char c)
{
	if (ch_is_digit(c))
		return c - '0';
	c = ch_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err dkim_qp_decode(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		int high;
		int low;

		if (ch_is_fws(text.ptr[i]))
			continue;
		if (text.ptr[i] != '=') {
			buf_add_ch(out, text.ptr[i]);
			continue;
		}
		if (text.len - i < 3)
			return ERR_SYNTAX;
		high = hex_value(text.ptr[i + 1]);
		low = hex_value(text.ptr[i + 2]);
		if (high < 0 || low < 0)
			return ERR_SYNTAX;
		buf_add_ch(out, (char)(high << 4 | low));
		i += 2;
	}
	return out->error;
}
