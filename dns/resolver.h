/*
 * Questions to the resolvers of this host (or those that are named), over libunbound. Asking blocks
 * the caller until its own deadline; any number of threads may ask at once.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include "dns/answer.h"

#include <stdint.h>

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

struct dns_query;

/** Questions under way at once, those of askers that went away included: each may hold a socket. */
#define DNS_QUERIES_MAX 400U

/** Start a question and go on. @return ERR_NOMEM, ERR_BUSY (DNS_QUERIES_MAX), ERR_IO (libunbound
 * took none) */
NODISCARD enum err dns_query_start(struct dns_resolver *resolver, const char *name,
				   enum dns_type type, struct dns_query **ret_query);

/**
 * Wait for the answer until the deadline (clock_mono_ms(); one in the past gives up at once), then
 * free the query.
 * @param answer initialised; NULL: the answer is not wanted any more
 */
void dns_query_finish(struct dns_query **query, int64_t deadline_ms, struct dns_answer *answer);

/**
 * Have libunbound read what it reads late (trust anchors, root hints, certificates) and start its
 * thread, by a question that it answers itself. Call it before the file system is given up.
 * @return ERR_IO: it cannot work with its configuration; ERR_NOMEM
 */
NODISCARD enum err dns_resolver_warm_up(struct dns_resolver *resolver);

#endif
