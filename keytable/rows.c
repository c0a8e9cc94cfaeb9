/* Rows of a text, indexed by hash without copying them. */
#include "keytable/rows.h"

#include "base/hash.h"

#include <stdlib.h>

const struct rows_format rows_format_lines = { '\n', 0, true };
const struct rows_format rows_format_list = { ',', '=', false };

/* C's isspace() in the C locale: what OpenDKIM cuts at. */
static inline bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* The key at offset, without looking further. */
static struct slice key_at(const struct rows *r, size_t offset)
{
	struct slice rest = slice_sub(r->text, offset, r->text.len);
	size_t len = 0;

	if (r->format->value_mark != 0) {
		while (len < rest.len && rest.ptr[len] != r->format->separator &&
		       rest.ptr[len] != r->format->value_mark)
			len++;
		return trim(slice_sub(rest, 0, len));
	}
	while (len < rest.len && !is_space(rest.ptr[len]) && rest.ptr[len] != '#')
		len++;
	return slice_sub(rest, 0, len);
}

/* The row at offset up to its separator or comment. */
static struct slice row_at(const struct rows *r, size_t offset)
{
	struct slice row = slice_sub(r->text, offset, r->text.len);

	row.len = slice_find(row, r->format->separator);
	if (r->format->comments)
		row.len = slice_find(row, '#');
	return row;
}

void rows_get(const struct rows *r, uint32_t row, struct slice *ret_key, struct slice *ret_value)
{
	struct slice text = row_at(r, r->offset[row]);

	*ret_key = key_at(r, r->offset[row]);
	if (r->format->value_mark != 0) {
		size_t mark = slice_find(text, r->format->value_mark);

		*ret_value = trim(slice_sub(text, mark + 1, text.len));
	} else {
		*ret_value = trim(slice_sub(text, ret_key->len, text.len));
	}
}

struct slice rows_key(const struct rows *r, uint32_t row)
{
	return key_at(r, r->offset[row]);
}

static bool is_bare(const struct rows *r, struct slice trimmed, size_t key_len)
{
	size_t mark = key_len;

	if (r->format->value_mark != 0)
		mark = slice_find(trimmed, r->format->value_mark) + 1;
	return trim(slice_sub(trimmed, mark, trimmed.len)).len == 0;
}

static enum err add_row(struct rows *r, size_t offset, size_t *room)
{
	if (r->count == *room) {
		size_t more = *room + *room / 2 + 16;
		uint32_t *grown = realloc(r->offset, more * sizeof(*grown));

		if (grown == NULL)
			return ERR_NOMEM;
		r->offset = grown;
		*room = more;
	}
	r->offset[r->count++] = (uint32_t)offset;
	return ERR_OK;
}

enum err rows_scan(struct rows *r, struct slice text, const struct rows_format *format)
{
	size_t room = 0;
	size_t at = 0;

	*r = (struct rows){ .text = text, .format = format, .first_bare = ROWS_NONE };
	while (at < text.len) {
		struct slice row = row_at(r, at);
		size_t end = at + row.len;
		struct slice trimmed = trim(row);
		size_t offset = (size_t)(trimmed.ptr - text.ptr);
		size_t key_len = trimmed.len != 0 ? key_at(r, offset).len : 0;

		if (end < text.len && text.ptr[end] != format->separator) /* a comment */
			end += slice_find(slice_sub(text, end, text.len), format->separator);
		at = end + 1;
		if (key_len == 0)
			continue;
		if (r->first_bare == ROWS_NONE && is_bare(r, trimmed, key_len))
			r->first_bare = r->count;
		if (add_row(r, offset, &room) != ERR_OK) {
			rows_done(r);
			return ERR_NOMEM;
		}
	}
	if (r->count > 0) {
		uint32_t *fitted = realloc(r->offset, r->count * sizeof(*fitted));

		if (fitted != NULL)
			r->offset = fitted;
	}
	return ERR_OK;
}

void rows_done(struct rows *r)
{
	free(r->offset);
	free(r->next);
	free(r->bucket);
	*r = (struct rows){ .count = 0 };
}

static bool row_part(const struct rows *r, uint32_t row, unsigned *ret_class,
		     struct slice *ret_part)
{
	struct slice key = key_at(r, r->offset[row]);

	*ret_class = 0;
	*ret_part = key;
	return r->classify == NULL || r->classify(key, ret_class, ret_part);
}

static uint32_t part_hash(const struct rows *r, unsigned class, struct slice part)
{
	uint64_t hash = r->icase ? hash_icase(part) : hash_bytes(part);

	/* Spread the classes: the same word may stand as "word" and as "*word". */
	return (uint32_t)((hash + class * 0x9e3779b97f4a7c15U) >> 32);
}

