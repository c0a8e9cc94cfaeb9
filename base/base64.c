/* Base64 in both directions. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_len(size_t n)
{
	size_t groups = n / 3 + (n % 3 != 0 ? 1 : 0);

	return groups > SIZE_MAX / 4 ? SIZE_MAX : groups * 4;
}

/* n is 1 to 3 bytes. */
static void encode_group(const unsigned char *in, size_t n, char out[4])
{
	uint32_t bits = (uint32_t)in[0] << 16;

	if (n > 1)
		bits |= (uint32_t)in[1] << 8;
	if (n > 2)
		bits |= in[2];
	out[0] = alphabet[bits >> 18];
	out[1] = alphabet[bits >> 12 & 63];
	out[2] = n > 1 ? alphabet[bits >> 6 & 63] : '=';
	out[3] = n > 2 ? alphabet[bits & 63] : '=';
}

void base64_encode(struct slice data, struct buf *out)
{
	const unsigned char *in = (const unsigned char *)data.ptr;
	size_t left = data.len;

	while (left != 0) {
		size_t n = left < 3 ? left : 3;
		char group[4];

		encode_group(in, n, group);
		buf_add(out, slice_of(group, sizeof(group)));
		in += n;
		left -= n;
	}
}

/* @return 0 to 63, or -1: not in the alphabet */
static int char_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ch_is_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

struct decoder {
	uint32_t bits;	/* of the group that is open */
	unsigned chars; /* characters of it */
	unsigned pads;	/* '=' seen */
	uint8_t *out;
	size_t out_size;
	size_t len;
};

static enum err put_byte(struct decoder *d, uint32_t byte)
{
	if (d->len == d->out_size)
		return ERR_LIMIT;
	d->out[d->len++] = (uint8_t)byte;
	return ERR_OK;
}

static enum err add_char(struct decoder *d, char c)
{
	int value = char_value(c);
	enum err e = ERR_OK;

	if (value < 0 || d->pads != 0)
		return ERR_SYNTAX;
	d->bits = d->bits << 6 | (uint32_t)value;
	if (++d->chars < 4)
		return ERR_OK;
	for (unsigned shift = 24; shift != 0 && e == ERR_OK; shift -= 8)
		e = put_byte(d, d->bits >> (shift - 8) & 255);
	d->bits = 0;
	d->chars = 0;
	return e;
}

/* The last group: two characters are one byte and "==", three are two bytes and "=". */
static enum err end_group(struct decoder *d)
{
	enum err e;

	if (d->chars == 0)
		return d->pads == 0 ? ERR_OK : ERR_SYNTAX;
	if (d->chars == 1 || d->chars + d->pads != 4)
		return ERR_SYNTAX;
	if (d->chars == 2)
		return (d->bits & 15) != 0 ? ERR_SYNTAX : put_byte(d, d->bits >> 4);
	if ((d->bits & 3) != 0)
		return ERR_SYNTAX;
	e = put_byte(d, d->bits >> 10);
	return e != ERR_OK ? e : put_byte(d, d->bits >> 2 & 255);
}

enum err base64_decode(struct slice text, enum base64_blanks blanks, uint8_t *out, size_t out_size,
		       size_t *ret_len)
{
	struct decoder d = { .out = out, .out_size = out_size };
	enum err e;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (blanks == BASE64_SKIP_FWS && ch_is_fws(c))
			continue;
		if (c == '=' && d.chars != 0 && d.pads < 2) {
			d.pads++;
			continue;
		}
		e = add_char(&d, c);
		if (e != ERR_OK)
			return e;
	}
	e = end_group(&d);
	if (e == ERR_OK)
		*ret_len = d.len;
	return e;
}
