/*
 * One pattern of a refile: '*' stands for any text, '.' and '+' for themselves; everything else of
 * POSIX extended regular expressions means what it means there, as in OpenDKIM. A pattern must
 * match the whole key.
 */
#ifndef KEYTABLE_PATTERN_H
#define KEYTABLE_PATTERN_H

#include "base/err.h"
#include "base/slice.h"

#include <regex.h>

/** A pattern with regular expression characters may not be longer, and sees no longer keys. */
#define PATTERN_ERE_BYTES_MAX 1024u
/** Product of the repetition counts ("{1,20}") in one pattern: regcomp() copies what is repeated.
 */
#define PATTERN_REPEATS_MAX 1000u

struct pattern {
	regex_t *re; /**< NULL: only '*' and plain text */
};

/** True when the text stands for itself only: no '*', no regular expression characters. */
bool pattern_is_plain(struct slice text);

/** @return ERR_CONFIG with what is wrong in the pattern, ERR_NOMEM */
NODISCARD enum err pattern_compile(struct pattern *p, struct slice text, bool icase,
				   struct err_detail *detail);
void pattern_done(struct pattern *p);

/** @param text the one that was compiled. At most text.len * key.len steps when it is no ERE. */
bool pattern_match(const struct pattern *p, struct slice text, struct slice key, bool icase);

#endif
