/* What the kinds that live in memory share: reading lines, checking rows, the index. */
#include "keytable/dataset_priv.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBER_ROOM 24

/* For put_place(). @return NULL: no memory */
static char *place_new(const struct dataset *set)
{
	return malloc(strlen(set->origin) + sizeof("entry  of ") + NUMBER_ROOM);
}

/* @return behind the last digit */
static char *put_number(char *to, unsigned long number)
{
	char digits[NUMBER_ROOM];
	size_t at = sizeof(digits);

	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	return stpcpy(to, digits + at);
}

/* Where a row stands: "entry N of LIST" or "FILE:N". With printf() a walk over a million rows takes
 * 90 ms instead of 45. */
static void put_place(const struct dataset *set, unsigned long number, char *to)
{
	if (set->kind->is_list)
		(void)stpcpy(stpcpy(put_number(stpcpy(to, "entry "), number), " of "), set->origin);
	else
		(void)put_number(stpcpy(stpcpy(to, set->origin), ":"), number);
}

void dataset_place(const struct dataset *set, unsigned long number, struct err_detail *detail)
{
	char *place = place_new(set);

	if (place != NULL)
		put_place(set, number, place);
	err_detail_prefix(detail, "%s: ", place != NULL ? place : set->origin);
	free(place);
}

static enum err bad_text(const struct dataset *set, struct slice text, size_t at, const char *what,
			 struct err_detail *detail)
{
	unsigned long line = 1;

	for (size_t i = 0; i < at; i++)
		line += text.ptr[i] == '\n';
	err_detail_set(detail, "%s", what);
	dataset_place(set, line, detail);
	return ERR_CONFIG;
}

enum err dataset_load_lines(struct dataset *set, const char *name, const char *path,
			    struct files *files, struct err_detail *detail)
{
	struct slice text;
	size_t nul;
	enum err e;

	if (path[0] == '\0') {
		err_detail_set(detail, "%s: %s: names no file", name, set->kind->prefix);
		return ERR_CONFIG;
	}
	set->origin = slice_dup(slice_str(path));
	if (set->origin == NULL)
		return ERR_NOMEM;
	e = files_map(files, path, &text, detail);
	if (e != ERR_OK) {
		err_detail_prefix(detail, "%s: ", name);
		return e;
	}
	nul = slice_find(text, '\0');
	if (nul < text.len)
		return bad_text(set, text, nul, "the line holds a NUL byte: is this a text file?",
				detail);
	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf")))
		return bad_text(set, text, 0,
				"the file starts with a byte order mark: save it without one",
				detail);
	return rows_scan(&set->rows, text, &rows_format_lines);
}

/* What a row of a list most often should have been. */
static const char *value_advice(const struct dataset *set, struct slice key)
{
	struct slice prefix = slice_sub(key, 0, slice_find(key, ' '));

	if (!set->kind->is_list)
		return "has no value; write it behind the key";
	if (prefix.len < key.len &&
	    (slice_ieq(prefix, SLICE_LIT("refile")) || slice_ieq(prefix, SLICE_LIT("file")) ||
	     slice_ieq(prefix, SLICE_LIT("lmdb"))))
		return "has no value; a file is written with ':' and without a blank, as in "
		       "refile:/path";
	return "has no value; write NAME=VALUE, or, if it is a file, its whole path from '/' on";
}

/* Where a walk over the rows is. */
struct place {
	unsigned long line;
	size_t offset;
};

static enum err bare_row(const struct dataset *set, uint32_t row, struct place *place,
			 struct err_detail *detail)
{
	struct slice key = rows_key(&set->rows, row);
	char shown[80];

	if (!files_wants_fault(set->files, set->name))
		return dataset_fault(set, ERR_CONFIG, NULL);
	place->line = rows_line_after(&set->rows, row, place->line, &place->offset);
	err_detail_set(detail, "'%s' %s", text_sanitize(key, shown, sizeof(shown)),
		       value_advice(set, key));
	dataset_place(set, place->line, detail);
	return dataset_fault(set, ERR_CONFIG, detail);
}

