/* The lexer of address fields. */
#include "dkim/address_lex.h"

static bool is_one_of(char c, struct slice set)
{
	return slice_find(set, c) != set.len;
}

static bool is_atom_byte(char c)
{
	return (unsigned char)c > ' ' && (unsigned char)c != 127 &&
	       !is_one_of(c, SLICE_LIT("()<>[]:;@\\,.\""));
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && !ch_is_fws(c)) || (unsigned char)c == 127;
}

static bool is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

/* Index behind the comment that starts s; 0: it does not end, or is too deep. */
static size_t comment_end(struct slice s)
{
	unsigned depth = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (is_control(c))
			return 0;
		if (c == '\\')
			i++;
		else if (c == '(' && ++depth > ADDRESS_COMMENT_DEPTH_MAX)
			return 0;
		else if (c == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Index of the close byte of the string or literal that starts s; 0: none. */
static size_t close_at(struct slice s, char close)
{
	for (size_t i = 1; i < s.len; i++) {
		if (is_control(s.ptr[i]))
			return 0;
		if (s.ptr[i] == close)
			return i;
		/* An escaped line end would put one into a name. */
		if (s.ptr[i] == '\\' && ++i < s.len &&
		    (is_control(s.ptr[i]) || is_line_end(s.ptr[i])))
			return 0;
	}
	return 0;
}

/* @return false: a comment that is none */
static bool skip_blanks(struct slice *rest)
{
	while (rest->len != 0) {
		size_t n = 1;

		if (rest->ptr[0] == '(')
			n = comment_end(*rest);
		else if (!ch_is_fws(rest->ptr[0]))
			break;
		if (n == 0)
			return false;
		*rest = slice_sub(*rest, n, rest->len);
	}
	return true;
}

static void take(struct address_lexer *l, enum address_token token, size_t len)
{
	l->token = token;
	l->text = slice_sub(l->rest, 0, len);
	l->rest = slice_sub(l->rest, len, l->rest.len);
}

static void take_quoted(struct address_lexer *l)
{
	size_t close = close_at(l->rest, '"');

	if (close == 0) {
		l->token = ADDRESS_BAD;
		return;
	}
	take(l, ADDRESS_QUOTED, close + 1);
	l->text = slice_sub(l->text, 1, close);
}

static void take_atom(struct address_lexer *l)
{
	size_t n = 0;

	while (n < l->rest.len && is_atom_byte(l->rest.ptr[n]))
		n++;
	if (n == 0)
		l->token = ADDRESS_BAD;
	else
		take(l, ADDRESS_ATOM, n);
}

void address_lex_next(struct address_lexer *l)
{
	size_t close;

	if (l->token == ADDRESS_END || l->token == ADDRESS_BAD)
		return;
	if (!skip_blanks(&l->rest)) {
		l->token = ADDRESS_BAD;
	} else if (l->rest.len == 0) {
		l->token = ADDRESS_END;
	} else if (l->rest.ptr[0] == '"') {
		take_quoted(l);
	} else if (l->rest.ptr[0] == '[') {
		close = close_at(l->rest, ']');
		if (close == 0)
			l->token = ADDRESS_BAD;
		else
			take(l, ADDRESS_LITERAL, close + 1);
	} else if (is_one_of(l->rest.ptr[0], SLICE_LIT(".@<>,:;]"))) {
		l->special = l->rest.ptr[0];
		take(l, ADDRESS_SPECIAL, 1);
	} else {
		take_atom(l);
	}
}

void address_lex_init(struct address_lexer *l, struct slice value)
{
	*l = (struct address_lexer){ .rest = value, .token = ADDRESS_SPECIAL };
	address_lex_next(l);
}
