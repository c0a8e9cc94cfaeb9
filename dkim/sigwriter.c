/* Folding of signature fields. */
#include "dkim/sigwriter.h"

#include <inttypes.h>
#include <stdio.h>

#define TAB_COLUMNS 8u

void sigwriter_init(struct sigwriter *w, size_t name_len, size_t max_bytes)
{
	buf_init(&w->out, max_bytes);
	w->column = name_len + 1; /* the colon */
}

void sigwriter_done(struct sigwriter *w)
{
	buf_done(&w->out);
}

static void add(struct sigwriter *w, struct slice s)
{
	buf_add(&w->out, s);
	w->column += s.len;
}

static void fold_before_tag(struct sigwriter *w)
{
	buf_add_str(&w->out, "\n\t");
	w->column = TAB_COLUMNS;
}

static void fold_inside_tag(struct sigwriter *w)
{
	buf_add_str(&w->out, "\n\t ");
	w->column = TAB_COLUMNS + 1;
}

/* Blank or fold, then "name="; len is the length of what must stand on one line if it can. */
static void open_tag(struct sigwriter *w, const char *name, size_t len)
{
	/* The first tag stays behind the colon: an empty first line would be bad form. */
	if (w->out.len != 0 && w->column + 1 + len > SIGWRITER_COLUMNS)
		fold_before_tag(w);
	else
		add(w, SLICE_LIT(" "));
	add(w, slice_str(name));
	add(w, SLICE_LIT("="));
}

void sigwriter_tag(struct sigwriter *w, const char *name, struct slice value)
{
	open_tag(w, name, strlen(name) + 1 + value.len + 1);
	add(w, value);
	add(w, SLICE_LIT(";"));
}

void sigwriter_tag_u64(struct sigwriter *w, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	sigwriter_tag(w, name, slice_str(text));
}

void sigwriter_tag_list(struct sigwriter *w, const char *name, const struct slice *items,
			size_t count)
{
	size_t len = strlen(name) + 1;

	for (size_t i = 0; i < count; i++)
		len += items[i].len + 1;
	open_tag(w, name, len);
	for (size_t i = 0; i < count; i++) {
		if (i != 0 && w->column + items[i].len + 1 > SIGWRITER_COLUMNS)
			fold_inside_tag(w);
		add(w, items[i]);
		add(w, i + 1 < count ? SLICE_LIT(":") : SLICE_LIT(";"));
	}
}

/* A cut at n would stand inside an =XX: how far back is its '='? */
static size_t escape_before(struct slice text, size_t n)
{
	if (n >= 1 && text.ptr[n - 1] == '=')
		return 1;
	return n >= 2 && text.ptr[n - 2] == '=' ? 2 : 0;
}

void sigwriter_text(struct sigwriter *w, struct slice text)
{
	while (text.len != 0) {
		size_t room = w->column < SIGWRITER_COLUMNS ? SIGWRITER_COLUMNS - w->column : 0;
		size_t n = text.len <= room ? text.len : room - escape_before(text, room);

		add(w, slice_sub(text, 0, n));
		text = slice_sub(text, n, text.len);
		if (text.len != 0)
			fold_inside_tag(w);
	}
}

void sigwriter_tag_text(struct sigwriter *w, const char *name, struct slice value)
{
	open_tag(w, name, strlen(name) + 1 + value.len + 1);
	sigwriter_text(w, value);
	add(w, SLICE_LIT(";"));
}

void sigwriter_open_b(struct sigwriter *w)
{
	fold_before_tag(w);
	add(w, SLICE_LIT("b="));
}
