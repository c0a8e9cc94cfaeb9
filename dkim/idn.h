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

#define IDN_SPELLINGS_MAX 3u

/** What a table may call a domain. */
struct idn_spellings {
	struct slice names[IDN_SPELLINGS_MAX]; /**< none twice; the first is the name as given */
	size_t count;
	struct idn_name ascii; /**< private: names points into both */
	char unicode[4 * LIMIT_DOMAIN_BYTES + 1];
};

/** The name as given and, when a label of it is internationalised, its A-labels and its U-labels
 * as the mapping leaves them (lower case, NFC). Other names cost a look at their bytes.
 * @param domain lives as long as *ret; what is no name has one spelling */
void idn_spell(struct slice domain, struct idn_spellings *ret);

/**
 * Their parents, in that order; spellings without one, and those that are equal now, are gone.
 * @param with_dot "a.b" and ".a.b" become ".b"; else "a.b" becomes "b"
 * @return false: none has a parent
 */
bool idn_spellings_parent(struct idn_spellings *s, bool with_dot);

/** The same name, whichever way each is spelled. */
bool idn_equal(struct slice a, struct slice b);

/**
 * Each label is ASCII or a U-label (RFC 5890 section 2.3.2.1): one that comes back from its A-label
 * as it was, but for the case of ASCII. False for what is only mapped to a name: invisible
 * characters, other widths, other full stops, decomposed letters. A reader sees no name in these.
 */
bool idn_well_spelled(struct slice domain);

/** domain is parent or below it, label by label, whichever way each is spelled. */
bool idn_in(struct slice domain, struct slice parent);

/**
 * A name as a signature has it, and as a path may have it: A-labels when it is internationalised,
 * else as given, case and all.
 * @param room    for the A-labels
 * @param ret_name domain itself, or in room
 * @return as idn_to_ascii()
 */
NODISCARD enum err idn_for_wire(struct slice domain, struct idn_name *room, struct slice *ret_name);

#endif
