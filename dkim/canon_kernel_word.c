/*
 * The kernel for processors without a twin of their own: plain C, 8 bytes a word. It only tells
 * where something may change from where nothing does; what changes, the plain twin decides.
 * Measured beside SHA-NI, in percent of the bare SHA-256: text 78, base64 80, HTML 65, single
 * blanks 41; the plain twin 53, 60, 56, 54.
 */
#include "dkim/canon_kernel.h"

#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define STEP (4 * WORD)
#define EACH_BYTE UINT64_C(0x0101010101010101)
#define TOP_BITS UINT64_C(0x8080808080808080)

static uint64_t load(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* The top bit of each byte below c (1 to 127) is set. It may be set for a byte of c, too, that
 * stands beside a lower one; the other bits mean nothing. */
static uint64_t below(uint64_t word, unsigned char c)
{
	return (word - EACH_BYTE * c) & ~word;
}

static uint64_t equal(uint64_t word, char c)
{
	return below(word ^ (EACH_BYTE * (unsigned char)c), 1);
}

/* Tabs, and spaces before what is no visible character, of the 8 bytes at p; 9 are read. */
static uint64_t candidates(const char *p)
{
	const uint64_t here = load(p);

	return equal(here, '\t') | (equal(here, ' ') & below(load(p + 1), ' ' + 1));
}

/* STEP + 1 bytes are read. */
static bool may_change(const char *p)
{
	return ((candidates(p) | candidates(p + WORD) | candidates(p + 2 * WORD) |
		 candidates(p + 3 * WORD)) &
		TOP_BITS) != 0;
}

size_t canon_scan_word(const char *data, size_t len)
{
	size_t i = 0;

	for (; i + STEP < len; i += STEP) {
		size_t n = may_change(data + i) ? canon_scan_plain(data + i, STEP + 1) : STEP;

		if (n < STEP)
			return i + n;
	}
	return i + canon_scan_plain(data + i, len - i);
}

size_t canon_squeeze_word(const char *data, size_t n, size_t len, char *out)
{
	size_t written = 0;
	size_t i = 0;

	for (; i + WORD <= n && i + WORD < len; i += WORD) {
		if ((candidates(data + i) & TOP_BITS) != 0) {
			written += canon_squeeze_plain(data + i, WORD, len - i, out + written);
		} else {
			memcpy(out + written, data + i, WORD);
			written += WORD;
		}
	}
	return written + canon_squeeze_plain(data + i, n - i, len - i, out + written);
}
