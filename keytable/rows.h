/*
 * The rows of a text and a hash index over them. Nothing is copied: a row is the 32-bit offset of
 * its key in the text, and looking at a row means reading the text there. Memory: 12 bytes a row
 * (offset, chain, bucket) beside the text.
 */
#ifndef KEYTABLE_ROWS_H
#define KEYTABLE_ROWS_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/** How a text is cut into rows: by lines, or by commas. */
struct rows_format {
	char separator;
	char value_mark; /**< what ends a key: '=' for lists; 0: blanks */
	bool comments;	 /**< '#' cuts a row anywhere */
};

extern const struct rows_format rows_format_lines;
extern const struct rows_format rows_format_list;

/** What part of a row's key is in the index, and in which class (the look-up names a class, too);
 * different classes never match. @return false: the row is not in the index */
typedef bool (*row_class_fn)(struct slice key, unsigned *ret_class, struct slice *ret_part);

#define ROWS_NONE UINT32_MAX

struct rows {
	struct slice text;
	const struct rows_format *format;
	row_class_fn classify; /**< NULL: the whole key, class 0 */
	bool icase;
	uint32_t count;
	uint32_t first_bare; /**< first row without a value; ROWS_NONE: all have one */
	uint32_t repeated;   /**< a row that says what an earlier one said; ROWS_NONE: none found */
	uint32_t repeats;    /**< that earlier one */
	uint32_t *offset;    /**< of each row's key in text, in file order */
	uint32_t *next;	     /**< chain in a bucket, in file order; row + 1, 0 ends it */
	uint32_t *bucket;    /**< first row + 1 of each bucket; as many buckets as rows */
};

/** The bucket of a hash: any number of them, without a division. */
static inline uint32_t rows_bucket(uint32_t hash, uint32_t buckets)
{
	return (uint32_t)((uint64_t)hash * buckets >> 32);
}

/**
 * Find the rows of text. @param text at most 4 GiB; must live as long as the rows
 * @return ERR_NOMEM
 */
NODISCARD enum err rows_scan(struct rows *r, struct slice text, const struct rows_format *format);

/**
 * Build the index.
 * @param find_repeats set repeated and repeats to the first pair of rows with the same class and
 * part
 * @return ERR_NOMEM
 */
NODISCARD enum err rows_index(struct rows *r, row_class_fn classify, bool icase, bool find_repeats);

void rows_done(struct rows *r);

struct slice rows_key(const struct rows *r, uint32_t row);
/** @param ret_value empty when the row has none */
void rows_get(const struct rows *r, uint32_t row, struct slice *ret_key, struct slice *ret_value);

/** The first row at or behind from whose class and part are these. @return ROWS_NONE */
uint32_t rows_next(const struct rows *r, unsigned class, struct slice part, uint32_t from);

/** The first row whose class and part are those of this one, which it may be itself. Needs the
 * index. */
uint32_t rows_first_like(const struct rows *r, uint32_t row);

/** Line (or entry) of a row, from 1. Walks the text: for messages. */
unsigned long rows_line(const struct rows *r, uint32_t row);

/** The same for the next row up: *line and *offset are where the last call ended (start with 1 and
 * 0). */
unsigned long rows_line_after(const struct rows *r, uint32_t row, unsigned long line,
			      size_t *offset);

#endif
