/* The author of a message: RFC 5322 addresses as OpenDKIM reads them, without its guesses. */
#ifndef DKIM_ADDRESS_H
#define DKIM_ADDRESS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct dkim_address {
	struct slice local;  /**< as written, quotes and comments removed */
	struct slice domain; /**< as written, lower case, no trailing dot; U-labels stay */
};

/**
 * Parse a From-like value: display names, comments, quoted strings, groups, source routes, UTF-8 (RFC 6532).
 * @param ret_first  the first mailbox
 * @param ret_count  how many mailboxes the field holds (0: none, e.g. an empty group)
 * @return ERR_SYNTAX when it cannot be parsed as a list of mailboxes; ERR_NOMEM. Never a guess.
 */
NODISCARD enum err dkim_address_parse(struct arena *arena, struct slice value,
				      struct dkim_address *ret_first, size_t *ret_count);

/** True for labels of letters, digits, '-', '_' or valid UTF-8, 1 to 63 bytes each, 253 in all, two dots never
 * side by side: what may become d=, s= or part of a file name. */
bool dkim_domain_valid(struct slice domain);

/** True when domain is parent or below it, compared label by label without case. */
bool dkim_domain_in(struct slice domain, struct slice parent);

#endif
