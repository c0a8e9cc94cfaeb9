/* Tag lists, RFC 6376 section 3.2 with errata 5070, UTF-8 in values by RFC 8616: the form of
 * signatures and key records. */
#ifndef DKIM_TAGLIST_H
#define DKIM_TAGLIST_H

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

struct tag {
	struct slice name;
	struct slice value; /**< without blanks and folds at its ends; those inside are kept */
	struct slice raw;   /**< all between "=" and ";" */
};

struct taglist {
	struct tag tags[LIMIT_TAGS]; /**< in their order */
	size_t count;
};

/**
 * Split text into tags; the result points into it. Names are case-sensitive. One ";" may end the
 * list; a text of blanks is a list without tags. Time is linear in the text.
 * @return ERR_SYNTAX (no "=", a bad name, an empty element, a control byte or no UTF-8 in a value),
 * ERR_AMBIGUOUS (a name twice: the whole list is invalid), ERR_LIMIT (LIMIT_TAGS). After an error
 * ret_list holds the tags before it, to report from.
 */
NODISCARD enum err taglist_parse(struct slice text, struct taglist *ret_list);

/** @return NULL: there is none */
const struct tag *taglist_find(const struct taglist *list, const char *name);

#endif
