/*
 * The inner loops of relaxed body canonicalization. A row is one way to do them: plain C, and its
 * vector twins, which give the same bytes. Which row runs is decided once, by what the processor
 * can do.
 *
 * What they look at is the inside of a body: the last byte is neither a blank nor the CR of a CRLF.
 * A blank is kept when what follows is neither a blank nor CRLF, and a kept blank becomes a space.
 * So two bytes of what follows decide, whatever came before.
 */
#ifndef DKIM_CANON_KERNEL_H
#define DKIM_CANON_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

/** Bytes that squeeze may write beyond those that it returns. */
#define CANON_SQUEEZE_SLACK 32u

struct canon_kernel {
	const char *name;
	/**
	 * @return the first i at which data[i] is a tab, or a space with a space, a tab or a CR
	 * behind it; len when there is none
	 */
	size_t (*scan)(const char *data, size_t len);
	/**
	 * Write the canonical form of data[0..n) to out.
	 * @param len bytes that may be read, n <= len
	 * @param out room for n + CANON_SQUEEZE_SLACK
	 * @return bytes written
	 */
	size_t (*squeeze)(const char *data, size_t n, size_t len, char *out);
	bool (*supported)(void);
};

/** The fastest first; the last is plain C and runs everywhere. */
extern const struct canon_kernel canon_kernels[];
extern const size_t canon_kernel_count;

/** The fastest that runs here. */
const struct canon_kernel *canon_kernel_best(void);

size_t canon_scan_plain(const char *data, size_t len);
size_t canon_squeeze_plain(const char *data, size_t n, size_t len, char *out);

size_t canon_scan_word(const char *data, size_t len);
size_t canon_squeeze_word(const char *data, size_t n, size_t len, char *out);

/* x86-64 only */
size_t canon_scan_sse2(const char *data, size_t len);
size_t canon_squeeze_sse2(const char *data, size_t n, size_t len, char *out);
size_t canon_scan_avx2(const char *data, size_t len);
size_t canon_squeeze_avx2(const char *data, size_t n, size_t len, char *out);

#endif
