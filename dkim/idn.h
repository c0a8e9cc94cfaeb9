/* Internationalised domain names in DKIM, RFC 8616: mail may spell a name in U-labels, DNS is asked
 * in A-labels, and two spellings of one name are equal. */
#ifndef DKIM_IDN_H
#define DKIM_IDN_H

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

/** A name in A-labels, lower case, NUL-terminated, without a final dot. */
struct idn_name {
	char text[LIMIT_DOMAIN_BYTES + 1];
	size_t len;
};

/**
 * A-labels of a name by IDNA 2008 with the mapping of UTS #46 (case, width, full stops). A name of
 * ASCII alone is only turned to lower case.
 * @return ERR_SYNTAX (no name that can be asked for), ERR_LIMIT (too long), ERR_NOMEM
 */
NODISCARD enum err idn_to_ascii(struct slice domain, struct idn_name *ret_name);

/** The same name, whichever way each is spelled. */
bool idn_equal(struct slice a, struct slice b);

/** domain is parent or below it, label by label, whichever way each is spelled. */
bool idn_in(struct slice domain, struct slice parent);

#endif
