/*
 * Questions to the resolvers of this host (or those that are named), over libunbound. Asking blocks
 * the caller until its own deadline; any number of threads may ask at once.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include "dns/answer.h"

struct dns_resolver;

struct dns_resolver_config {
	const char *nameservers;       /**< "1.2.3.4, ::1@5353"; NULL: /etc/resolv.conf */
	const char *trust_anchor_file; /**< NULL: no DNSSEC */
	const char *unbound_config;    /**< ResolverConfiguration; NULL: none */
};

/** @return ERR_CONFIG with what is wrong, ERR_NOMEM */
NODISCARD enum err dns_resolver_new(const struct dns_resolver_config *config,
				    struct dns_resolver **ret_resolver, struct err_detail *detail);
/** No thread may be asking. */
void dns_resolver_free(struct dns_resolver **resolver);

/**
 * Ask and wait. A CNAME is followed.
 * @param name   without the last dot
 * @param answer initialised; its status says how it went
 */
void dns_resolver_ask(struct dns_resolver *resolver, const char *name, enum dns_type type,
		      int timeout_ms, struct dns_answer *answer);

#endif
