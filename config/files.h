/*
 * The files of one generation of the configuration. The supervisor reads each table once (with the
 * rights it was started with) into a sealed memfd and hands it to its children, which never open a
 * table by path: both children see the same bytes, a crash starts again from the same bytes, and a
 * half-edited file on disk hurts nobody until the next reload. Tools and tests use the same table
 * over real files.
 */
#ifndef CONFIG_FILES_H
#define CONFIG_FILES_H

#include "base/err.h"
#include "base/slice.h"

struct faults;
struct files;

/** An empty set that opens what it does not hold from the file system (tools, -n, tests). */
NODISCARD struct files *files_new_real(void);
/** An empty set that knows only what is put in (children). */
NODISCARD struct files *files_new_closed(void);
void files_free(struct files **f);

/**
 * Read path now into a sealed memfd and keep it under that name.
 * @return ERR_IO, ERR_LIMIT (4 GiB), ERR_NOMEM with a detail that names the path and the reason
 */
NODISCARD enum err files_read(struct files *f, const char *path, struct err_detail *detail);

/** Keep a descriptor (from the supervisor) under a name; owned by f from now on, also on failure.
 */
NODISCARD enum err files_put(struct files *f, const char *path, int fd);

/**
 * The bytes of a file, mapped read-only; valid until files_free(). In a closed set that is filled
 * any thread may call it; a real set is one thread's.
 * @return ERR_NOT_FOUND (closed set), ERR_IO, ERR_NOMEM with a detail
 */
NODISCARD enum err files_map(struct files *f, const char *path, struct slice *ret_text,
			     struct err_detail *detail);

/*
 * Live files, for lmdb: tables: not copied but opened (read-only), whatever size they have, and
 * read with pread() at look-up time. They are apart from the others: the same path may be both.
 */

/** Open path now and keep it; a folder stands for its data.mdb. @return as files_read() */
NODISCARD enum err files_read_live(struct files *f, const char *path, struct err_detail *detail);
/** As files_put(). */
NODISCARD enum err files_put_live(struct files *f, const char *path, int fd);
/** @param ret_fd stays the files', valid until files_free() @return as files_map() */
NODISCARD enum err files_live(struct files *f, const char *path, int *ret_fd,
			      struct err_detail *detail);

/**
 * As files_map(), for a PIN or a private key: the pages are never swapped out while they are mapped
 * (as far as RLIMIT_MEMLOCK lets us) and are in no core file. A sealed memfd cannot be wiped; the
 * kernel clears its pages when the last process lets go of it.
 */
NODISCARD enum err files_map_secret(struct files *f, const char *path, struct slice *ret_text,
				    struct err_detail *detail);

/**
 * The file that a data set's spec names: file:/p, refile:/p, lmdb:/p, mdb:/p, /p.
 * @return a pointer into spec; NULL when the set needs no file (csl: ...)
 */
const char *files_spec_path(const char *spec);
/** True when that file is a live one. */
bool files_spec_is_live(const char *spec);

/** Put a copy of the descriptor of a file of one set into another, under its name. @return ERR_IO
 * (errno says why), ERR_NOMEM */
NODISCARD enum err files_share(const struct files *from, size_t i, struct files *to);

/*
 * Errors in the rows of tables: one is the end, unless the set gathers them. Then reading goes on
 * without that row or table, and what was read is good for nothing but the search for more.
 */

/** Gather from now on. @param faults outlives files_gathered() */
void files_gather(struct files *f, struct faults *faults);
/**
 * A row or a table is wrong.
 * @param table  the setting's name, for the count
 * @param detail empty when it was gathered: the next error may have none; NULL: to be counted only
 * @return ERR_OK: gathered, go on; e: this set does not gather, or it is no error of a table
 */
NODISCARD enum err files_fault(struct files *f, const char *table, enum err e,
			       struct err_detail *detail);
/** Is the text of a further one wanted? */
bool files_wants_fault(const struct files *f, const char *table);
/** All tables were read; nothing is gathered any more. @return ERR_OK: nothing was wrong; the first
 * error, with its detail. */
NODISCARD enum err files_gathered(struct files *f, struct err_detail *detail);

size_t files_count(const struct files *f);
const char *files_path(const struct files *f, size_t i);
int files_fd(const struct files *f, size_t i);
bool files_is_live(const struct files *f, size_t i);

#endif
