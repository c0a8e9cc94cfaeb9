/*
 * OpenDKIM's data sets: where a table's rows come from. One file a kind behind one const table of
 * functions. A data set is immutable after it was opened and is read by many threads at once
 * without a lock.
 */
#ifndef KEYTABLE_DATASET_H
#define KEYTABLE_DATASET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "config/files.h"

#include <stdint.h>

struct dataset;

/** KeyTable's keys have case, those of all other sets have not. */
enum dataset_flags {
	DATASET_ICASE = 1,	/**< A-Z in keys count as a-z */
	DATASET_NEED_VALUE = 2, /**< a row without a value is an error that names file and line */
	DATASET_UNIQUE = 4,	/**< a repeated key is an error that names both lines */
	DATASET_WALKED =
		16, /**< dataset_each() only, no look-up: it needs no index and no patterns */
	DATASET_LIVE =
		8, /**< the caller looks up with dataset_read(): lmdb: may stay in its file */
};

struct dataset_row {
	struct slice key;   /**< as written; for refile the pattern */
	struct slice value; /**< empty when the row has none */
};

/**
 * Open "file:/p", "/p", "refile:/p", "lmdb:/p" or "mdb:/p", "csl:a,b=c", "a,b". OpenDKIM's other
 * prefixes are refused by name with the way to go; an unknown prefix is an error. All or nothing.
 * When files gathers (files_gather()), a bad row is no error: the set is opened without it.
 * @param name  the setting's name, for messages; it outlives the set
 * @param files must outlive the data set: rows are slices into it, nothing is copied
 * @return ERR_CONFIG, ERR_IO, ERR_NOMEM, ERR_NOT_SUPPORTED with "FILE:LINE: what and how to mend"
 */
NODISCARD enum err dataset_open(const char *name, const char *spec, unsigned flags,
				struct files *files, struct dataset **ret_set,
				struct err_detail *detail);
void dataset_free(struct dataset **set);

/** A row is wrong for who opened the set. @return as files_fault() */
NODISCARD enum err dataset_fault(const struct dataset *set, enum err e, struct err_detail *detail);

/** True for refile: keys are patterns, and a look-up is by the whole string. */
bool dataset_is_pattern(const struct dataset *set);

/** True for a list in the configuration itself. */
bool dataset_is_list(const struct dataset *set);

/** True for a set that stays in its file: it is asked with dataset_read(), rows are not walked and
 * not checked when it is opened, and a look-up finds what is in the file at that moment. */
bool dataset_is_live(const struct dataset *set);

/** Rows; kinds that do not know it say 0. */
size_t dataset_count(const struct dataset *set);

/**
 * Look one key up: exact kinds by hash, refile by its first pattern (in file order) that matches.
 * @param ret_value the row's value; empty when it has none. Valid as long as the set.
 * @return ERR_NOT_FOUND; ERR_IO from kinds that read at look-up time
 */
NODISCARD enum err dataset_find(const struct dataset *set, struct slice key,
				struct slice *ret_value);

/** Whether a key is in the set. @param set NULL: an empty one @return ERR_OK, also when it is not;
 * other errors as dataset_find() */
NODISCARD enum err dataset_holds(const struct dataset *set, struct slice key, bool *ret_holds);

/**
 * The first row at or behind *cursor that matches, in file order.
 * @param cursor start with 0; moves behind the row
 * @return as dataset_find()
 */
NODISCARD enum err dataset_next(const struct dataset *set, struct slice key, uint32_t *cursor,
				struct dataset_row *ret_row);

/**
 * dataset_next() for a set that may be live.
 * @param room holds a live set's rows, from the call with cursor 0 to the last one: the same, and
 * untouched
 * @return as dataset_find(); ERR_CONFIG (the file is damaged), ERR_BUSY, ERR_NOMEM from a live set
 */
NODISCARD enum err dataset_read(const struct dataset *set, struct slice key, uint32_t *cursor,
				struct buf *room, struct dataset_row *ret_row);

/**
 * All rows that match, in file order: for MultipleSignatures.
 * @param fn return false to stop
 */
NODISCARD enum err dataset_find_all(const struct dataset *set, struct slice key,
				    bool (*fn)(void *ctx, struct slice value), void *ctx);

/** Every row in file order, with its origin "FILE:LINE" for messages. @param fn return false to
 * stop */
NODISCARD enum err dataset_each(const struct dataset *set,
				bool (*fn)(void *ctx, struct slice key, struct slice value,
					   const char *origin),
				void *ctx);

/**
 * The keys of a set as one list, "a,b,c": for settings that are lists of names (SignHeaders, ...)
 * and may stand in a file.
 * @param spec     NULL gives NULL
 * @param ret_list the caller frees it
 * @return as dataset_open()
 */
NODISCARD enum err dataset_list(const char *name, const char *spec, struct files *files,
				char **ret_list, struct err_detail *detail);

#endif
