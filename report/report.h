/*
 * What the processes tell the operator, as text: sections of one object ("=name") or of a list
 * ("@name"), each with the names of its columns and then its rows. A line that starts with "=" or
 * "@" opens a section, one that starts with a tab is a row; a tab stands before each column and
 * each cell. A column whose name starts with "#" holds decimal numbers, or nothing where none is
 * known; one that starts with "~" holds long texts, which are shown as JSON only.
 *
 *     @tokens<TAB>name<TAB>#signatures
 *     <TAB>hsm-a<TAB>1024
 *
 * Cells went through text_sanitize(), so no byte of foreign origin can end a cell or a row. Whoever
 * reads a report of a less trusted process asks report_is_valid() first.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdint.h>

#define REPORT_COLUMNS_MAX 32u

/* --- writing: a section, then its cells row by row, each row ended --- */

/** @param header the whole line without its end: "@tokens\tname\t#signatures" */
void report_section(struct buf *out, const char *header);
/** A cell of text; it is made safe, and cut at some 4000 bytes. */
void report_text(struct buf *out, struct slice text);
void report_number(struct buf *out, uint64_t number);
/** An empty cell: not known. */
void report_unknown(struct buf *out);
void report_end_row(struct buf *out);

/* --- reading --- */

struct report_section {
	bool list;
	struct slice name;
	struct slice columns[REPORT_COLUMNS_MAX]; /**< without "#" and "~" */
	bool numeric[REPORT_COLUMNS_MAX];
	bool lengthy[REPORT_COLUMNS_MAX]; /**< "~" */
	size_t column_count;
	struct slice rows; /**< what report_next_row() takes from */
};

/** Take the next section off *text. @return false: there is none, or the text is no report */
bool report_next_section(struct slice *text, struct report_section *ret_section);
/** Take the next row off section->rows. @param cells column_count of them @return false: none */
bool report_next_row(struct report_section *section, struct slice *cells);

#define REPORT_SECTIONS_MAX 16u

/**
 * @param headers header lines as report_section() takes them, NULL-terminated, at most
 * REPORT_SECTIONS_MAX
 * @return true: nothing but sections with these headers, each at most once, each row with as many
 * cells as columns, cells no longer than a writer makes them, numbers where numbers belong, UTF-8
 * without control characters
 */
bool report_is_valid(struct slice text, const char *const *headers);

/* --- forms for people and programs --- */

/** One object: a member a section, an object or an array of objects. */
void report_to_json(struct slice text, struct buf *out);
/** Lines "name: value" for objects, aligned columns for lists. */
void report_to_table(struct slice text, struct buf *out);

#endif
