/* Where a bad signature comes from: the known rewrites are undone one by one until it fits. */
#include "tools/testmsg.h"

/* Lines that a footer or a banner may have. */
#define FOOTER_LINES_MAX 60U
/* Tries of a body above this size would take too long: fewer are made. */
#define BODY_BYTES_EASY ((size_t)1024 * 1024)

static bool body_fits(const struct testmsg_case *c, struct slice body)
{
	unsigned char digest[32];
	size_t len = 0;

	return testmsg_body_hash(c, body, digest, &len) == ERR_OK &&
	       slice_eq(slice_of(digest, len), c->verdict->sig.body_hash);
}

/* ---- lines more than were signed ---- */

static const char *guess_footer(const struct testmsg_case *c, char *room, size_t room_size)
{
	struct slice body = c->message->body;
	unsigned max = body.len > BODY_BYTES_EASY ? FOOTER_LINES_MAX / 4 : FOOTER_LINES_MAX;

	for (unsigned lines = 1; lines <= max && body.len != 0; lines++) {
		body = slice_sub(body, 0, body.len - 1);
		body.len = slice_rfind(body, '\n') < body.len ? slice_rfind(body, '\n') + 1 : 0;
		if (!body_fits(c, body))
			continue;
		(void)snprintf(room, room_size,
			       "a footer was appended: without the last %u line%s the body hash is "
			       "right",
			       lines, lines == 1 ? "" : "s");
		return room;
	}
	return NULL;
}

static const char *guess_banner(const struct testmsg_case *c, char *room, size_t room_size)
{
	struct slice body = c->message->body;
	unsigned max = body.len > BODY_BYTES_EASY ? FOOTER_LINES_MAX / 4 : FOOTER_LINES_MAX;

	for (unsigned lines = 1; lines <= max && body.len != 0; lines++) {
		body = slice_sub(body, slice_find(body, '\n') + 1, body.len);
		if (!body_fits(c, body))
			continue;
		(void)snprintf(room, room_size,
			       "a banner was put on top: without the first %u line%s the body hash "
			       "is right",
			       lines, lines == 1 ? "" : "s");
		return room;
	}
	return NULL;
}

/* ---- other bytes ---- */

static int hex_value(char c)
{
	if (ch_is_digit(c))
		return c - '0';
	c = ch_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "=XX" stands for, -1: it is none. */
static int qp_byte(struct slice text)
{
	if (text.len < 3 || text.ptr[0] != '=' || hex_value(text.ptr[1]) < 0 ||
	    hex_value(text.ptr[2]) < 0)
		return -1;
	return hex_value(text.ptr[1]) * 16 + hex_value(text.ptr[2]);
}

static void undo_quoted_printable(struct slice in, struct buf *out)
{
	while (in.len != 0) {
		int byte = qp_byte(in);
		bool soft_end = slice_starts(in, SLICE_LIT("=\r\n"));

		if (!soft_end)
			buf_add_ch(out, byte >= 0 ? (char)byte : in.ptr[0]);
		in = slice_sub(in, soft_end || byte >= 0 ? 3 : 1, in.len);
	}
}

static void undo_crlf(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++)
		if (in.ptr[i] != '\r' || i + 1 == in.len || in.ptr[i + 1] != '\n')
			buf_add_ch(out, in.ptr[i]);
}

/* A lone CR that became CRLF somewhere is not to be told from a line; doubled ones are. */
static void undo_doubled_cr(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++)
		if (in.ptr[i] != '\r' || i + 1 == in.len || in.ptr[i + 1] != '\r')
			buf_add_ch(out, in.ptr[i]);
}

static void strip_line_ends(struct slice in, struct buf *out)
{
	struct slice line;

	while (slice_next(&in, '\n', &line)) {
		buf_add(out, slice_rtrim(line));
		if (in.ptr != NULL)
			buf_add_str(out, "\r\n");
	}
}

/* Undo a change of how lines begin: each line that starts with from starts with to. */
static void change_starts(struct slice in, struct slice from, struct slice to, struct buf *out)
{
	struct slice line;

	while (slice_next(&in, '\n', &line)) {
		if (slice_starts(line, from)) {
			buf_add(out, to);
			line = slice_sub(line, from.len, line.len);
		}
		buf_add(out, line);
		if (in.ptr != NULL)
			buf_add_ch(out, '\n');
	}
}

static void undo_from_quoting(struct slice in, struct buf *out)
{
	change_starts(in, SLICE_LIT(">From "), SLICE_LIT("From "), out);
}

static void undo_dot_stuffing(struct slice in, struct buf *out)
{
	change_starts(in, SLICE_LIT(".."), SLICE_LIT("."), out);
}

static void redo_dot_stuffing(struct slice in, struct buf *out)
{
	change_starts(in, SLICE_LIT("."), SLICE_LIT(".."), out);
}

static const struct {
	void (*undo)(struct slice in, struct buf *out);
	const char *text;
} body_rewrites[] = {
	{ undo_quoted_printable,
	  "the body was converted from 8bit to quoted-printable after it was signed (set "
	  "disable_mime_output_conversion = yes in Postfix, or sign 7-bit mail only)" },
	{ undo_doubled_cr, "line ends were doubled: CR CR LF instead of CR LF" },
	{ undo_crlf, "it was signed with bare LF line ends; on its way they became CRLF" },
	{ strip_line_ends,
	  "blanks at line ends were added; relaxed body canonicalization would have borne it" },
	{ undo_from_quoting, "a line that began with \"From \" was changed to \">From \"" },
	{ undo_dot_stuffing, "dots at line starts were doubled (SMTP dot-stuffing left in)" },
	{ redo_dot_stuffing,
	  "dots at line starts were removed (SMTP dot-stuffing taken out twice)" },
};

