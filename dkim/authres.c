/* Reading Authentication-Results: to know whose it is, not to believe it. */
#define _GNU_SOURCE /* memmem() */
#include "dkim/authres.h"

#include "base/text.h"
#include "dkim/idn.h"

struct scan {
	struct slice rest;
	bool broken; /* the grammar was left somewhere */
};

static bool at_end(const struct scan *s)
{
	return s->rest.len == 0;
}

static char peek(const struct scan *s)
{
	return s->rest.ptr[0];
}

static void skip(struct scan *s, size_t n)
{
	s->rest = slice_sub(s->rest, n, s->rest.len);
}

/* From "(" to its ")", with what is nested in it; to the end when there is none. */
static void skip_comment(struct scan *s)
{
	size_t depth = 0;

	while (!at_end(s)) {
		char c = peek(s);

		skip(s, c == '\\' ? 2 : 1);
		if (c == '(')
			depth++;
		if (c == ')' && --depth == 0)
			return;
	}
	s->broken = true;
}

static void skip_cfws(struct scan *s)
{
	while (!at_end(s)) {
		if (peek(s) == '(')
			skip_comment(s);
		else if (ch_is_fws(peek(s)))
			skip(s, 1);
		else
			return;
	}
}

/* Takes bytes of at most one character of text; a control byte or no UTF-8 breaks the grammar. */
static size_t text_len(struct scan *s)
{
	size_t n = text_utf8_len(s->rest);

	if (n == 0 || (unsigned char)peek(s) < 0x20 || peek(s) == 0x7f)
		s->broken = true;
	return n != 0 ? n : 1;
}

/* Where words go; as long as the field at most. */
struct out {
	char *text;
	size_t len;
};

static void put(struct out *out, struct scan *s, size_t n)
{
	memcpy(out->text + out->len, s->rest.ptr, n);
	out->len += n;
	skip(s, n);
}

/* Blanks inside quotes are dropped: they are not part of any name that we compare with. */
static void read_quoted(struct scan *s, struct out *out)
{
	skip(s, 1);
	while (!at_end(s) && peek(s) != '"') {
		if (peek(s) == '\\')
			skip(s, 1);
		if (at_end(s))
			break;
		if (ch_is_fws(peek(s)))
			skip(s, 1);
		else
			put(out, s, text_len(s));
	}
	if (at_end(s))
		s->broken = true;
	skip(s, 1);
}

/*
 * A word up to a blank, a comment, ";" or one of stop: bare characters and quoted strings in any
 * mixture.
 * @param foreign characters that it should not have
 * @return it, in out
 */
static struct slice read_word(struct scan *s, const char *stop, const char *foreign,
			      struct out *out)
{
	size_t from = out->len;

	while (!at_end(s) && !ch_is_fws(peek(s)) && peek(s) != '(' && peek(s) != ';' &&
	       (peek(s) == '\0' || strchr(stop, peek(s)) == NULL)) {
		if (peek(s) == '"') {
			read_quoted(s, out);
			continue;
		}
		if (peek(s) == '\0' || strchr(foreign, peek(s)) != NULL)
			s->broken = true;
		put(out, s, text_len(s));
	}
	return slice_of(out->text + from, out->len - from);
}

static bool is_version(struct slice word)
{
	unsigned long long number;

	return slice_u64(word, &number);
}

/* The part as a careless reader may take it: without what parts its words. */
static enum err squeeze(struct arena *arena, struct slice part, struct slice *ret_squeezed)
{
	char *text = arena_alloc(arena, part.len + 1);
	size_t len = 0;

	if (text == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < part.len; i++)
		if (!ch_is_fws(part.ptr[i]) && part.ptr[i] != '"' && part.ptr[i] != '\\')
			text[len++] = ch_lower(part.ptr[i]);
	text[len] = '\0';
	*ret_squeezed = slice_of(text, len);
	return ERR_OK;
}

/* authserv-id [ CFWS version ]: "/" is what OpenDKIM puts before a job id. */
static enum err read_id(struct arena *arena, struct scan *s, struct out *out, struct authres *ar)
{
	static const char foreign[] = ")<>@,:\\[]?=";
	struct slice value = s->rest;
	struct idn_name name;
	size_t words = 0;

	skip_cfws(s);
	while (!at_end(s) && peek(s) != ';') {
		struct slice word = read_word(s, "", foreign, out);

		words++;
		if (words == 1)
			ar->id = word;
		else if (words > 2 || !is_version(word))
			s->broken = true;
		skip_cfws(s);
	}
	ar->id_readable = !s->broken && ar->id.len != 0 &&
			  (slice_is_ascii(ar->id) || idn_to_ascii(ar->id, &name) == ERR_OK);
	if (ar->id_readable)
		return ERR_OK;
	ar->joined = slice_of(out->text, out->len);
	/* Once the grammar is left a ";" means nothing: our name may stand anywhere. */
	return squeeze(arena, value, &ar->squeezed);
}

/* To the next ";" that is not quoted or commented out. */
static void skip_result(struct scan *s, struct out *out)
{
	while (!at_end(s) && peek(s) != ';') {
		(void)read_word(s, "", "", out);
		skip_cfws(s);
	}
}

static bool take_equals(struct scan *s)
{
	skip_cfws(s);
	if (at_end(s) || peek(s) != '=')
		return false;
	skip(s, 1);
	skip_cfws(s);
	return true;
}

