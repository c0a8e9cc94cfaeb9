/* Messages for load tests. */
#include "bench/message.h"

#include <stdio.h>

enum { HEADER_TEXT_MAX = 1 << 20 };
#define BODY_MAX ((size_t)1 << 31)

/* ---- made ---- */

static void body_line(const char *kind, unsigned n, struct buf *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (strcmp(kind, "base64") == 0) {
		for (unsigned i = 0; i < 76; i++)
			buf_add_ch(out, alphabet[(n * 31 + i * 7 + i * i) % 64]);
	} else if (strcmp(kind, "html") == 0) {
		buf_add_fmt(out,
			    "    <td class=\"c%u\"> <a href=\"https://example.com/%u\">item  "
			    "%u</a> </td> ",
			    n % 7, n, n);
	} else if (strcmp(kind, "blanks") == 0) {
		for (unsigned i = 0; i < 38; i++)
			buf_add_str(out, i % 2 == 0 ? "a " : "b\t");
	} else {
		buf_add_fmt(
			out,
			"Line %u of a letter that says nothing, as most letters do at this hour.",
			n);
	}
	buf_add_str(out, "\r\n");
}

enum err message_make_body(const char *kind, size_t size, struct buf *out)
{
	for (unsigned n = 0; out->len < size && out->error == ERR_OK; n++)
		body_line(kind, n, out);
	return out->error;
}

static void init(struct message *m)
{
	buf_init(&m->body, BODY_MAX);
	buf_init(&m->text, HEADER_TEXT_MAX);
	m->header_count = 0;
}

enum err message_make(struct message *m, const char *kind, size_t size, const char *from)
{
	const struct dialogue_header headers[] = {
		{ "Received", "from client (client [192.0.2.1])\n\tby mx.example.net "
			      "(MTA) with ESMTPSA id ABC123\n\tfor <suzie@example.org>; "
			      "Tue, 24 Nov 2026 10:00:00 +0000" },
		{ "From", from },
		{ "To", "Suzie Q <suzie@example.org>" },
		{ "Cc", "Team <team@example.org>" },
		{ "Subject", "Is dinner ready?" },
		{ "Date", "Tue, 24 Nov 2026 10:00:00 +0000" },
		{ "Message-ID", "<20261124100000.1@example.com>" },
		{ "MIME-Version", "1.0" },
		{ "Content-Type", "text/plain; charset=utf-8" },
		{ "Content-Transfer-Encoding", "7bit" },
		{ "User-Agent", "bench" },
		{ "In-Reply-To", "<20261123100000.1@example.org>" },
		{ "References", "<20261123100000.1@example.org>" },
		{ "List-Id", "dinner <dinner.example.com>" },
		{ "List-Unsubscribe", "<https://example.com/u/1>" },
		{ "X-Mailer", "bench 1" },
	};

	init(m);
	memcpy(m->headers, headers, sizeof(headers));
	m->header_count = ARRAY_LEN(headers);
	return message_make_body(kind, size, &m->body);
}

/* ---- read ---- */

static enum err read_whole(const char *path, struct buf *out)
{
	char chunk[65536];
	FILE *f = fopen(path, "rb");
	size_t n;
	bool failed;

	if (f == NULL)
		return ERR_IO;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, slice_of(chunk, n));
	failed = ferror(f) != 0;
	(void)fclose(f);
	return failed ? ERR_IO : out->error;
}

/* Where the field at the start of text ends: at a CRLF with no blank behind it. */
static size_t field_end(struct slice text)
{
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '\r' && text.ptr[i + 1] == '\n' &&
		    (i + 2 >= text.len || !ch_is_wsp(text.ptr[i + 2])))
			return i;
	return text.len;
}

/* Append "name NUL value NUL" as an MTA would hand it over: folds as LF, no space in front. */
static bool add_field(struct buf *text, struct slice field)
{
	size_t colon = slice_find(field, ':');
	struct slice value;

	if (colon == field.len)
		return false;
	value = slice_sub(field, colon + 1, field.len);
	if (value.len > 0 && value.ptr[0] == ' ')
		value = slice_sub(value, 1, value.len);
	buf_add(text, slice_sub(field, 0, colon));
	buf_add_ch(text, '\0');
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] != '\r')
			buf_add_ch(text, value.ptr[i]);
	buf_add_ch(text, '\0');
	return true;
}

/* The text no longer grows: now its addresses may be taken. */
static void point_into(struct message *m)
{
	const char *at = buf_slice(&m->text).ptr;

	for (size_t i = 0; i < m->header_count; i++) {
		m->headers[i].name = at;
		at += strlen(at) + 1;
		m->headers[i].value = at;
		at += strlen(at) + 1;
	}
}

static enum err split(struct message *m, struct slice rest)
{
	while (rest.len >= 2 && !(rest.ptr[0] == '\r' && rest.ptr[1] == '\n')) {
		size_t end = field_end(rest);

		if (m->header_count == MESSAGE_HEADERS_MAX)
			return ERR_LIMIT;
		if (end == rest.len || !add_field(&m->text, slice_sub(rest, 0, end)))
			return ERR_SYNTAX;
		m->header_count++;
		rest = slice_sub(rest, end + 2, rest.len);
	}
	if (rest.len < 2)
		return ERR_SYNTAX;
	buf_add(&m->body, slice_sub(rest, 2, rest.len));
	point_into(m);
	return m->text.error != ERR_OK ? m->text.error : m->body.error;
}

enum err message_read(struct message *m, const char *path)
{
	struct buf file;
	enum err e;

	init(m);
	buf_init(&file, BODY_MAX);
	e = read_whole(path, &file);
	if (e == ERR_OK)
		e = split(m, buf_slice(&file));
	buf_done(&file);
	return e;
}

void message_done(struct message *m)
{
	buf_done(&m->body);
	buf_done(&m->text);
}
