/*
 * Rows that are right in form and can match no mail: OpenDKIM and we take them without an error, so
 * mail would leave unsigned in silence. Each answer is NULL, or what is wrong and how to mend it.
 */
#ifndef KEYTABLE_ROWDOUBT_H
#define KEYTABLE_ROWDOUBT_H

#include "base/slice.h"

#include <stdbool.h>

/** @param key of a SigningTable's row @param is_pattern the table is refile: */
const char *rowdoubt_signing(struct slice key, bool is_pattern);

/** @param key of an entry of Domain */
const char *rowdoubt_domain(struct slice key, bool is_pattern);

#endif
