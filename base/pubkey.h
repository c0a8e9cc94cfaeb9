/* Public keys and the check of a signature made with the private half. Immutable after it was made.
 */
#ifndef BASE_PUBKEY_H
#define BASE_PUBKEY_H

#include "base/alg.h"
#include "base/buf.h"
#include "base/err.h"

struct pubkey;

#define PUBKEY_FINGERPRINT_BYTES 32u

/** From a SubjectPublicKeyInfo (RFC 5280) in DER. @return ERR_KEY_BAD (not RSA or Ed25519, trailing
 * bytes), ERR_NOMEM */
NODISCARD enum err pubkey_from_spki(struct slice der, struct pubkey **ret_key);
/** From modulus and exponent, big-endian. @return ERR_KEY_BAD, ERR_NOMEM */
NODISCARD enum err pubkey_from_rsa(struct slice modulus, struct slice exponent,
				   struct pubkey **ret_key);
/** From the 32 bytes of RFC 8032. @return ERR_KEY_BAD, ERR_NOMEM */
NODISCARD enum err pubkey_from_ed25519(struct slice raw, struct pubkey **ret_key);
void pubkey_free(struct pubkey **key);

enum key_type pubkey_type(const struct pubkey *key);
unsigned pubkey_bits(const struct pubkey *key);
/** The SubjectPublicKeyInfo; borrows from the key. */
struct slice pubkey_spki(const struct pubkey *key);
/** SHA-256 of the SubjectPublicKeyInfo, PUBKEY_FINGERPRINT_BYTES. */
const unsigned char *pubkey_fingerprint(const struct pubkey *key);
bool pubkey_equal(const struct pubkey *a, const struct pubkey *b);

/**
 * Does the signature belong to the key and the digest? RSA: PKCS #1 v1.5 (RFC 8017 section 8.2);
 * Ed25519 signs the digest itself (RFC 8463 section 3).
 * @return ERR_OK: yes; ERR_DENIED: no; ERR_KEY_BAD: alg is for another type of key; ERR_NOMEM
 */
NODISCARD enum err pubkey_verify(const struct pubkey *key, enum dkim_alg alg, struct slice digest,
				 struct slice signature);

#endif
