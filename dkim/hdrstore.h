/*
 * The header fields of one message, in order, copied once into the message's arena. Names are
 * indexed, so "the n-th From from the bottom" costs the same with 3 fields and with 2,000, whoever
 * chose the names.
 */
#ifndef DKIM_HDRSTORE_H
#define DKIM_HDRSTORE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

/** Stays where it is until the arena's reset. */
struct hdr {
	struct slice name;     /**< without blanks before the colon */
	struct slice raw_name; /**< as received, all before the colon: what simple canonicalization
				  hashes */
	struct slice value;    /**< all after the colon, every LF as CRLF, no final CRLF */
	size_t index;	       /**< position in the message, 0 is the first */
	size_t nth; /**< 1 for the first field of this name from the top: what smfi_chgheader counts
		     */
};

struct hdrstore;

/**
 * @param arena      holds everything; the store goes with its reset
 * @param max_bytes  names and values together (MaximumHeaders); 0: no limit but the arena's
 * @return ERR_NOMEM
 */
NODISCARD enum err hdrstore_new(struct arena *arena, size_t max_bytes, struct hdrstore **ret_store);

/**
 * Append a field as the MTA gives it. A LF without its CR becomes CRLF, as the MTA writes it; a CR
 * without its LF is kept, as MTAs do.
 * @param leading_space  the MTA negotiated SMFIP_HDR_LEADSPC: value starts right behind the colon.
 * Otherwise the one space that the MTA removed is put back.
 * @return ERR_LIMIT (bytes or LIMIT_HEADER_FIELDS), ERR_NOMEM; the store is as before
 */
NODISCARD enum err hdrstore_add(struct hdrstore *h, struct slice name, struct slice value,
				bool leading_space);

size_t hdrstore_count(const struct hdrstore *h);
/** Bytes of names and values so far. */
size_t hdrstore_bytes(const struct hdrstore *h);
/** @param index below hdrstore_count() */
const struct hdr *hdrstore_at(const struct hdrstore *h, size_t index);
/** How many fields have this name (ASCII case does not matter). */
size_t hdrstore_count_name(const struct hdrstore *h, struct slice name);
/** The n-th field of this name from the top, 0 is the topmost. @return NULL when there are fewer */
const struct hdr *hdrstore_from_top(const struct hdrstore *h, struct slice name, size_t n);
/** The n-th field of this name from the bottom, 0 is the last: the order of h=. NULL when there are
 * fewer */
const struct hdr *hdrstore_from_bottom(const struct hdrstore *h, struct slice name, size_t n);

/**
 * Walks through the names of an h= tag: each time a name comes up, the next field of that name from
 * the bottom is taken (RFC 6376 section 5.4.2).
 */
struct hdrpick;

/** Valid until a field is added. @return ERR_NOMEM */
NODISCARD enum err hdrpick_new(const struct hdrstore *h, struct arena *arena,
			       struct hdrpick **ret_pick);
/** @return NULL: no field of that name is left; the name counts as the null string */
const struct hdr *hdrpick_next(struct hdrpick *pick, struct slice name);

#endif
