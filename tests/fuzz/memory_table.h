/* A table's bytes as a file of a closed set, for the fuzz targets. Needs _GNU_SOURCE. */
#ifndef TESTS_FUZZ_MEMORY_TABLE_H
#define TESTS_FUZZ_MEMORY_TABLE_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/files.h"

static inline void check(bool ok)
{
	if (!ok)
		abort();
}

/** The set holds text as "/t". */
static inline struct files *memory_table(struct slice text)
{
	struct files *files = files_new_closed();
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	check(files != NULL && fd >= 0);
	check(write(fd, text.ptr, text.len) == (ssize_t)text.len);
	check(files_put(files, "/t", fd) == ERR_OK);
	return files;
}

#endif
