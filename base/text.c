/* Foreign bytes made safe for a log line. */
#include "base/text.h"

#include <stdio.h>

size_t text_utf8_len(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t n;
	unsigned min;
	unsigned cp;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		n = 2;
		min = 0x80;
		cp = p[0] & 0x1fU;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		n = 3;
		min = 0x800;
		cp = p[0] & 0x0fU;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		n = 4;
		min = 0x10000;
		cp = p[0] & 0x07U;
	} else {
		return 0;
	}
	if (s.len < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3fU);
	}
	/* C1 controls, surrogates and what is above Unicode are no text either. */
	if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff) ||
	    (cp >= 0x80 && cp < 0xa0))
		return 0;
	return n;
}

const char *text_sanitize(struct slice s, char *out, size_t out_size)
{
	size_t room = out_size - 4; /* "..." and the NUL */
	size_t len = 0;
	size_t i = 0;

	while (i < s.len) {
		unsigned char c = (unsigned char)s.ptr[i];
		size_t n = text_utf8_len(slice_sub(s, i, s.len));
		char piece[8];

		if (c == '\\')
			(void)snprintf(piece, sizeof(piece), "\\\\");
		else if (n == 0 || c < 0x20 || c == 0x7f)
			(void)snprintf(piece, sizeof(piece), "\\x%02x", c);
		else
			(void)snprintf(piece, sizeof(piece), "%.*s", (int)n, s.ptr + i);
		if (strlen(piece) > room - len) {
			memcpy(out + len, "...", 3);
			len += 3;
			break;
		}
		memcpy(out + len, piece, strlen(piece));
		len += strlen(piece);
		i += n != 0 ? n : 1;
	}
	out[len] = '\0';
	return out;
}