const char *testmsg_guess_body(const struct testmsg_case *c, char *room, size_t room_size)
{
	const char *found = NULL;
	struct buf b;

	buf_init(&b, TESTMSG_BYTES_MAX * 2);
	for (size_t i = 0; i < ARRAY_LEN(body_rewrites) && found == NULL; i++) {
		buf_reset(&b);
		body_rewrites[i].undo(c->message->body, &b);
		if (b.error == ERR_OK && body_fits(c, buf_slice(&b)))
			found = body_rewrites[i].text;
	}
	buf_done(&b);
	if (found == NULL)
		found = guess_footer(c, room, room_size);
	return found != NULL ? found : guess_banner(c, room, room_size);
}

/* ---- header fields ---- */

/* What may have been done to one field; out gets the value before it. @return false: not this */
typedef bool undo_field(struct slice value, struct buf *out);

static bool field_gone(struct slice value, struct buf *out)
{
	(void)value, (void)out;
	return true;
}

/* " [list] text" -> " text" */
static bool without_tag(struct slice value, struct buf *out)
{
	struct slice text = slice_trim(value);
	size_t end = slice_find(text, ']');

	if (text.len == 0 || text.ptr[0] != '[' || end == text.len)
		return false;
	buf_add_ch(out, ' ');
	buf_add(out, slice_trim(slice_sub(text, end + 1, text.len)));
	return true;
}

/* In one line, one blank where a fold was. */
static bool unfolded(struct slice value, struct buf *out)
{
	bool changed = false;

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\r' && i + 1 < value.len && value.ptr[i + 1] == '\n') {
			i++;
			changed = true;
			continue;
		}
		buf_add_ch(out, value.ptr[i]);
	}
	return changed;
}

static bool single_blanks(struct slice value, struct buf *out)
{
	bool blank = false;

	buf_add_ch(out, ' ');
	value = slice_trim(value);
	for (size_t i = 0; i < value.len; i++) {
		bool is_blank = ch_is_fws(value.ptr[i]);

		if (!is_blank)
			buf_add_ch(out, value.ptr[i]);
		else if (!blank)
			buf_add_ch(out, ' ');
		blank = is_blank;
	}
	return true;
}

static const struct {
	undo_field *undo;
	bool drop;
	const char *text;
} field_rewrites[] = {
	{ without_tag, false, "a tag in [] was put before the text" },
	{ unfolded, false,
	  "the field was folded anew (relaxed canonicalization would have borne it)" },
	{ single_blanks, false,
	  "blanks of the field were changed (relaxed canonicalization would have borne it)" },
	{ field_gone, true, "the field was added after signing" },
};

/* The store with one field changed or left out. */
static enum err copy_store(const struct testmsg_case *c, size_t changed, struct slice value,
			   bool drop, struct hdrstore **ret_store)
{
	const struct hdrstore *from = c->message->headers;
	struct hdrstore *store = NULL;
	enum err e = hdrstore_new(c->message->arena, 0, &store);

	for (size_t i = 0; e == ERR_OK && i < hdrstore_count(from); i++) {
		const struct hdr *h = hdrstore_at(from, i);

		if (i != changed || !drop)
			e = hdrstore_add(store, h->raw_name, i == changed ? value : h->value, true);
	}
	if (e == ERR_OK)
		*ret_store = store;
	return e;
}

static bool header_fits(const struct testmsg_case *c, size_t field, struct slice value, bool drop)
{
	struct hdrstore *store = NULL;
	struct slice input;

	return copy_store(c, field, value, drop, &store) == ERR_OK &&
	       testmsg_header_input(c, store, &input) == ERR_OK && testmsg_signature_fits(c, input);
}

static bool is_signed(const struct testmsg_case *c, const struct hdr *h)
{
	for (size_t i = 0; i < c->verdict->sig.names_count; i++)
		if (slice_ieq(c->verdict->sig.names[i], h->name))
			return h != c->verdict->field;
	return false;
}

static const char *guess_field(const struct testmsg_case *c, size_t i, char *room, size_t room_size)
{
	const struct hdr *h = hdrstore_at(c->message->headers, i);
	const char *found = NULL;
	struct buf b;

	buf_init(&b, (size_t)1024 * 1024);
	for (size_t n = 0; n < ARRAY_LEN(field_rewrites) && found == NULL; n++) {
		buf_reset(&b);
		if (field_rewrites[n].undo(h->value, &b) && b.error == ERR_OK &&
		    header_fits(c, i, buf_slice(&b), field_rewrites[n].drop))
			found = field_rewrites[n].text;
	}
	buf_done(&b);
	if (found == NULL)
		return NULL;
	(void)snprintf(room, room_size, "%.*s: %s", SLICE_FMT(h->name), found);
	return room;
}

const char *testmsg_guess_header(const struct testmsg_case *c, char *room, size_t room_size)
{
	for (size_t i = 0; i < hdrstore_count(c->message->headers); i++) {
		const char *found = NULL;

		if (is_signed(c, hdrstore_at(c->message->headers, i)))
			found = guess_field(c, i, room, room_size);
		if (found != NULL)
			return found;
	}
	return NULL;
}