/* A good table is not walked for this: rows_scan() saw no such row. */
static enum err check_values(const struct dataset *set, struct err_detail *detail)
{
	struct place place = { .line = 1 };
	enum err e = ERR_OK;

	for (uint32_t row = set->rows.first_bare; e == ERR_OK && row < set->rows.count; row++) {
		struct slice key;
		struct slice value;

		rows_get(&set->rows, row, &key, &value);
		if (value.len == 0)
			e = bare_row(set, row, &place, detail);
	}
	return e;
}

static enum err repeated_row(const struct dataset *set, uint32_t row, uint32_t first,
			     struct place *place, struct err_detail *detail)
{
	char shown[80];

	if (!files_wants_fault(set->files, set->name))
		return dataset_fault(set, ERR_CONFIG, NULL);
	place->line = rows_line_after(&set->rows, row, place->line, &place->offset);
	err_detail_set(
		detail, "'%s' %s %lu already; remove one (OpenDKIM takes the first without a word)",
		text_sanitize(rows_key(&set->rows, row), shown, sizeof(shown)),
		set->kind->is_list ? "is entry" : "stands on line", rows_line(&set->rows, first));
	dataset_place(set, place->line, detail);
	return dataset_fault(set, ERR_CONFIG, detail);
}

/* The same: rows_index() saw no two of a kind. */
static enum err check_unique(const struct dataset *set, struct err_detail *detail)
{
	struct place place = { .line = 1 };
	enum err e = ERR_OK;

	if (set->rows.repeated == ROWS_NONE)
		return ERR_OK;
	for (uint32_t row = set->rows.repeats + 1; e == ERR_OK && row < set->rows.count; row++) {
		uint32_t first = rows_first_like(&set->rows, row);

		if (first != row)
			e = repeated_row(set, row, first, &place, detail);
	}
	return e;
}

enum err dataset_index(struct dataset *set, row_class_fn classify, struct err_detail *detail)
{
	bool walked = (set->flags & DATASET_WALKED) != 0;
	bool unique = (set->flags & DATASET_UNIQUE) != 0 && !walked;
	enum err e = ERR_OK;

	if ((set->flags & DATASET_NEED_VALUE) != 0)
		e = check_values(set, detail);
	if (e == ERR_OK && !walked)
		e = rows_index(&set->rows, classify, (set->flags & DATASET_ICASE) != 0, unique);
	return e == ERR_OK && unique ? check_unique(set, detail) : e;
}

void dataset_close_rows(struct dataset *set)
{
	rows_done(&set->rows);
}

enum err dataset_next_row(const struct dataset *set, struct slice key, uint32_t *cursor,
			  struct dataset_row *ret_row)
{
	uint32_t row = rows_next(&set->rows, 0, key, *cursor);

	if (row == ROWS_NONE)
		return ERR_NOT_FOUND;
	rows_get(&set->rows, row, &ret_row->key, &ret_row->value);
	*cursor = row + 1;
	return ERR_OK;
}

size_t dataset_count_rows(const struct dataset *set)
{
	return set->rows.count;
}

enum err dataset_each_row(const struct dataset *set,
			  bool (*fn)(void *ctx, struct slice key, struct slice value,
				     const char *origin),
			  void *ctx)
{
	bool told = (set->flags & DATASET_NEED_VALUE) != 0 && set->rows.first_bare != ROWS_NONE;
	char *origin = place_new(set);
	unsigned long line = 1;
	size_t offset = 0;

	if (origin == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < set->rows.count; i++) {
		struct slice key;
		struct slice value;

		rows_get(&set->rows, i, &key, &value);
		if (told && value.len == 0)
			continue; /* it was gathered by check_values() */
		line = rows_line_after(&set->rows, i, line, &offset);
		put_place(set, line, origin);
		if (!fn(ctx, key, value, origin))
			break;
	}
	free(origin);
	return ERR_OK;
}
