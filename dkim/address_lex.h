/* Words and specials of an address field, RFC 5322 section 3.2: blanks and comments are passed
 * over. */
#ifndef DKIM_ADDRESS_LEX_H
#define DKIM_ADDRESS_LEX_H

#include "base/slice.h"

/** Comments inside comments: deeper ones are an attack, not a comment. */
#define ADDRESS_COMMENT_DEPTH_MAX 32u

enum address_token {
	ADDRESS_END,
	ADDRESS_BAD,  /**< unfinished string, comment or literal, a control byte, a comment too deep
		       */
	ADDRESS_ATOM, /**< a run of atext and of bytes >= 0x80 */
	ADDRESS_QUOTED,	 /**< a quoted string; text is what stands between the quotes, still escaped
			  */
	ADDRESS_LITERAL, /**< a domain literal with its brackets */
	ADDRESS_SPECIAL	 /**< one of . @ < > , : ; and a stray ] : special says which */
};

struct address_lexer {
	struct slice rest;
	enum address_token token; /**< the one that is looked at */
	char special;
	struct slice text;
};

/** Look at the first token of value. */
void address_lex_init(struct address_lexer *l, struct slice value);
/** Go on to the next one; stays at ADDRESS_END and ADDRESS_BAD. */
void address_lex_next(struct address_lexer *l);

static inline bool address_lex_is(const struct address_lexer *l, char special)
{
	return l->token == ADDRESS_SPECIAL && l->special == special;
}

#endif
