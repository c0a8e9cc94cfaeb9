/* lmdb: files: whatever the bytes, a walk and look-ups end, without a byte read outside; what the
 * walk shows in an undamaged order is found. Input: the file; its last 8 bytes are the key that is
 * looked up. */
#define _GNU_SOURCE /* memfd_create */

#include <stdint.h>

#include "keytable/lmdbfile.h"
#include "memory_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_BYTES_MAX ((size_t)1 << 20)

static bool seen(void *ctx, struct slice key, struct slice value)
{
	size_t *rows = ctx;

	check(key.ptr != NULL && value.len <= LMDBFILE_VALUE_BYTES_MAX);
	return ++*rows < 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err_detail detail = { "" };
	struct buf value;
	size_t rows = 0;
	int fd;

	if (size < 8 || size > FILE_BYTES_MAX)
		return 0;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	buf_init(&value, LMDBFILE_VALUE_BYTES_MAX);
	if (lmdbfile_check(fd, NULL, &detail) == ERR_OK) {
		(void)!lmdbfile_each(fd, seen, &rows, NULL);
		(void)!lmdbfile_get(fd, slice_of(data + size - 8, 8), &value, NULL);
		(void)!lmdbfile_get(fd, SLICE_LIT("example.com"), &value, NULL);
	} else {
		check(detail.text[0] != '\0');
	}
	buf_done(&value);
	(void)close(fd);
	return 0;
}
