/* What only pkcs11/ may ask a URI: its parts in Cryptoki's types. */
#ifndef PKCS11_URI_PRIV_H
#define PKCS11_URI_PRIV_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/uri.h"

/** Does the URI mean this token? Attributes that it does not name match anything. */
bool p11_uri_matches(const struct p11_uri *uri, CK_SLOT_ID slot, const CK_SLOT_INFO *slot_info,
		     const CK_TOKEN_INFO *token);

#endif
