/* DER of RSA public keys. */
#include "dkim/rsader.h"

enum der_tag {
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_SEQUENCE = 0x30,
};

/* The AlgorithmIdentifier of rsaEncryption, 1.2.840.113549.1.1.1, without its parameters. */
static const struct slice rsa_oid = SLICE_INIT("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
static const struct slice der_null = SLICE_INIT("\x05\x00");

/* Cut one element of this tag off the front. Lengths of one to three bytes in their shortest form:
 * no key is longer than 65,535 bytes. */
static bool take(struct slice *rest, enum der_tag tag, struct slice *ret_content)
{
	const unsigned char *p = (const unsigned char *)rest->ptr;
	size_t head = 2;
	size_t len;

	if (rest->len < 2 || p[0] != (unsigned char)tag)
		return false;
	len = p[1];
	if (p[1] == 0x81 && rest->len >= 3) {
		head = 3;
		len = p[2];
	} else if (p[1] == 0x82 && rest->len >= 4) {
		head = 4;
		len = (size_t)p[2] << 8 | p[3];
	}
	if ((head == 2 && len > 0x7f) || (head == 3 && len < 0x80) || (head == 4 && len < 0x100) ||
	    len > rest->len - head)
		return false;
	*ret_content = slice_sub(*rest, head, head + len);
	*rest = slice_sub(*rest, head + len, rest->len);
	return true;
}

/* An INTEGER above zero in its shortest form. */
static bool take_number(struct slice *rest, struct slice *ret_number)
{
	struct slice number;

	if (!take(rest, DER_INTEGER, &number) || number.len == 0 ||
	    ((unsigned char)number.ptr[0] & 0x80) != 0)
		return false;
	if (number.ptr[0] == 0) {
		number = slice_sub(number, 1, number.len);
		if (number.len == 0 || ((unsigned char)number.ptr[0] & 0x80) == 0)
			return false;
	}
	*ret_number = number;
	return true;
}

static bool parse_key(struct slice der, struct rsa_numbers *ret_numbers)
{
	struct slice numbers;
	struct rsa_numbers found;

	if (!take(&der, DER_SEQUENCE, &numbers) || der.len != 0 ||
	    !take_number(&numbers, &found.modulus) || !take_number(&numbers, &found.exponent) ||
	    numbers.len != 0)
		return false;
	*ret_numbers = found;
	return true;
}

static bool unwrap_spki(struct slice der, struct slice *ret_key)
{
	struct slice info;
	struct slice algorithm;
	struct slice parameters;
	struct slice bits;

	if (!take(&der, DER_SEQUENCE, &info) || der.len != 0 ||
	    !take(&info, DER_SEQUENCE, &algorithm) || !take(&info, DER_BIT_STRING, &bits) ||
	    info.len != 0 || !slice_starts(algorithm, rsa_oid))
		return false;
	parameters = slice_sub(algorithm, rsa_oid.len, algorithm.len);
	if (parameters.len != 0 && !slice_eq(parameters, der_null))
		return false;
	/* The first byte counts unused bits: none. */
	if (bits.len == 0 || bits.ptr[0] != 0)
		return false;
	*ret_key = slice_sub(bits, 1, bits.len);
	return true;
}

bool rsader_parse(struct slice der, struct rsa_numbers *ret_numbers)
{
	struct slice key;

	return parse_key(unwrap_spki(der, &key) ? key : der, ret_numbers);
}

size_t rsader_bits(struct slice number)
{
	unsigned char top = (unsigned char)number.ptr[0];
	size_t bits = (number.len - 1) * 8;

	while (top != 0) {
		bits++;
		top >>= 1;
	}
	return bits;
}
