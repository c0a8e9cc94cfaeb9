/* Mailbox lists: the grammar on top of the lexer. One pass, no backtracking. */
#include "dkim/address.h"

#include "base/text.h"
#include "dkim/address_lex.h"

/* One mailbox while it is read: words that may become a local part or a display name. */
struct mailbox {
	size_t local_len;
	size_t domain_len;
	bool is_local;	 /* the words so far have the form of a local part */
	bool after_word; /* the last token was a word: another one needs a dot between */
	bool has_words;
};

/* The scratch blocks hold as much as the whole field, so nothing that is taken from it can overrun
 * them. */
struct parser {
	struct arena *arena;
	struct address_lexer lex;
	char *local;
	char *domain;
	struct dkim_address first;
	size_t count;
};

/* @return false: a byte that is neither ASCII nor part of a UTF-8 character */
static bool is_utf8(struct slice s)
{
	size_t i = 0;

	while (i < s.len) {
		size_t n = text_utf8_len(slice_sub(s, i, s.len));

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static void start_mailbox(struct mailbox *m)
{
	*m = (struct mailbox){ .is_local = true };
}

/* Append a word to the local part, without escapes and folds. */
static void add_word(struct parser *p, struct mailbox *m)
{
	struct slice text = p->lex.text;
	bool is_quoted = p->lex.token == ADDRESS_QUOTED;

	if (m->after_word || !is_utf8(text))
		m->is_local = false;
	m->after_word = true;
	m->has_words = true;
	for (size_t i = 0; i < text.len; i++) {
		if (is_quoted && (text.ptr[i] == '\r' || text.ptr[i] == '\n'))
			continue;
		if (is_quoted && text.ptr[i] == '\\' && i + 1 < text.len)
			i++;
		p->local[m->local_len++] = text.ptr[i];
	}
}

static void add_dot(struct parser *p, struct mailbox *m)
{
	m->after_word = false;
	m->has_words = true;
	p->local[m->local_len++] = '.';
}

/* An address literal: RFC 5321's characters, whatever they mean. */
static enum err take_literal(struct parser *p, struct mailbox *m)
{
	struct slice literal = p->lex.text;

	for (size_t i = 1; i + 1 < literal.len; i++)
		if (!ch_is_alpha(literal.ptr[i]) && !ch_is_digit(literal.ptr[i]) &&
		    literal.ptr[i] != ':' && literal.ptr[i] != '.')
			return ERR_SYNTAX;
	memcpy(p->domain, literal.ptr, literal.len);
	m->domain_len = literal.len;
	address_lex_next(&p->lex);
	return ERR_OK;
}

/* label *("." label) ["."] or a literal; blanks and comments may stand between (obs-domain). */
static enum err parse_domain(struct parser *p, struct mailbox *m)
{
	size_t len = 0;

	if (p->lex.token == ADDRESS_LITERAL)
		return take_literal(p, m);
	while (p->lex.token == ADDRESS_ATOM) {
		for (size_t i = 0; i < p->lex.text.len; i++)
			p->domain[len++] = ch_lower(p->lex.text.ptr[i]);
		address_lex_next(&p->lex);
		if (!address_lex_is(&p->lex, '.'))
			break;
		address_lex_next(&p->lex);
		if (p->lex.token == ADDRESS_ATOM)
			p->domain[len++] = '.';
	}
	m->domain_len = len;
	return dkim_domain_valid(slice_of(p->domain, len)) ? ERR_OK : ERR_SYNTAX;
}

/* The lexer stands at the "@". */
static enum err parse_at_domain(struct parser *p, struct mailbox *m)
{
	if (!m->is_local || m->local_len == 0)
		return ERR_SYNTAX;
	address_lex_next(&p->lex);
	return parse_domain(p, m);
}

/* "@a,@b:" of obs-route, which says nothing about the author. */
static enum err skip_route(struct parser *p, struct mailbox *m)
{
	do {
		while (address_lex_is(&p->lex, ','))
			address_lex_next(&p->lex);
		if (!address_lex_is(&p->lex, '@'))
			break;
		address_lex_next(&p->lex);
		if (parse_domain(p, m) != ERR_OK)
			return ERR_SYNTAX;
	} while (address_lex_is(&p->lex, ','));
	if (!address_lex_is(&p->lex, ':'))
		return ERR_SYNTAX;
	address_lex_next(&p->lex);
	return ERR_OK;
}

/* Words and dots of a local part, or a display name. */
static void parse_words(struct parser *p, struct mailbox *m)
{
	for (;;) {
		if (address_lex_is(&p->lex, '.'))
			add_dot(p, m);
		else if (p->lex.token == ADDRESS_ATOM || p->lex.token == ADDRESS_QUOTED)
			add_word(p, m);
		else
			return;
		address_lex_next(&p->lex);
	}
}

/* The lexer stands at the "<". */
static enum err parse_angle(struct parser *p, struct mailbox *m)
{
	enum err e = ERR_OK;

	start_mailbox(m);
	address_lex_next(&p->lex);
	if (address_lex_is(&p->lex, '@'))
		e = skip_route(p, m);
	if (e != ERR_OK)
		return e;
	parse_words(p, m);
	if (!address_lex_is(&p->lex, '@'))
		return ERR_SYNTAX;
	e = parse_at_domain(p, m);
	if (e != ERR_OK || !address_lex_is(&p->lex, '>'))
		return ERR_SYNTAX;
	address_lex_next(&p->lex);
	return ERR_OK;
}

/*
 * What stands before "<" may hold an "@" or brackets without quotes, as mail clients write them:
 * "a@b.example" is an address if the mailbox ends behind it, and part of the display name if "<"
 * follows.
 */
static enum err pass_display_name(struct parser *p)
{
	while (!address_lex_is(&p->lex, '<')) {
		if (p->lex.token == ADDRESS_END || p->lex.token == ADDRESS_BAD ||
		    address_lex_is(&p->lex, ',') || address_lex_is(&p->lex, ':') ||
		    address_lex_is(&p->lex, ';') || address_lex_is(&p->lex, '>'))
			return ERR_SYNTAX;
		address_lex_next(&p->lex);
	}
	return ERR_OK;
}

static bool at_mailbox_end(const struct parser *p)
{
	return p->lex.token == ADDRESS_END || address_lex_is(&p->lex, ',') ||
	       address_lex_is(&p->lex, ';');
}

/* The rest of a mailbox whose first words are in m. */
static enum err parse_mailbox(struct parser *p, struct mailbox *m)
{
	enum err e;

	if (address_lex_is(&p->lex, '@') && parse_at_domain(p, m) == ERR_OK && at_mailbox_end(p))
		return ERR_OK;
	e = pass_display_name(p);
	if (e == ERR_OK)
		e = parse_angle(p, m);
	return e == ERR_OK && !at_mailbox_end(p) ? ERR_SYNTAX : e;
}

static enum err add_mailbox(struct parser *p, struct mailbox *m)
{
	enum err e = parse_mailbox(p, m);

	if (e != ERR_OK || p->count++ != 0)
		return e;
	e = arena_dup(p->arena, slice_of(p->local, m->local_len), &p->first.local);
	if (e == ERR_OK)
		e = arena_dup(p->arena, slice_of(p->domain, m->domain_len), &p->first.domain);
	return e;
}

/* The ";" of a group; the list may go on behind it. */
static enum err end_group(struct parser *p, bool *in_group)
{
	if (!*in_group)
		return ERR_SYNTAX;
	*in_group = false;
	address_lex_next(&p->lex);
	return p->lex.token == ADDRESS_END || address_lex_is(&p->lex, ',') ? ERR_OK : ERR_SYNTAX;
}

/* A mailbox, or the name of a group with its colon. */
static enum err parse_element(struct parser *p, bool *in_group)
{
	struct mailbox m;

	start_mailbox(&m);
	parse_words(p, &m);
	if (!address_lex_is(&p->lex, ':'))
		return add_mailbox(p, &m);
	if (*in_group || !m.has_words)
		return ERR_SYNTAX;
	*in_group = true;
	address_lex_next(&p->lex);
	return ERR_OK;
}

/* A list of mailboxes and groups; empty elements are allowed (obs-mbox-list). */
static enum err parse_list(struct parser *p)
{
	bool in_group = false;
	enum err e = ERR_OK;

	while (p->lex.token != ADDRESS_END && e == ERR_OK) {
		if (address_lex_is(&p->lex, ','))
			address_lex_next(&p->lex);
		else if (address_lex_is(&p->lex, ';'))
			e = end_group(p, &in_group);
		else
			e = parse_element(p, &in_group);
	}
	return e == ERR_OK && in_group ? ERR_SYNTAX : e;
}

enum err dkim_address_parse(struct arena *arena, struct slice value, struct dkim_address *ret_first,
			    size_t *ret_count)
{
	struct parser p = { .arena = arena };
	enum err e;

	p.local = arena_alloc(arena, value.len + 1);
	p.domain = arena_alloc(arena, value.len + 1);
	if (p.local == NULL || p.domain == NULL)
		return ERR_NOMEM;
	address_lex_init(&p.lex, value);
	e = parse_list(&p);
	if (e != ERR_OK)
		return e;
	if (p.count != 0)
		*ret_first = p.first;
	*ret_count = p.count;
	return ERR_OK;
}
