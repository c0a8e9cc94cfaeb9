/* Finding the authoritative servers of a name. */
#include "dns/servers.h"

#include "base/clock.h"

#include <netdb.h>
#include <stdio.h>

static int left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();

	return left > 0 ? (int)left : 0;
}

/* The first name at or above this one that has a SOA record. */
static enum dns_status find_zone(struct dns_resolver *r, const char *name, int64_t deadline_ms,
				 char zone[DNS_NAME_TEXT_MAX])
{
	enum dns_status status = DNS_NXDOMAIN;

	while (name != NULL && *name != '\0') {
		struct dns_answer answer;

		dns_answer_init(&answer);
		dns_resolver_ask(r, name, DNS_TYPE_SOA, left_ms(deadline_ms), &answer);
		status = answer.status;
		dns_answer_done(&answer);
		if (status == DNS_FOUND) {
			(void)snprintf(zone, DNS_NAME_TEXT_MAX, "%s", name);
			return DNS_FOUND;
		}
		if (status != DNS_NODATA && status != DNS_NXDOMAIN)
			return status;
		name = strchr(name, '.');
		name = name != NULL ? name + 1 : NULL;
	}
	return status;
}

static void add_server(struct dns_servers *s, const char *name, struct slice data, uint16_t port)
{
	struct dns_server *server = &s->list[s->count];
	char host[48];

	if (s->count == DNS_SERVERS_MAX ||
	    dns_address(data, port, &server->addr, &server->addr_len) != ERR_OK ||
	    getnameinfo((struct sockaddr *)&server->addr, server->addr_len, host, sizeof(host),
			NULL, 0, NI_NUMERICHOST) != 0)
		return;
	(void)snprintf(server->name, sizeof(server->name), "%s", name);
	if (port == 53)
		(void)snprintf(server->address, sizeof(server->address), "%s", host);
	else
		(void)snprintf(server->address, sizeof(server->address), "%s@%u", host, port);
	s->count++;
}

static void add_addresses(struct dns_resolver *r, const char *name, uint16_t port,
			  int64_t deadline_ms, struct dns_servers *s)
{
	static const enum dns_type types[] = { DNS_TYPE_A, DNS_TYPE_AAAA };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer answer;

		dns_answer_init(&answer);
		dns_resolver_ask(r, name, types[i], left_ms(deadline_ms), &answer);
		for (size_t n = 0; n < answer.count; n++)
			add_server(s, name, answer.data[n], port);
		dns_answer_done(&answer);
	}
}

enum dns_status dns_servers_find(struct dns_resolver *resolver, const char *name, uint16_t port,
				 int timeout_ms, struct dns_servers *ret_servers)
{
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	struct dns_answer ns;
	enum dns_status status;

	*ret_servers = (struct dns_servers){ .count = 0 };
	status = find_zone(resolver, name, deadline_ms, ret_servers->zone);
	if (status != DNS_FOUND)
		return status;
	dns_answer_init(&ns);
	dns_resolver_ask(resolver, ret_servers->zone, DNS_TYPE_NS, left_ms(deadline_ms), &ns);
	status = ns.status;
	for (size_t i = 0; i < ns.count; i++) {
		char server[DNS_NAME_TEXT_MAX];

		if (dns_name_text(ns.data[i], server, NULL) == ERR_OK)
			add_addresses(resolver, server, port, deadline_ms, ret_servers);
	}
	dns_answer_done(&ns);
	return status == DNS_FOUND && ret_servers->count == 0 ? DNS_NODATA : status;
}
