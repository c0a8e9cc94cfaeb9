/*
 * Reading an LMDB file (data.mdb, format version 1) through a descriptor. Only read() at an offset:
 * no map, so a file that is cut short while it is read is an error and not a SIGBUS; no open(), so
 * it works in the milter's sandbox; every offset is checked, so a damaged or hostile file is an
 * error and not a crash, which liblmdb does not promise. Look-ups see what the last committed
 * transaction left. No lock is taken: a look-up that a writer has overtaken is done again.
 */
#ifndef KEYTABLE_LMDBFILE_H
#define KEYTABLE_LMDBFILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/** Longest key that LMDB stores (as it is built by default). */
#define LMDBFILE_KEY_BYTES_MAX 511u
/** Longest value that is read: a row of a table. */
#define LMDBFILE_VALUE_BYTES_MAX 65536u

/**
 * Is this an LMDB file of this host's byte order, whose main database has one value a key?
 * @param ret_entries keys in it; may be NULL
 * @return ERR_CONFIG with what is wrong; ERR_IO
 */
NODISCARD enum err lmdbfile_check(int fd, uint64_t *ret_entries, struct err_detail *detail);

/**
 * @param value emptied, then the value of the key
 * @return ERR_NOT_FOUND; ERR_CONFIG: the file is damaged, ERR_IO, ERR_NOMEM, ERR_LIMIT (value too
 * long), ERR_BUSY (a writer was faster, several times)
 */
NODISCARD enum err lmdbfile_get(int fd, struct slice key, struct buf *value,
				struct err_detail *detail);

/**
 * Every key in its order. No more pages and bytes are read than the file has, whatever it says.
 * @param fn return false to stop; the slices live for the call
 * @return as lmdbfile_get()
 */
NODISCARD enum err lmdbfile_each(int fd,
				 bool (*fn)(void *ctx, struct slice key, struct slice value),
				 void *ctx, struct err_detail *detail);

#endif
