/* What a key record says of a key: the k= and p= of a public key. */
#ifndef TOOLS_PUBTEXT_H
#define TOOLS_PUBTEXT_H

#include "base/buf.h"
#include "base/pubkey.h"

struct pubtext {
	enum key_type type;
	unsigned bits;
	struct buf
		p; /**< p=, base64: RSA a SubjectPublicKeyInfo, Ed25519 the 32 bytes (RFC 8463) */
};

/** @return ERR_NOMEM */
NODISCARD enum err pubtext_from_pubkey(const struct pubkey *key, struct pubtext *ret_text);
void pubtext_done(struct pubtext *text);

#endif
