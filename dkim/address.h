/* The author of a message: RFC 5322 addresses as OpenDKIM reads them, without its guesses. */
#ifndef DKIM_ADDRESS_H
#define DKIM_ADDRESS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "dkim/domain.h"

struct dkim_address {
	struct slice local;  /**< as written, quotes and comments removed */
	struct slice domain; /**< as written, lower case, no trailing dot; U-labels stay; a literal
				with its [] */
};

/**
 * Parse a From-like value: display names, comments, quoted strings, groups, source routes, UTF-8
 * (RFC 6532). Beyond RFC 5322's obsolete forms it takes what real mail has and what can be read in
 * one way only: specials (but neither comma nor colon) in an unquoted display name before <>, dots
 * anywhere in a local part.
 * @param ret_first  the first mailbox; untouched when there is none
 * @param ret_count  how many mailboxes the field holds (0: none, e.g. an empty group)
 * @return ERR_SYNTAX when it cannot be parsed as a list of mailboxes, each with a domain;
 * ERR_NOMEM. Never a guess.
 */
NODISCARD enum err dkim_address_parse(struct arena *arena, struct slice value,
				      struct dkim_address *ret_first, size_t *ret_count);

#endif
