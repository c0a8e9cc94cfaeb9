/* Reading one message and taking it apart as an MTA does. */
#include "tools/testmsg.h"

#include "base/limits.h"

void testmsg_done(struct testmsg *m)
{
	buf_done(&m->raw);
	buf_done(&m->crlf);
	arena_free(&m->arena);
	m->headers = NULL;
}

static enum err read_all(FILE *in, struct buf *raw)
{
	char chunk[16384];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), in)) != 0)
		buf_add(raw, slice_of(chunk, n));
	return ferror(in) != 0 ? ERR_IO : raw->error;
}

static enum err make_crlf(struct slice raw, struct buf *out)
{
	while (raw.len != 0) {
		size_t end = slice_find(raw, '\n');
		bool has_cr = end < raw.len && end > 0 && raw.ptr[end - 1] == '\r';

		buf_add(out, slice_sub(raw, 0, end));
		if (end < raw.len)
			buf_add_str(out, has_cr ? "\n" : "\r\n");
		raw = slice_sub(raw, end + 1, raw.len);
	}
	return out->error;
}

/* One field, up to the CRLF that no blank follows. */
static size_t field_length(struct slice text)
{
	size_t at = 0;

	for (;;) {
		at += slice_find(slice_sub(text, at, text.len), '\n');
		if (at >= text.len)
			return text.len;
		at++;
		if (at >= text.len || !ch_is_wsp(text.ptr[at]))
			return at;
	}
}

static struct slice without_crlf(struct slice s)
{
	if (s.len != 0 && s.ptr[s.len - 1] == '\n')
		s.len--;
	if (s.len != 0 && s.ptr[s.len - 1] == '\r')
		s.len--;
	return s;
}

static enum err split(struct testmsg *m, struct err_detail *detail)
{
	struct slice text = buf_slice(&m->crlf);

	while (text.len != 0 && !slice_starts(text, SLICE_LIT("\r\n"))) {
		size_t len = field_length(text);
		struct slice field = without_crlf(slice_sub(text, 0, len));
		size_t colon = slice_find(field, ':');
		enum err e = ERR_SYNTAX;

		if (colon != 0 && colon < field.len)
			e = hdrstore_add(m->headers, slice_sub(field, 0, colon),
					 slice_sub(field, colon + 1, field.len), true);
		if (e != ERR_OK) {
			err_detail_set(detail, "header field %zu: %s",
				       hdrstore_count(m->headers) + 1,
				       e == ERR_SYNTAX ? "no NAME: at its start" : err_text(e));
			return e;
		}
		text = slice_sub(text, len, text.len);
	}
	m->body = slice_sub(text, text.len != 0 ? 2 : 0, text.len);
	return ERR_OK;
}

enum err testmsg_read(FILE *in, struct testmsg *ret_message, struct err_detail *detail)
{
	struct testmsg *m = ret_message;
	enum err e;

	*m = (struct testmsg){ .arena = arena_new((size_t)LIMIT_MESSAGE_ARENA_BYTES * 8) };
	buf_init(&m->raw, TESTMSG_BYTES_MAX);
	buf_init(&m->crlf, TESTMSG_BYTES_MAX * 2);
	if (m->arena == NULL)
		return ERR_NOMEM;
	e = hdrstore_new(m->arena, 0, &m->headers);
	if (e == ERR_OK)
		e = read_all(in, &m->raw);
	if (e == ERR_OK)
		e = make_crlf(buf_slice(&m->raw), &m->crlf);
	return e == ERR_OK ? split(m, detail) : e;
}
