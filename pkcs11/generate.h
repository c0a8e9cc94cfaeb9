/*
 * Making, moving and destroying signing keys on a token, for the tools; the signer process never
 * does. Every attribute is set by hand, because the defaults of tokens differ, and read back.
 *
 * Rule for names: the label of both halves is "SELECTOR._domainkey.DOMAIN" in lower case, and the
 * CKA_ID the first 16 bytes of the label's SHA-256; both can be chosen otherwise by object= and id=
 * of the URI that names the token.
 */
#ifndef PKCS11_GENERATE_H
#define PKCS11_GENERATE_H

#include "base/buf.h"
#include "pkcs11/token.h"

/** CKA_ID by our rule. */
#define NEWKEY_ID_BYTES 16U

struct newkey {
	enum key_type type;
	unsigned bits; /**< RSA only */
	struct slice label;
	struct slice id;
};

/** CKA_ID by the rule. */
NODISCARD enum err newkey_id(struct slice label, unsigned char ret_id[static NEWKEY_ID_BYTES]);

/**
 * Generate a key pair: private, sensitive, not extractable, for signing only.
 * @param uri which token it must be; an object= or id= in it is not looked at; NULL: this one
 * @return ERR_DENIED (the token has an object with this label or this id), ERR_KEY_MISSING (uri
 * names another token), ERR_NOT_SUPPORTED (no such mechanism), ERR_KEY_BAD (the token made a key
 * that could leave it; it was destroyed again), ERR_TOKEN_*, ERR_NOMEM, each with a detail
 */
NODISCARD enum err newkey_generate(struct token_session *session, const struct p11_uri *uri,
				   const struct newkey *want, struct pubkey **ret_key,
				   struct err_detail *detail);

/**
 * Create the key from its PEM text, with the same attributes.
 * @param want  type and bits are the key's own, want's are ignored
 * @return as newkey_generate(); ERR_KEY_BAD (no key, a passphrase, neither RSA nor Ed25519)
 */
NODISCARD enum err newkey_import(struct token_session *session, const struct p11_uri *uri,
				 const struct newkey *want, struct slice pem,
				 struct pubkey **ret_key, struct err_detail *detail);

/**
 * Destroy the private key that the URI names, and its public half.
 * @param expect  the key's public half; another key is left alone
 * @return ERR_KEY_MISSING, ERR_KEY_CHANGED (it is not the expected one), ERR_TOKEN_*
 */
NODISCARD enum err newkey_destroy(struct token_session *session, const struct p11_uri *uri,
				  const struct pubkey *expect, struct err_detail *detail);

/** "pkcs11:token=...;serial=...;object=...;id=%..": how a KeyTable names the key. */
void newkey_uri(const struct token_session *session, const struct newkey *key, struct buf *out);

#endif
