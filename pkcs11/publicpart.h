/* The public key that belongs to a private key on a token. */
#ifndef PKCS11_PUBLICPART_H
#define PKCS11_PUBLICPART_H

#include "base/err.h"
#include "base/pubkey.h"
#include "pkcs11/cryptoki.h"

/**
 * From the private object (CKA_PUBLIC_KEY_INFO; modulus and exponent), the public object, the
 * certificate with the same CKA_ID (and, where the id is empty, label), in this order.
 * @return ERR_KEY_BAD with a detail that says what was looked for
 */
NODISCARD enum err publicpart_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
				   CK_OBJECT_HANDLE private_key, enum key_type type,
				   struct pubkey **ret_key, struct err_detail *detail);

/** The 32 bytes of an Ed25519 CKA_EC_POINT in the forms that tokens use: raw, OCTET STRING, BIT
 * STRING.
 * @return false: none of them */
NODISCARD bool publicpart_ed25519_point(struct slice value, struct slice *ret_raw);

#endif
