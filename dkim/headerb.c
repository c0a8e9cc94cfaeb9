/* Telling signatures apart by the start of b=. */
#include "dkim/headerb.h"

static size_t common_prefix(struct slice a, struct slice b)
{
	size_t n = 0;

	while (n < HEADERB_CHARS_MAX && n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
		n++;
	return n;
}

void headerb_set(struct dkim_verdict *verdicts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct slice own = verdicts[i].sig.b_text;
		size_t len = HEADERB_CHARS_MIN;

		for (size_t other = 0; other < count; other++) {
			size_t shared =
				other == i ? 0 : common_prefix(own, verdicts[other].sig.b_text);

			if (shared >= len)
				len = shared + 1;
		}
		if (len > HEADERB_CHARS_MAX)
			len = HEADERB_CHARS_MAX;
		verdicts[i].header_b = slice_sub(own, 0, len);
	}
}