static bool part_equal(const struct rows *r, uint32_t row, unsigned class, struct slice part)
{
	struct slice row_text;
	unsigned row_class;

	return row_part(r, row, &row_class, &row_text) && row_class == class &&
	       (r->icase ? slice_ieq(row_text, part) : slice_eq(row_text, part));
}

/* The first row of a chain that says the same as row. Hashes are compared first: the texts lie far
 * apart. */
static uint32_t find_twin(const struct rows *r, uint32_t chain, const uint32_t *hashes,
			  uint32_t row)
{
	struct slice part;
	unsigned class;

	for (uint32_t at = chain; at != 0; at = r->next[at - 1])
		if (hashes[at - 1] == hashes[row] && row_part(r, row, &class, &part) &&
		    part_equal(r, at - 1, class, part))
			return at - 1;
	return ROWS_NONE;
}

/* Buckets lie all over memory: ask for the one that comes so many rows later. A third less time for
 * a million rows. */
#define PREFETCH_AHEAD 16

/* From the last row to the first, each put in front of its chain: the chains run in file order, and
 * a thousand rows with one key cost no more than a thousand others. */
static void link_rows(struct rows *r, const uint32_t *hashes, const bool *indexed,
		      bool find_repeats)
{
	for (uint32_t row = r->count; row-- > 0;) {
		uint32_t *first = &r->bucket[rows_bucket(hashes[row], r->count)];

		if (row >= PREFETCH_AHEAD)
			__builtin_prefetch(
				&r->bucket[rows_bucket(hashes[row - PREFETCH_AHEAD], r->count)], 1);
		if (!indexed[row])
			continue;
		if (find_repeats) {
			uint32_t twin = find_twin(r, *first, hashes, row);

			if (twin != ROWS_NONE) {
				r->repeated = twin;
				r->repeats = row;
			}
		}
		r->next[row] = *first;
		*first = row + 1;
	}
}

enum err rows_index(struct rows *r, row_class_fn classify, bool icase, bool find_repeats)
{
	uint32_t *hashes;
	bool *indexed;
	enum err e = ERR_NOMEM;

	r->classify = classify;
	r->icase = icase;
	r->repeated = ROWS_NONE;
	if (r->count == 0)
		return ERR_OK;
	r->next = calloc(r->count, sizeof(*r->next));
	r->bucket = calloc(r->count, sizeof(*r->bucket));
	hashes = calloc(r->count, sizeof(*hashes));
	indexed = calloc(r->count, sizeof(*indexed));
	if (r->next != NULL && r->bucket != NULL && hashes != NULL && indexed != NULL) {
		for (uint32_t row = 0; row < r->count; row++) {
			struct slice part;
			unsigned class;

			indexed[row] = row_part(r, row, &class, &part);
			if (indexed[row])
				hashes[row] = part_hash(r, class, part);
		}
		link_rows(r, hashes, indexed, find_repeats);
		e = ERR_OK;
	}
	free(hashes);
	free(indexed);
	return e;
}

/* Where in the chain of a bucket to start: behind row from - 1 when that is a link of it, so that
 * walking a thousand equal rows is not a million steps. */
static uint32_t chain_start(const struct rows *r, uint32_t bucket, uint32_t from)
{
	struct slice part;
	unsigned class;

	if (from > 0 && row_part(r, from - 1, &class, &part) &&
	    rows_bucket(part_hash(r, class, part), r->count) == bucket)
		return r->next[from - 1];
	return r->bucket[bucket];
}

uint32_t rows_next(const struct rows *r, unsigned class, struct slice part, uint32_t from)
{
	uint32_t bucket;

	if (r->count == 0 || from >= r->count)
		return ROWS_NONE;
	bucket = rows_bucket(part_hash(r, class, part), r->count);
	for (uint32_t at = chain_start(r, bucket, from); at != 0; at = r->next[at - 1])
		if (at - 1 >= from && part_equal(r, at - 1, class, part))
			return at - 1;
	return ROWS_NONE;
}

uint32_t rows_first_like(const struct rows *r, uint32_t row)
{
	struct slice part;
	unsigned class;

	return row_part(r, row, &class, &part) ? rows_next(r, class, part, 0) : row;
}

unsigned long rows_line_after(const struct rows *r, uint32_t row, unsigned long line,
			      size_t *offset)
{
	struct slice between = slice_sub(r->text, *offset, r->offset[row]);
	size_t at;

	while ((at = slice_find(between, r->format->separator)) < between.len) {
		between = slice_sub(between, at + 1, between.len);
		line++;
	}
	*offset = r->offset[row];
	return line;
}

unsigned long rows_line(const struct rows *r, uint32_t row)
{
	size_t offset = 0;

	return rows_line_after(r, row, 1, &offset);
}
