/* DER from the inside out: the length of a part stands before it. */
#include "base/spki.h"

#define TAG_INTEGER 0x02
#define TAG_BIT_STRING 0x03
#define TAG_SEQUENCE 0x30

/* AlgorithmIdentifier: rsaEncryption, NULL. */
static const struct slice rsa_algorithm = SLICE_INIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d"
						     "\x01\x01\x01\x05\x00");
/* All that stands before the 32 bytes. */
static const struct slice ed25519_head = SLICE_INIT("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03"
						    "\x21\x00");

/* Bytes of a length: one, or 0x80 + n and n. */
static size_t length_bytes(size_t len)
{
	size_t n = 1;

	if (len < 0x80)
		return 1;
	for (; len > 0; len >>= 8)
		n++;
	return n;
}

static size_t whole(size_t len)
{
	return 1 + length_bytes(len) + len;
}

static void add_head(struct buf *out, char tag, size_t len)
{
	size_t more = length_bytes(len) - 1;

	buf_add_ch(out, tag);
	if (more == 0) {
		buf_add_ch(out, (char)len);
		return;
	}
	buf_add_ch(out, (char)(0x80 + more));
	while (more-- > 0)
		buf_add_ch(out, (char)(len >> (8 * more)));
}

static struct slice without_zeros(struct slice number)
{
	while (number.len > 0 && number.ptr[0] == '\0')
		number = slice_sub(number, 1, number.len);
	return number;
}

/* A number whose first bit is set would be read as negative: a zero byte comes before it. */
static size_t integer_bytes(struct slice number)
{
	return number.len + (number.len == 0 || ((unsigned char)number.ptr[0] & 0x80) != 0);
}

static void add_integer(struct buf *out, struct slice number)
{
	size_t len = integer_bytes(number);

	add_head(out, TAG_INTEGER, len);
	if (len > number.len)
		buf_add_ch(out, '\0');
	buf_add(out, number);
}

void spki_add_rsa(struct buf *out, struct slice modulus, struct slice exponent)
{
	struct slice n = without_zeros(modulus);
	struct slice e = without_zeros(exponent);
	size_t numbers = whole(integer_bytes(n)) + whole(integer_bytes(e));
	size_t bits = 1 + whole(numbers); /* the byte says: no bit is unused */

	add_head(out, TAG_SEQUENCE, rsa_algorithm.len + whole(bits));
	buf_add(out, rsa_algorithm);
	add_head(out, TAG_BIT_STRING, bits);
	buf_add_ch(out, '\0');
	add_head(out, TAG_SEQUENCE, numbers);
	add_integer(out, n);
	add_integer(out, e);
}

void spki_add_ed25519(struct buf *out, struct slice raw)
{
	buf_add(out, ed25519_head);
	buf_add(out, raw);
}
