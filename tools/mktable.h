/* Building lmdb: tables from text: hsmdkim-mktable(8). */
#ifndef TOOLS_MKTABLE_H
#define TOOLS_MKTABLE_H

#include "base/err.h"
#include "config/files.h"

/** What a table is for decides how its rows are checked and whether its keys have case. */
enum mktable_type { MKTABLE_KEYTABLE, MKTABLE_SIGNINGTABLE, MKTABLE_LIST };

/** @return false: no such type */
bool mktable_type_find(const char *name, enum mktable_type *ret_type);

/**
 * Check the rows of a table and write them to an LMDB file, whole or not at all; a file that is
 * there is replaced and keeps its mode and owner when it is an LMDB file or empty.
 * @param spec  data set of the rows; refile: is refused
 * @param ret_rows  how many were written
 * @return ERR_CONFIG with FILE:LINE, ERR_NOT_SUPPORTED, ERR_IO, ERR_NOMEM; ERR_DENIED: something
 * else is there
 */
NODISCARD enum err mktable_build(enum mktable_type type, const char *spec, struct files *files,
				 const char *out, size_t *ret_rows, struct err_detail *detail);

int mktable_main(int argc, char **argv);

#endif
