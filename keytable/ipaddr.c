/* Addresses and CIDR blocks. */
#include "keytable/ipaddr.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const unsigned char v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void from_v4(const void *four, struct ipaddr *ret_addr)
{
	memcpy(ret_addr->bytes, v4_prefix, sizeof(v4_prefix));
	memcpy(ret_addr->bytes + sizeof(v4_prefix), four, 4);
}

bool ipaddr_from_sockaddr(const struct sockaddr *sa, struct ipaddr *ret_addr)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		from_v4(&in.sin_addr, ret_addr);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(ret_addr->bytes, &in6.sin6_addr, sizeof(ret_addr->bytes));
		return true;
	}
	return false;
}

bool ipaddr_is_v4(const struct ipaddr *a)
{
	return memcmp(a->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

void ipaddr_mask(struct ipaddr *a, unsigned bits)
{
	for (unsigned i = 0; i < sizeof(a->bytes); i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			a->bytes[i] &= (unsigned char)(0xff00U >> keep);
	}
}

const char *ipaddr_text(const struct ipaddr *a, char *out)
{
	bool v4 = ipaddr_is_v4(a);
	const void *bytes = v4 ? a->bytes + sizeof(v4_prefix) : a->bytes;

	if (inet_ntop(v4 ? AF_INET : AF_INET6, bytes, out, IPADDR_TEXT_MAX) == NULL)
		out[0] = '\0'; /* cannot be: there is room */
	return out;
}

static struct slice without_brackets(struct slice s)
{
	if (slice_starts(s, SLICE_LIT("[")) && slice_ends(s, SLICE_LIT("]")))
		return slice_sub(s, 1, s.len - 1);
	return s;
}

bool ipblock_looks_like(struct slice text)
{
	struct slice inner = without_brackets(text);

	if (slice_find(text, ':') != text.len || slice_find(text, '/') != text.len)
		return true;
	for (size_t i = 0; i < inner.len; i++)
		if (!ch_is_digit(inner.ptr[i]) && inner.ptr[i] != '.')
			return false;
	return slice_find(inner, '.') != 0; /* ".1" would be a suffix */
}

static bool parse_addr(struct slice text, struct ipaddr *ret_addr, bool *ret_v4)
{
	char copy[IPADDR_TEXT_MAX];
	struct in_addr v4;
	struct in6_addr v6;

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*ret_v4 = inet_pton(AF_INET, copy, &v4) == 1;
	if (*ret_v4) {
		from_v4(&v4, ret_addr);
		return true;
	}
	if (inet_pton(AF_INET6, copy, &v6) != 1)
		return false;
	memcpy(ret_addr->bytes, &v6, sizeof(ret_addr->bytes));
	return true;
}

static enum err bad_block(struct slice text, const char *why, struct err_detail *detail)
{
	char shown[80];

	err_detail_set(detail, "'%s' %s", text_sanitize(text, shown, sizeof(shown)), why);
	return ERR_CONFIG;
}

static enum err bad_host_bits(struct slice text, const struct ipaddr *net, unsigned written_bits,
			      struct err_detail *detail)
{
	char shown[80];
	char right[IPADDR_TEXT_MAX];

	err_detail_set(detail,
		       "'%s' has bits set behind the prefix; write %s/%u (OpenDKIM never matches "
		       "it)",
		       text_sanitize(text, shown, sizeof(shown)), ipaddr_text(net, right),
		       written_bits);
	return ERR_CONFIG;
}

enum err ipblock_parse(struct slice text, struct ipblock *ret_block, struct err_detail *detail)
{
	size_t slash = slice_find(text, '/');
	struct ipblock b = { .bits = IPADDR_BITS, .is_block = slash != text.len };
	unsigned long long written = 0;
	struct ipaddr net;
	bool v4;

	if (!parse_addr(without_brackets(slice_sub(text, 0, slash)), &b.addr, &v4))
		return bad_block(text,
				 "is not an address; write all four numbers (192.0.2.0/24), or an "
				 "IPv6 address (2001:db8::/32)",
				 detail);
	if (b.is_block) {
		if (!slice_u64(slice_sub(text, slash + 1, text.len), &written) ||
		    written > (v4 ? 32 : 128))
			return bad_block(text, "has no prefix length from 0 to 32 (IPv6: 128)",
					 detail);
		b.bits = (unsigned)written + (v4 ? IPADDR_V4_BITS : 0);
	}
	net = b.addr;
	ipaddr_mask(&net, b.bits);
	if (memcmp(&net, &b.addr, sizeof(net)) != 0)
		return bad_host_bits(text, &net, (unsigned)written, detail);
	*ret_block = b;
	return ERR_OK;
}
