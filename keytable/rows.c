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

/* The row at offset up to its separator or comment. */
static struct slice row_at(const struct rows *r, size_t offset)
{
	struct slice row = slice_sub(r->text, offset, r->text.len);

	row.len = slice_find(row, r->format->separator);
	if (r->format->comments)
		row.len = slice_find(row, '#');
	return row;
}

static size_t key_length(const struct rows *r, struct slice row)
{
	size_t len = 0;

	if (r->format->value_mark != 0)
		return slice_find(row, r->format->value_mark);
	while (len < row.len && !is_space(row.ptr[len]))
		len++;
	return len;
}

void rows_get(const struct rows *r, uint32_t row, struct slice *ret_key, struct slice *ret_value)
{
	struct slice text = row_at(r, r->offset[row]);
	size_t len = key_length(r, text);

	*ret_key = trim(slice_sub(text, 0, len));
	if (ret_value != NULL)
		*ret_value = trim(slice_sub(text, len + (r->format->value_mark != 0), text.len));
}

enum err rows_scan(struct rows *r, struct slice text, const struct rows_format *format)
{
	size_t room = 0;
	size_t at = 0;

	*r = (struct rows){ .text = text, .format = format };
	while (at < text.len) {
		struct slice row = row_at(r, at);
		size_t end = at + row.len;
		struct slice trimmed = trim(row);

		if (row.len < text.len - at && text.ptr[end] != format->separator) /* a comment */
			end += slice_find(slice_sub(text, end, text.len), format->separator);
		at = end + 1;
		if (trimmed.len == 0 || key_length(r, trimmed) == 0)
			continue;
		if (r->count == room) {
			size_t more = room + room / 2 + 16;
			uint32_t *grown = realloc(r->offset, more * sizeof(*grown));

			if (grown == NULL) {
				rows_done(r);
				return ERR_NOMEM;
			}
			r->offset = grown;
			room = more;
		}
		r->offset[r->count++] = (uint32_t)(trimmed.ptr - text.ptr);
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
	struct slice key;

	rows_get(r, row, &key, NULL);
	*ret_class = 0;
	*ret_part = key;
	return r->classify == NULL || r->classify(key, ret_class, ret_part);
}

static uint32_t bucket_of(const struct rows *r, unsigned class, struct slice part)
{
	uint64_t hash = r->icase ? hash_icase(part) : hash_bytes(part);

	/* Spread the classes: the same word may stand as "word" and as "*word". */
	return rows_bucket(hash + class * 0x9e3779b97f4a7c15U, r->count);
}

/* From the last row to the first, each put in front of its chain: the chains run in file order, and
 * a thousand rows with one key cost no more than a thousand others. */
enum err rows_index(struct rows *r, row_class_fn classify, bool icase)
{
	r->classify = classify;
	r->icase = icase;
	if (r->count == 0)
		return ERR_OK;
	r->next = calloc(r->count, sizeof(*r->next));
	r->bucket = calloc(r->count, sizeof(*r->bucket));
	if (r->next == NULL || r->bucket == NULL)
		return ERR_NOMEM;
	for (uint32_t row = r->count; row-- > 0;) {
		struct slice part;
		unsigned class;
		uint32_t *first;

		if (!row_part(r, row, &class, &part))
			continue;
		first = &r->bucket[bucket_of(r, class, part)];
		r->next[row] = *first;
		*first = row + 1;
	}
	return ERR_OK;
}

/* Where in the chain of a bucket to start: behind row from - 1 when that is a link of it, so that
 * walking a thousand equal rows is not a million steps. */
static uint32_t chain_start(const struct rows *r, uint32_t bucket, uint32_t from)
{
	struct slice part;
	unsigned class;

	if (from > 0 && row_part(r, from - 1, &class, &part) && bucket_of(r, class, part) == bucket)
		return r->next[from - 1];
	return r->bucket[bucket];
}

uint32_t rows_next(const struct rows *r, unsigned class, struct slice part, uint32_t from)
{
	if (r->count == 0 || from >= r->count)
		return ROWS_NONE;
	for (uint32_t at = chain_start(r, bucket_of(r, class, part), from); at != 0;
	     at = r->next[at - 1]) {
		struct slice row_text;
		unsigned row_class;

		if (at - 1 < from || !row_part(r, at - 1, &row_class, &row_text))
			continue;
		if (row_class == class &&
		    (r->icase ? slice_ieq(row_text, part) : slice_eq(row_text, part)))
			return at - 1;
	}
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
