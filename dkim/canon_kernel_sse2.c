/* The kernel with SSE2, which every x86-64 has: 16 places a step. */
#include "dkim/canon_kernel.h"

#if defined(__x86_64__)
#include <emmintrin.h>

#define STEP 16u

static __m128i load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static __m128i equal(__m128i v, char c)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

static __m128i blanks(__m128i v)
{
	return _mm_or_si128(equal(v, ' '), equal(v, '\t'));
}

size_t canon_scan_sse2(const char *data, size_t len)
{
	size_t i = 0;

	for (; i + STEP < len; i += STEP) {
		const __m128i here = load(data + i);
		const __m128i next = load(data + i + 1);
		const __m128i end = _mm_or_si128(blanks(next), equal(next, '\r'));
		const __m128i change =
			_mm_or_si128(equal(here, '\t'), _mm_and_si128(equal(here, ' '), end));
		unsigned mask = (unsigned)_mm_movemask_epi8(change);

		if (mask != 0)
			return i + (unsigned)__builtin_ctz(mask);
	}
	return i + canon_scan_plain(data + i, len - i);
}

size_t canon_squeeze_sse2(const char *data, size_t n, size_t len, char *out)
{
	size_t written = 0;
	size_t i = 0;

	for (; i + STEP <= n && i + STEP + 2 <= len; i += STEP) {
		const __m128i here = load(data + i);
		const __m128i next = load(data + i + 1);
		const __m128i crlf =
			_mm_and_si128(equal(next, '\r'), equal(load(data + i + 2), '\n'));
		const __m128i gone = _mm_and_si128(blanks(here), _mm_or_si128(blanks(next), crlf));
		const __m128i tabs = equal(here, '\t');
		/* a tab is 9, a space 32 */
		const __m128i text =
			_mm_add_epi8(here, _mm_and_si128(tabs, _mm_set1_epi8(' ' - '\t')));
		unsigned mask = (unsigned)_mm_movemask_epi8(gone);

		if (mask == 0) {
			_mm_storeu_si128((__m128i *)(void *)(out + written), text);
			written += STEP;
		} else {
			written += canon_squeeze_plain(data + i, STEP, len - i, out + written);
		}
	}
	return written + canon_squeeze_plain(data + i, n - i, len - i, out + written);
}
#endif
