/* Asking every authoritative server of a name. */
#include "tools/authcheck.h"

#include "dns/direct.h"

#include <stdio.h>
#include <stdlib.h>

/* As many as resolvers follow. */
#define CNAME_HOPS_MAX 8

/* Delegated keys are CNAMEs: the record's servers are those of the last name. */
static void follow_cnames(struct dns_resolver *r, const char *name, int timeout_ms, char *out)
{
	(void)snprintf(out, DNS_NAME_TEXT_MAX, "%s", name);
	for (int hop = 0; hop < CNAME_HOPS_MAX; hop++) {
		struct dns_answer answer;
		char next[DNS_NAME_TEXT_MAX];
		bool more;

		dns_answer_init(&answer);
		dns_resolver_ask(r, out, DNS_TYPE_CNAME, timeout_ms, &answer);
		more = answer.status == DNS_FOUND && answer.count == 1 &&
		       dns_name_text(answer.data[0], next, NULL) == ERR_OK;
		dns_answer_done(&answer);
		if (!more)
			return;
		memcpy(out, next, sizeof(next));
	}
}

enum dns_status authcheck_ask(struct dns_resolver *resolver, const char *name, uint16_t port,
			      int timeout_ms, struct authcheck **ret_check)
{
	struct authcheck *check = calloc(1, sizeof(*check));
	enum dns_status status;

	*ret_check = check;
	if (check == NULL)
		return DNS_BROKEN;
	follow_cnames(resolver, name, timeout_ms, check->name);
	status = dns_servers_find(resolver, check->name, port, timeout_ms, &check->servers);
	for (size_t i = 0; i < check->servers.count; i++) {
		const struct dns_server *server = &check->servers.list[i];

		dns_answer_init(&check->answers[i]);
		dns_direct_ask((const struct sockaddr *)&server->addr, server->addr_len,
			       check->name, DNS_TYPE_TXT, timeout_ms, &check->answers[i]);
	}
	return status;
}

void authcheck_free(struct authcheck **check)
{
	struct authcheck *c = *check;

	for (size_t i = 0; c != NULL && i < c->servers.count; i++)
		dns_answer_done(&c->answers[i]);
	free(c);
	*check = NULL;
}
