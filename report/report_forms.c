/* A report as JSON, and as text for people. */
#include "base/json.h"
#include "report/report.h"

/* ---- JSON ---- */

static void add_value(struct slice cell, bool numeric, struct buf *out)
{
	if (!numeric)
		json_add_string(cell, out);
	else if (cell.len > 0)
		buf_add(out, cell);
	else
		buf_add_str(out, "null");
}

static void add_object(const struct report_section *s, const struct slice *cells, struct buf *out)
{
	buf_add_ch(out, '{');
	for (size_t i = 0; i < s->column_count; i++) {
		if (i > 0)
			buf_add_str(out, ", ");
		json_add_string(s->columns[i], out);
		buf_add_str(out, ": ");
		add_value(cells[i], s->numeric[i], out);
	}
	buf_add_ch(out, '}');
}

void report_to_json(struct slice text, struct buf *out)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	struct report_section s;
	const char *before = "\n  ";

	buf_add_ch(out, '{');
	while (report_next_section(&text, &s)) {
		const char *before_row = "\n    ";

		buf_add_str(out, before);
		json_add_string(s.name, out);
		buf_add_str(out, s.list ? ": [" : ": ");
		while (report_next_row(&s, cells)) {
			if (s.list)
				buf_add_str(out, before_row);
			add_object(&s, cells, out);
			before_row = ",\n    ";
		}
		if (s.list)
			buf_add_str(out, "\n  ]");
		before = ",\n  ";
	}
	buf_add_str(out, "\n}\n");
}

/* ---- for people ---- */

/* Cells beyond this width stand out of their column. */
#define WIDTH_MAX 128u
/* Blanks may make a table so many times as long as its cells; all of so many bytes may be. A few
 * long cells among very many short ones would make it some thousand times as long: then columns are
 * narrower. */
#define PADDING_TIMES 8u
#define PADDING_FREE 65536u

static void add_padded(struct slice text, size_t width, struct buf *out)
{
	buf_add(out, text);
	if (text.len < width)
		buf_add_fmt(out, "%*s", (int)(width - text.len), "");
}

/* An empty cell would leave a hole that the eye fills with its neighbour. */
static struct slice shown(struct slice cell)
{
	return cell.len > 0 ? cell : SLICE_LIT("-");
}

static void add_lines(struct report_section *s, struct buf *out)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	size_t width = 0;

	for (size_t i = 0; i < s->column_count; i++)
		width = s->columns[i].len > width ? s->columns[i].len : width;
	if (!report_next_row(s, cells))
		return;
	for (size_t i = 0; i < s->column_count; i++) {
		if (s->lengthy[i])
			continue;
		buf_add_str(out, "  ");
		add_padded(s->columns[i], (width < WIDTH_MAX ? width : WIDTH_MAX) + 2, out);
		buf_add(out, shown(cells[i]));
		buf_add_ch(out, '\n');
	}
}

/* Take the cells of columns that tables leave out away. @return how many are left */
static size_t keep_short(const struct report_section *s, struct slice *cells)
{
	size_t count = 0;

	for (size_t i = 0; i < s->column_count; i++) {
		if (!s->lengthy[i])
			cells[count++] = cells[i];
	}
	return count;
}

static void widen(size_t *widths, const struct slice *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (shown(cells[i]).len > widths[i])
			widths[i] = shown(cells[i]).len;
	}
}

/* @param bytes of all rows */
static void narrow(size_t *widths, size_t count, size_t rows, size_t bytes)
{
	size_t most = bytes < PADDING_FREE / PADDING_TIMES ? PADDING_FREE : bytes * PADDING_TIMES;
	size_t limit = WIDTH_MAX;
	size_t row;

	for (;; limit /= 2) {
		row = 0;
		for (size_t i = 0; i < count; i++) {
			if (widths[i] > limit)
				widths[i] = limit;
			row += widths[i];
		}
		if (row == 0 || rows <= most / row)
			return;
	}
}

static void add_columns(const size_t *widths, const struct slice *cells, size_t count,
			struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		buf_add_str(out, "  ");
		add_padded(shown(cells[i]), i + 1 < count ? widths[i] : 0, out);
	}
	buf_add_ch(out, '\n');
}

static void add_list(struct report_section *s, struct buf *out)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	size_t widths[REPORT_COLUMNS_MAX] = { 0 };
	struct report_section measured = *s;
	size_t count = keep_short(s, s->columns);
	size_t rows = 0;

	widen(widths, s->columns, count);
	for (; report_next_row(&measured, cells); rows++) {
		(void)keep_short(s, cells);
		widen(widths, cells, count);
	}
	narrow(widths, count, rows, s->rows.len);
	add_columns(widths, s->columns, count, out);
	while (report_next_row(s, cells)) {
		(void)keep_short(s, cells);
		add_columns(widths, cells, count, out);
	}
}

void report_to_table(struct slice text, struct buf *out)
{
	struct report_section s;
	bool first = true;

	while (report_next_section(&text, &s)) {
		if (!first)
			buf_add_ch(out, '\n');
		first = false;
		buf_add(out, s.name);
		buf_add_str(out, ":\n");
		if (s.list)
			add_list(&s, out);
		else
			add_lines(&s, out);
	}
}
