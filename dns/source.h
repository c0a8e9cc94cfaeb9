/*
 * Where a verifier's key records come from: DNS, a file (TestPublicKeys) or a table (TestDNSData).
 * A question is started at the end of the headers and its answer is taken at the end of the
 * message.
 */
#ifndef DNS_SOURCE_H
#define DNS_SOURCE_H

#include "dns/resolver.h"

struct dns_source;
struct dns_ticket;

/** From DNS. The resolver is the source's from now on, also on failure. @return ERR_NOMEM */
NODISCARD enum err dns_source_new_resolver(struct dns_resolver *resolver,
					   struct dns_source **ret_source);

/**
 * From a text: a name and its TXT record a line, '#' for comments.
 * @param text outlives the source
 * @return ERR_NOMEM
 */
NODISCARD enum err dns_source_new_file(struct slice text, struct dns_source **ret_source);

/** What answers for DNS in tests. */
struct dns_table {
	/** @param ret_record TXT data, valid as long as the table @return ERR_NOT_FOUND: no such
	 * name; other errors count as an answer that is broken */
	enum err (*find)(void *ctx, struct slice name, struct slice *ret_record);
	void *ctx; /**< outlives the source */
};

/** From a table: the one record of each name. @return ERR_NOMEM */
NODISCARD enum err dns_source_new_table(const struct dns_table *table,
					struct dns_source **ret_source);

/** No ticket may be out. */
void dns_source_free(struct dns_source **source);

/** Ask for the TXT records of a name. @return ERR_NOMEM, ERR_IO, ERR_BUSY (too many questions are
 * under way), ERR_LIMIT (no domain name is that long) */
NODISCARD enum err dns_source_ask(struct dns_source *source, struct slice name,
				  struct dns_ticket **ret_ticket);

/** As dns_query_finish(): wait, take the answer (or not: NULL), free the ticket. NULL-safe. */
void dns_ticket_finish(struct dns_ticket **ticket, int64_t deadline_ms, struct dns_answer *answer);

#endif
