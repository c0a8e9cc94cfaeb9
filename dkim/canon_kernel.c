/* The plain kernel and the choice between the twins. */
#include "dkim/canon_kernel.h"

#include "base/attr.h"
#include "base/slice.h"

#include <stdatomic.h>

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

static bool blank_goes(const char *data, size_t i, size_t len)
{
	if (i + 1 >= len)
		return false;
	return ch_is_wsp(data[i + 1]) ||
	       (data[i + 1] == '\r' && i + 2 < len && data[i + 2] == '\n');
}

size_t canon_squeeze_plain(const char *data, size_t n, size_t len, char *out)
{
	size_t written = 0;

	for (size_t i = 0; i < n; i++) {
		if (!ch_is_wsp(data[i]))
			out[written++] = data[i];
		else if (!blank_goes(data, i, len))
			out[written++] = ' ';
	}
	return written;
}

static bool always(void)
{
	return true;
}

#if defined(__x86_64__)
static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0;
}
#endif

const struct canon_kernel canon_kernels[] = {
#if defined(__x86_64__)
	{ "avx2", canon_scan_avx2, canon_squeeze_avx2, has_avx2 },
	{ "sse2", canon_scan_sse2, canon_squeeze_sse2, always },
#endif
	{ "word", canon_scan_word, canon_squeeze_word, always },
	{ "plain", canon_scan_plain, canon_squeeze_plain, always },
};
const size_t canon_kernel_count = ARRAY_LEN(canon_kernels);

const struct canon_kernel *canon_kernel_best(void)
{
	static _Atomic(const struct canon_kernel *) best;
	const struct canon_kernel *kernel = atomic_load_explicit(&best, memory_order_relaxed);

	if (kernel != NULL)
		return kernel;
	kernel = canon_kernels;
	while (!kernel->supported())
		kernel++;
	atomic_store_explicit(&best, kernel, memory_order_relaxed);
	return kernel;
}
