/* What generating and importing share: before, the attributes, after. */
#ifndef PKCS11_NEWKEY_PRIV_H
#define PKCS11_NEWKEY_PRIV_H

#include "pkcs11/generate.h"
#include "pkcs11/template.h"

/** The two objects of a key. */
struct newkey_pair {
	CK_OBJECT_HANDLE public;
	CK_OBJECT_HANDLE private;
};

/**
 * Is it the right token, and is there room for the key? Opens a read/write session that the caller
 * closes.
 * @param want NULL: nothing is to be made
 */
NODISCARD enum err newkey_begin(struct token_session *s, const struct p11_uri *uri,
				const struct newkey *want, CK_SESSION_HANDLE *ret_session,
				struct err_detail *detail);

/** Check what the token made and read its public half; destroy it when it is not as asked. */
NODISCARD enum err newkey_finish(struct token_session *s, CK_SESSION_HANDLE session,
				 enum key_type type, const struct newkey_pair *pair,
				 struct pubkey **ret_key, struct err_detail *detail);

#endif
