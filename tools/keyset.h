/* The public halves of a KeyTable's keys, or of the one key that the command line names. */
#ifndef TOOLS_KEYSET_H
#define TOOLS_KEYSET_H

#include "config/files.h"
#include "config/settings.h"
#include "tools/pubtext.h"
#include "tools/tokens.h"

struct keyset_row {
	char *name;   /**< KeyTable name; for a single key "selector._domainkey.domain" */
	char *domain; /**< in A-labels */
	char *selector;
	char *ref;    /**< as written: URI, path; NULL: there is no key to read */
	bool has_key; /**< key holds its public half */
	struct pubtext key;
	enum err why;		       /**< ERR_OK: key was read, or there is none to read */
	struct err_detail error;       /**< why, in words */
	const struct keyset_row *twin; /**< a row of another record with the same key, by
					  keyset_index() */
	bool any_domain; /**< the row says % and no domain was given: nothing was read */
};

struct keyset {
	struct keyset_row *rows;
	size_t count;
	size_t room;
	struct keyset_row **by_p; /**< sorted, see keyset_owner() */
};

void keyset_done(struct keyset *set);

/**
 * Every row of a KeyTable. A key that cannot be read is noted in its row and is no failure.
 * @param only_domain  rows of other domains are left out; also what % stands for; NULL: all
 * @return as keytable_open()
 */
NODISCARD enum err keyset_load_table(struct keyset *set, const char *spec, struct files *files,
				     const char *only_domain, struct tokens *tokens,
				     struct err_detail *detail);

/** One key. @param ref path or URI; NULL: none. @return ERR_NOMEM */
NODISCARD enum err keyset_add_single(struct keyset *set, const char *domain, const char *selector,
				     const char *ref, struct tokens *tokens);

/** Make keyset_owner() work and find twins; after the last row. @return ERR_NOMEM */
NODISCARD enum err keyset_index(struct keyset *set);

/** The row whose key has this p=, NULL: none. */
const struct keyset_row *keyset_owner(const struct keyset *set, struct slice p);

#endif
