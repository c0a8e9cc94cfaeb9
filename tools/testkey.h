/*
 * hsmdkim-testkey: every key of a KeyTable against DNS.
 *
 *   options -> keyset (public halves) -> one thread a row: ask, judge (keycheck), look for the
 *   record where people put it by mistake, compare the name servers -> report
 */
#ifndef TOOLS_TESTKEY_H
#define TOOLS_TESTKEY_H

#include "dns/resolver.h"
#include "tools/keycheck.h"
#include "tools/keyset.h"
#include "tools/options.h"

struct testkey_options {
	const char *domain;
	const char *selector;
	const char *key;
	bool keep; /**< -K, accepted: there are no temporary files */
	const char *config;
	unsigned verbose;
	bool json;
	bool strict;
	bool authoritative;
	const char *nameservers;
	unsigned port;
	unsigned timeout_s; /**< 0: DNSTimeout */
	const char *module;
	const char *pin_source;
};

extern const struct testkey_options testkey_defaults;
extern const struct option_spec testkey_spec;

/** What a row's thread works with. Read only while threads run. */
struct testkey_plan {
	const struct testkey_options *options;
	const struct keyset *set;
	struct dns_resolver *resolver;
	int timeout_ms;
};

/** What came out for one row. */
struct testkey_row {
	const struct keyset_row *key;
	char name[DNS_NAME_TEXT_MAX]; /**< the DNS name */
	struct keycheck_result result;
	struct buf found;		/**< what was seen, for people; may be empty */
	const struct keyset_row *owner; /**< KEY_OTHERS, KEY_SHARED: whose key it is */
};

/** Check one row. Blocks; may be called from many threads. */
void testkey_check(const struct testkey_plan *plan, struct testkey_row *row);
/** Before testkey_check(). */
void testkey_row_init(struct testkey_row *row, const struct keyset_row *key);
void testkey_row_done(struct testkey_row *row);

/** Look where a missing record may have been put. Changes result.id when it was found there. */
void testkey_search(const struct testkey_plan *plan, struct testkey_row *row);
/** Compare all authoritative servers. @param seen what the resolver said */
void testkey_compare_servers(const struct testkey_plan *plan, struct testkey_row *row,
			     const struct dns_answer *seen);

/** Check all rows at once. @param done called under a lock when a row is finished */
NODISCARD enum err testkey_run(const struct testkey_plan *plan, struct testkey_row *rows,
			       size_t count, void (*done)(void *ctx, const struct testkey_row *row),
			       void *ctx);

/** The exit status that a row asks for. */
int testkey_exit(const struct testkey_options *o, const struct testkey_row *row);

/** One row for people, to standard output. */
void testkey_print_row(const struct testkey_options *o, const struct testkey_row *row);
/** All rows as a JSON array, to standard output. */
void testkey_print_json(const struct testkey_row *rows, size_t count);

/** The program. @return its exit status */
int testkey_main(int argc, char **argv);

#endif
