/* What every authoritative server of a name says at this moment, caches left aside. */
#ifndef TOOLS_AUTHCHECK_H
#define TOOLS_AUTHCHECK_H

#include "dns/resolver.h"
#include "dns/servers.h"

struct authcheck {
	char name[DNS_NAME_TEXT_MAX]; /**< the name asked for, CNAMEs followed */
	struct dns_servers servers;
	struct dns_answer answers[DNS_SERVERS_MAX]; /**< one a server */
};

/**
 * Ask all of them for TXT, one after the other.
 * @param timeout_ms for finding the servers, and again for each of them
 * @return DNS_FOUND when the servers were found and asked; free with authcheck_free() always
 */
NODISCARD enum dns_status authcheck_ask(struct dns_resolver *resolver, const char *name,
					uint16_t port, int timeout_ms,
					struct authcheck **ret_check);
void authcheck_free(struct authcheck **check);

#endif
