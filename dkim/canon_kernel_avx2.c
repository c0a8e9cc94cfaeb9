/* The kernel with AVX2 and BMI2: 32 places a step. */
#include "dkim/canon_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define STEP 32u
#define AVX2 __attribute__((target("avx2,bmi2,popcnt")))

AVX2 static __m256i load(const char *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2 static __m256i equal(__m256i v, char c)
{
	return _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c));
}

AVX2 static __m256i blanks(__m256i v)
{
	return _mm256_or_si256(equal(v, ' '), equal(v, '\t'));
}

AVX2 size_t canon_scan_avx2(const char *data, size_t len)
{
	size_t i = 0;

	for (; i + STEP < len; i += STEP) {
		const __m256i here = load(data + i);
		const __m256i next = load(data + i + 1);
		const __m256i end = _mm256_or_si256(blanks(next), equal(next, '\r'));
		const __m256i change =
			_mm256_or_si256(equal(here, '\t'), _mm256_and_si256(equal(here, ' '), end));
		unsigned mask = (unsigned)_mm256_movemask_epi8(change);

		if (mask != 0)
			return i + (unsigned)__builtin_ctz(mask);
	}
	return i + canon_scan_sse2(data + i, len - i);
}

/* The bytes of text at which gone is 0, eight at a time: pext draws them together. */
AVX2 static size_t pack(__m256i text, __m256i gone, char *out)
{
	uint64_t words[STEP / 8];
	uint64_t drop[STEP / 8];
	size_t written = 0;

	_mm256_storeu_si256((__m256i *)(void *)words, text);
	_mm256_storeu_si256((__m256i *)(void *)drop, gone);
	for (unsigned k = 0; k < STEP / 8; k++) {
		uint64_t packed = _pext_u64(words[k], ~drop[k]);

		memcpy(out + written, &packed, sizeof(packed));
		written += 8 - (size_t)__builtin_popcountll(drop[k]) / 8;
	}
	return written;
}

AVX2 size_t canon_squeeze_avx2(const char *data, size_t n, size_t len, char *out)
{
	size_t written = 0;
	size_t i = 0;

	for (; i + STEP <= n && i + STEP + 2 <= len; i += STEP) {
		const __m256i here = load(data + i);
		const __m256i next = load(data + i + 1);
		const __m256i crlf =
			_mm256_and_si256(equal(next, '\r'), equal(load(data + i + 2), '\n'));
		const __m256i blank = blanks(here);
		const __m256i gone = _mm256_and_si256(blank, _mm256_or_si256(blanks(next), crlf));
		const __m256i text = _mm256_blendv_epi8(here, _mm256_set1_epi8(' '), blank);

		if (_mm256_testz_si256(gone, gone) != 0) {
			_mm256_storeu_si256((__m256i *)(void *)(out + written), text);
			written += STEP;
		} else {
			written += pack(text, gone, out + written);
		}
	}
	return written + canon_squeeze_sse2(data + i, n - i, len - i, out + written);
}
#endif
