/* The authoritative servers of the zone that a name is in. */
#ifndef DNS_SERVERS_H
#define DNS_SERVERS_H

#include "dns/resolver.h"

/** Addresses of one zone; real zones have 2 to 13 servers with two each. */
#define DNS_SERVERS_MAX 32U

struct dns_server {
	char name[DNS_NAME_TEXT_MAX];
	char address[64]; /**< for people, with the port when it is not 53 */
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

struct dns_servers {
	char zone[DNS_NAME_TEXT_MAX];
	size_t count;
	struct dns_server list[DNS_SERVERS_MAX];
};

/**
 * Walk up from name to the zone's SOA, then its NS records and their addresses.
 * @param port 53, or where a test's servers listen
 * @return DNS_FOUND, or why not; ret_servers->zone is set when the zone was found
 */
NODISCARD enum dns_status dns_servers_find(struct dns_resolver *resolver, const char *name,
					   uint16_t port, int timeout_ms,
					   struct dns_servers *ret_servers);

#endif
