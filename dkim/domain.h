/* Domain names as they may stand in d=, s= and i=. */
#ifndef DKIM_DOMAIN_H
#define DKIM_DOMAIN_H

#include "base/slice.h"

/** True for labels of letters, digits, '-', '_' or valid UTF-8, 1 to 63 bytes each, 253 in all, two
 * dots never side by side: what may become d=, s= or part of a file name. */
bool dkim_domain_valid(struct slice domain);

/** True when domain is parent or below it, compared label by label without ASCII case. */
bool dkim_domain_in(struct slice domain, struct slice parent);

#endif
