/* What dnstext.c and dnstext_forms.c share. */
#ifndef TOOLS_DNSTEXT_PRIV_H
#define TOOLS_DNSTEXT_PRIV_H

#include "tools/dnstext.h"

/** Everything before p=, each tag with "; " behind it. */
void dnstext_tags(const struct dnstext *record, struct buf *out);

/** data as quoted strings of so many octets. @param between what stands between two strings */
void dnstext_quote_split(struct slice data, size_t octets, const char *between, struct buf *out);

#endif