/* name = value, the name with an optional "/version" that may have blanks around its "/". */
static bool read_pair(struct scan *s, struct out *out, struct slice *ret_name)
{
	*ret_name = read_word(s, "=/", ")", out);
	skip_cfws(s);
	if (!at_end(s) && peek(s) == '/') {
		skip(s, 1);
		skip_cfws(s);
		(void)read_word(s, "=", ")", out);
	}
	return ret_name->len != 0 && take_equals(s) && read_word(s, "", ")", out).len != 0;
}

/* "reason" or ptype "." property, RFC 8601 section 2.2: a method here would be a result that is
 * hidden from us, but not from every reader. */
static bool is_property(struct slice name)
{
	return slice_find(name, '.') != name.len || slice_ieq(name, SLICE_LIT("reason"));
}

/* One result behind its ";". @return false: no result, or none that can be read */
static bool read_result(struct scan *s, struct out *out, bool *has_dkim)
{
	struct slice name;
	bool ok;

	skip_cfws(s);
	if (at_end(s))
		return true;
	ok = read_pair(s, out, &name);
	if (slice_ieq(name, SLICE_LIT("dkim")))
		*has_dkim = true;
	if (!ok)
		return slice_ieq(name, SLICE_LIT("none")) && (at_end(s) || peek(s) == ';');
	skip_cfws(s);
	while (!at_end(s) && peek(s) != ';') {
		if (!read_pair(s, out, &name) || !is_property(name))
			return false;
		skip_cfws(s);
	}
	return true;
}

static enum authres_content read_results(struct scan *s, struct out *out)
{
	bool has_dkim = false;
	size_t keep = out->len;

	while (!at_end(s)) {
		skip(s, 1);
		out->len = keep;
		if (!read_result(s, out, &has_dkim)) {
			s->broken = true;
			skip_result(s, out);
		}
	}
	if (s->broken)
		return AUTHRES_UNREADABLE;
	return has_dkim ? AUTHRES_WITH_DKIM : AUTHRES_WITHOUT_DKIM;
}

/* "dkim=" and "dkim/1=" also inside of comments and quotes, where a search finds them, too. */
static bool shows_dkim(struct slice value)
{
	static const struct slice word = SLICE_INIT("dkim");

	for (size_t i = 0; i + word.len < value.len; i++) {
		struct slice rest = slice_sub(value, i, value.len);

		if (!slice_istarts(rest, word))
			continue;
		rest = slice_sub(rest, word.len, rest.len);
		while (rest.len != 0 && ch_is_fws(rest.ptr[0]))
			rest = slice_sub(rest, 1, rest.len);
		if (rest.len != 0 && (rest.ptr[0] == '=' || rest.ptr[0] == '/'))
			return true;
	}
	return false;
}

enum err authres_parse(struct arena *arena, struct slice value, struct authres *ret_ar)
{
	struct scan scan = { .rest = value };
	struct out out = { .text = arena_alloc(arena, value.len + 1) };
	struct authres ar = { .content = AUTHRES_UNREADABLE };
	enum err e;

	if (out.text == NULL)
		return ERR_NOMEM;
	e = read_id(arena, &scan, &out, &ar);
	if (e != ERR_OK)
		return e;
	ar.content = read_results(&scan, &out);
	if (ar.content == AUTHRES_WITHOUT_DKIM && shows_dkim(value))
		ar.content = AUTHRES_UNREADABLE;
	*ret_ar = ar;
	return ERR_OK;
}

static struct slice without_dots(struct slice name)
{
	while (name.len != 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	return name;
}

static bool same_id(struct slice a, struct slice b)
{
	a = without_dots(a);
	return slice_ieq(a, without_dots(b)) || idn_equal(a, b);
}

/* Whole, or a part of it between "/". */
static bool is_id(struct slice word, struct slice authserv_id)
{
	struct slice rest = word;
	struct slice part;

	if (same_id(word, authserv_id))
		return true;
	while (slice_next(&rest, '/', &part))
		if (same_id(part, authserv_id))
			return true;
	return false;
}

/* Both are in lower case; id is not empty. */
static bool occurs(struct slice text, struct slice id)
{
	return memmem(text.ptr, text.len, id.ptr, id.len) != NULL;
}

static bool occurs_somehow(struct slice text, struct slice authserv_id)
{
	struct slice id = without_dots(authserv_id);
	char lower[LIMIT_DOMAIN_BYTES * 4];
	struct idn_name ascii;

	if (id.len == 0 || id.len > sizeof(lower))
		return true; /* nothing to tell it from: better gone */
	for (size_t i = 0; i < id.len; i++)
		lower[i] = ch_lower(id.ptr[i]);
	if (occurs(text, slice_of(lower, id.len)))
		return true;
	return idn_to_ascii(id, &ascii) == ERR_OK && occurs(text, slice_of(ascii.text, ascii.len));
}

bool authres_claims(const struct authres *ar, struct slice authserv_id)
{
	if (is_id(ar->id, authserv_id))
		return true;
	if (ar->id_readable)
		return false;
	return ar->id.len == 0 || occurs(ar->squeezed, SLICE_LIT("=?")) ||
	       is_id(ar->joined, authserv_id) || occurs_somehow(ar->squeezed, authserv_id);
}
