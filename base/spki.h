/*
 * SubjectPublicKeyInfo (RFC 5280) in DER, written by hand for the two types of key that sign mail.
 * The plain twin is OpenSSL's i2d_PUBKEY(), which pubkey_from_spki() uses: 72 us a key with OpenSSL
 * 3.0, where this takes less than one; a message that is verified makes one key.
 */
#ifndef BASE_SPKI_H
#define BASE_SPKI_H

#include "base/buf.h"

/** Append that of rsaEncryption (RFC 3279). @param modulus, exponent big-endian; leading zeros do
 * no harm. Errors are out's. */
void spki_add_rsa(struct buf *out, struct slice modulus, struct slice exponent);

/** Append that of Ed25519 (RFC 8410). @param raw 32 bytes */
void spki_add_ed25519(struct buf *out, struct slice raw);

#endif
