/* The plain scanner and the choice between the twins. */
#include "dkim/canon_scan.h"

#include "base/attr.h"
#include "base/slice.h"

size_t canon_scan_plain(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\t')
			return i;
		if (data[i] == ' ' && i + 1 < len &&
		    (ch_is_wsp(data[i + 1]) || data[i + 1] == '\r'))
			return i;
	}
	return len;
}

static bool always(void)
{
	return true;
}

const struct canon_scan_impl canon_scan_impls[] = {
	{ "plain", canon_scan_plain, always },
};
const size_t canon_scan_impl_count = ARRAY_LEN(canon_scan_impls);

size_t canon_scan(const char *data, size_t len)
{
	return canon_scan_plain(data, len);
}
