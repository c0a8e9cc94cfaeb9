/* Addresses and blocks of both families as one: IPv4 is ::ffff:0:0/96. */
#ifndef KEYTABLE_IPADDR_H
#define KEYTABLE_IPADDR_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/socket.h>

#define IPADDR_BITS 128
#define IPADDR_V4_BITS 96 /* prefix of IPv4 in IPv6 */
#define IPADDR_TEXT_MAX 64

struct ipaddr {
	unsigned char bytes[16];
};

struct ipblock {
	struct ipaddr addr;
	unsigned bits; /**< 0 to 128, IPv4 from 96 */
	bool is_block; /**< written with '/' */
};

/** @return false: not an internet address */
bool ipaddr_from_sockaddr(const struct sockaddr *sa, struct ipaddr *ret_addr);

bool ipaddr_is_v4(const struct ipaddr *a);

/** Keep the first bits. */
void ipaddr_mask(struct ipaddr *a, unsigned bits);

/** As inet_ntop() writes it: IPv4 with dots. @return out, IPADDR_TEXT_MAX bytes */
const char *ipaddr_text(const struct ipaddr *a, char *out);

/** True when text is meant as an address or block and not as a name: it has a ':' or '/', or only
 * digits and dots, in square brackets or not. */
bool ipblock_looks_like(struct slice text);

/**
 * "192.0.2.1", "[2001:db8::1]", "192.0.2.0/24", "[2001:db8::]/32"
 * @return ERR_CONFIG with a detail that shows the right form when bits behind the prefix are set
 */
NODISCARD enum err ipblock_parse(struct slice text, struct ipblock *ret_block,
				 struct err_detail *detail);

#endif
