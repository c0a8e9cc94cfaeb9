/* Messages on files: see testfile.h. */
#include "daemon/testfile.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES 65536u

enum err testfile_read(int fd, struct buf *out)
{
	char chunk[READ_BYTES];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno != EINTR)
			return ERR_IO;
		if (n > 0)
			buf_add(out, slice_of(chunk, (size_t)n));
		if (out->error != ERR_OK)
			return out->error;
	}
	return ERR_OK;
}

struct walk {
	const struct testfile_steps *steps;
	bool strict;
	struct slice rest;
	size_t line; /* number of the last one that was taken */
	struct buf field;
	size_t field_line; /* 0: there is no field */
	struct err_detail *detail;
};

/* The next line, without its end. @return ERR_NOT_FOUND: there is none */
static enum err next_line(struct walk *w, struct slice *ret_line)
{
	size_t end = slice_find(w->rest, '\n');
	struct slice line = slice_sub(w->rest, 0, end);

	if (slice_empty(w->rest))
		return ERR_NOT_FOUND;
	w->line++;
	w->rest = slice_sub(w->rest, end + 1, w->rest.len);
	if (slice_ends(line, SLICE_LIT("\r"))) {
		line.len--;
	} else if (w->strict) {
		err_detail_set(w->detail, "line %zu: not CRLF-terminated", w->line);
		return ERR_SYNTAX;
	}
	*ret_line = line;
	return ERR_OK;
}

/* Hand the field over that is complete. @param ret_go_on false: a step stopped */
static enum err flush_field(struct walk *w, bool *ret_go_on)
{
	struct slice field;
	char *colon;
	enum err err;

	if (w->field_line == 0)
		return ERR_OK;
	buf_add_ch(&w->field, '\0');
	err = buf_finish(&w->field, &field);
	if (err != ERR_OK)
		return err;
	colon = memchr(w->field.data, ':', field.len - 1);
	if (colon == NULL || colon == w->field.data || ch_is_wsp(w->field.data[0])) {
		err_detail_set(w->detail, "line %zu: header malformed", w->field_line);
		return ERR_SYNTAX;
	}
	*colon = '\0';
	*ret_go_on = w->steps->header(w->steps->ctx, w->field.data, colon + 1, w->field_line);
	w->field_line = 0;
	buf_reset(&w->field);
	return ERR_OK;
}

/* All up to the empty line. @return as flush_field() */
static enum err walk_headers(struct walk *w, bool *ret_go_on)
{
	struct slice line;
	bool any = false;
	enum err err;

	while ((err = next_line(w, &line)) == ERR_OK && !slice_empty(line)) {
		bool folded = ch_is_wsp(line.ptr[0]) && w->field_line != 0;

		any = true;
		if (!folded)
			err = flush_field(w, ret_go_on);
		if (err != ERR_OK || !*ret_go_on)
			return err;
		if (folded)
			buf_add_str(&w->field, "\r\n");
		else
			w->field_line = w->line;
		buf_add(&w->field, line);
	}
	any = any || err == ERR_OK; /* an empty line */
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		err = flush_field(w, ret_go_on);
	if (err == ERR_OK && *ret_go_on)
		*ret_go_on = w->steps->end_headers(w->steps->ctx, any);
	return err;
}

static enum err walk_body(struct walk *w)
{
	AUTO(buf_done) struct buf whole;
	struct slice line;
	enum err err;

	buf_init(&whole, TESTFILE_BYTES_MAX + 2);
	while ((err = next_line(w, &line)) == ERR_OK) {
		buf_reset(&whole);
		buf_add(&whole, line);
		buf_add_str(&whole, "\r\n");
		if (whole.error != ERR_OK)
			return whole.error;
		w->steps->body(w->steps->ctx, buf_slice(&whole));
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err testfile_walk(struct slice text, bool strict, const struct testfile_steps *steps,
		       struct err_detail *detail)
{
	struct walk w = { .steps = steps, .strict = strict, .rest = text, .detail = detail };
	bool go_on = true;
	enum err err;

	buf_init(&w.field, TESTFILE_BYTES_MAX + 1);
	err = walk_headers(&w, &go_on);
	if (err == ERR_OK && go_on)
		err = walk_body(&w);
	buf_done(&w.field);
	return err;
}
