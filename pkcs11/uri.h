/*
 * PKCS#11 URIs (RFC 7512). p11-kit parses them; what it lets pass and we must not is refused before
 * it sees the text: repeated attributes, empty components, unknown names, attributes that run code.
 */
#ifndef PKCS11_URI_H
#define PKCS11_URI_H

#include "base/err.h"
#include "base/slice.h"

struct p11_uri;

/** Where a URI stands decides what it may say. */
enum p11_uri_use {
	P11_URI_KEY,	 /**< KeyTable, KeyFile: object and/or id, and which token */
	P11_URI_NEW_KEY, /**< a tool's --token: which token; object and id when they are chosen */
	P11_URI_TOKEN,	 /**< TokenTable, without its query part: which token */
};

/**
 * @return ERR_SYNTAX, ERR_DENIED (an attribute that names a module or a PIN, a key in a
 * token's URI), ERR_LIMIT, ERR_NOMEM with a detail that names the attribute and the mend
 */
NODISCARD enum err p11_uri_parse(struct slice text, enum p11_uri_use use, struct p11_uri **ret_uri,
				 struct err_detail *detail);
void p11_uri_free(struct p11_uri **uri);

/** The text as it was written. */
const char *p11_uri_text(const struct p11_uri *uri);
/** The decoded object label and id; ptr is NULL when the URI does not say. */
struct slice p11_uri_label(const struct p11_uri *uri);
struct slice p11_uri_id(const struct p11_uri *uri);

#endif
