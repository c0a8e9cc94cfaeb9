/* Domain names: syntax and descent. */
#include "dkim/domain.h"

#include "base/limits.h"
#include "base/text.h"

#define LABEL_BYTES_MAX 63u
/* An A-label has at least a character for each of its U-label, which is at most four bytes. */
#define UTF8_BYTES_MAX 4u

/* Bytes that a character of s may have; idn_to_ascii() has the last word on U-labels. */
static size_t bytes_of(struct slice s)
{
	return slice_is_ascii(s) ? 1 : UTF8_BYTES_MAX;
}

static bool label_valid(struct slice label)
{
	size_t i = 0;

	if (label.len == 0 || label.len > LABEL_BYTES_MAX * bytes_of(label))
		return false;
	while (i < label.len) {
		char c = label.ptr[i];
		size_t n = text_utf8_len(slice_sub(label, i, label.len));

		if (n == 0 ||
		    (n == 1 && !ch_is_alpha(c) && !ch_is_digit(c) && c != '-' && c != '_'))
			return false;
		i += n;
	}
	return true;
}

bool dkim_domain_valid(struct slice domain)
{
	struct slice rest = domain;
	struct slice label;

	if (domain.len == 0 || domain.len > LIMIT_DOMAIN_BYTES * bytes_of(domain))
		return false;
	while (slice_next(&rest, '.', &label))
		if (!label_valid(label))
			return false;
	return true;
}

bool dkim_domain_in(struct slice domain, struct slice parent)
{
	if (!slice_iends(domain, parent) || parent.len == 0)
		return false;
	return domain.len == parent.len || domain.ptr[domain.len - parent.len - 1] == '.';
}
