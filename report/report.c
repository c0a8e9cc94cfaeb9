/* Reports: writing, reading, checking. */
#include "report/report.h"

#include "base/text.h"

#define CELL_BYTES_MAX 4096u

void report_section(struct buf *out, const char *header)
{
	buf_add_str(out, header);
	buf_add_ch(out, '\n');
}

void report_text(struct buf *out, struct slice text)
{
	char safe[CELL_BYTES_MAX];

	buf_add_ch(out, '\t');
	buf_add_str(out, text_sanitize(text, safe, sizeof(safe)));
}

void report_number(struct buf *out, uint64_t number)
{
	buf_add_fmt(out, "\t%llu", (unsigned long long)number);
}

void report_unknown(struct buf *out)
{
	buf_add_ch(out, '\t');
}

void report_end_row(struct buf *out)
{
	buf_add_ch(out, '\n');
}

/* The next line without its end. @return false: nothing is left, or the end is missing */
static bool next_line(struct slice *text, struct slice *ret_line)
{
	size_t end = slice_find(*text, '\n');

	if (end == text->len)
		return false;
	*ret_line = slice_sub(*text, 0, end);
	*text = slice_sub(*text, end + 1, text->len);
	return true;
}

static bool is_row(struct slice line)
{
	return line.len > 0 && line.ptr[0] == '\t';
}

static bool is_header(struct slice line)
{
	return line.len > 1 && (line.ptr[0] == '=' || line.ptr[0] == '@');
}

static bool take_columns(struct slice line, struct report_section *s)
{
	struct slice column;

	if (!slice_next(&line, '\t', &s->name))
		return false;
	while (slice_next(&line, '\t', &column)) {
		char kind = column.len > 1 ? column.ptr[0] : '\0';
		bool marked = kind == '#' || kind == '~';

		if (s->column_count == REPORT_COLUMNS_MAX)
			return false;
		s->numeric[s->column_count] = kind == '#';
		s->lengthy[s->column_count] = kind == '~';
		s->columns[s->column_count++] = marked ? slice_sub(column, 1, column.len) : column;
	}
	return s->column_count > 0;
}

bool report_next_section(struct slice *text, struct report_section *ret_section)
{
	struct report_section s = { .column_count = 0 };
	struct slice rest = *text;
	struct slice line;
	const char *rows;

	if (!next_line(&rest, &line) || !is_header(line))
		return false;
	s.list = line.ptr[0] == '@';
	if (!take_columns(slice_sub(line, 1, line.len), &s))
		return false;
	rows = rest.ptr;
	*text = rest;
	while (next_line(&rest, &line) && is_row(line))
		*text = rest;
	s.rows = slice_of(rows, (size_t)(text->ptr - rows));
	*ret_section = s;
	return true;
}

bool report_next_row(struct report_section *section, struct slice *cells)
{
	struct slice line;

	if (!next_line(&section->rows, &line) || !is_row(line))
		return false;
	line = slice_sub(line, 1, line.len);
	for (size_t i = 0; i < section->column_count; i++) {
		if (!slice_next(&line, '\t', &cells[i]))
			return false;
	}
	return line.ptr == NULL; /* none too many */
}

/* A section is expected once. */
static bool take_header(struct slice text, const char *const *headers, bool *seen)
{
	struct slice line;

	if (!next_line(&text, &line))
		return false;
	for (size_t i = 0; i < REPORT_SECTIONS_MAX && headers[i] != NULL; i++) {
		if (!slice_eq(line, slice_str(headers[i])))
			continue;
		if (seen[i])
			return false;
		seen[i] = true;
		return true;
	}
	return false;
}

static bool is_number(struct slice cell)
{
	unsigned long long number;

	/* "007" is no number of JSON's */
	return cell.len == 0 || (slice_u64(cell, &number) && (cell.len == 1 || cell.ptr[0] != '0'));
}

/* Every row has its cells and the numbers are some. */
static bool rows_are_valid(struct report_section *s)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	size_t rows = 0;

	for (; report_next_row(s, cells); rows++) {
		for (size_t i = 0; i < s->column_count; i++) {
			if (cells[i].len >= CELL_BYTES_MAX ||
			    (s->numeric[i] && !is_number(cells[i])))
				return false;
		}
	}
	return s->rows.len == 0 && (s->list || rows == 1);
}

/* UTF-8 without control characters, those of C1 included: it may go to a terminal. */
static bool is_clean(struct slice text)
{
	size_t n;

	for (size_t i = 0; i < text.len; i += n) {
		unsigned char c = (unsigned char)text.ptr[i];

		n = text_utf8_len(slice_sub(text, i, text.len));
		if (n == 0 || (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
			return false;
	}
	return true;
}

bool report_is_valid(struct slice text, const char *const *headers)
{
	bool seen[REPORT_SECTIONS_MAX] = { false };
	struct report_section s;

	if (!is_clean(text))
		return false;
	while (text.len > 0) {
		if (!take_header(text, headers, seen) || !report_next_section(&text, &s) ||
		    !rows_are_valid(&s))
			return false;
	}
	return true;
}
