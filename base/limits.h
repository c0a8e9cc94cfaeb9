/* Every limit on foreign input, with its reason. Bytes unless the name says otherwise; plain
 * numbers, for a product of unsigned ints is a trap where a size_t is wanted. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Header block: default of MaximumHeaders; Postfix's own header_size_limit is 102400. */
#define LIMIT_HEADER_BYTES_DEFAULT 262144u
/* Fields in one message: far above real mail (about 100), low enough that h= work stays small. */
#define LIMIT_HEADER_FIELDS 2000u
/* Names in a list of SignHeaders, OmitHeaders or OversignHeaders. */
#define LIMIT_H_NAMES 256u
/* Names in an h= that we parse: the most that we write, every field and every oversigned name. */
#define LIMIT_H_LISTED (LIMIT_HEADER_FIELDS + LIMIT_H_NAMES)
/* One DKIM-Signature value we parse: all that we write (below), with the CR of its folds. */
#define LIMIT_SIG_HEADER_BYTES 40960u
/* One DKIM-Signature value we write: a full h= and an 8192-bit signature. */
#define LIMIT_SIG_HEADER_OUT_BYTES 32768u
/* z=, a help for a person who looks for what changed: it must not crowd out the rest. */
#define LIMIT_Z_BYTES 8192u
/* Tags in one tag list. */
#define LIMIT_TAGS 64u
/* Signatures we add to one message. */
#define LIMIT_SIGN_REQUESTS 32u
/* Signatures of one message that are verified: the largest MaximumSignaturesToVerify. */
#define LIMIT_VERIFY_SIGNATURES 64u
/* Memory of one message beyond its header block. */
#define LIMIT_MESSAGE_ARENA_BYTES 8388608u
/* TXT answer: an 8192-bit key in base64 with every tag is below 2 KB; ML-DSA-87 3.6 KB. */
#define LIMIT_KEY_RECORD_BYTES 16384u
/* Names and texts that cross the border to the signer process. */
#define LIMIT_KEY_NAME_BYTES 1024u
#define LIMIT_DOMAIN_BYTES 253u
#define LIMIT_SELECTOR_BYTES 253u
/* The canonical header: more than MaximumHeaders' default. Tokens that hash themselves
 * (CKM_SHA256_RSA_PKCS) get it whole, in one packet, and Linux sends no longer ones than twice
 * net.core.wmem_max, 425984. */
#define LIMIT_SIGN_INPUT_BYTES 393216u
#define LIMIT_SIGNATURE_BYTES 8192u
#define LIMIT_PUBKEY_DER_BYTES 4096u
/* A PKCS#11 URI, a PIN, the modules' own texts. */
#define LIMIT_URI_BYTES 2048u
#define LIMIT_PIN_BYTES 255u

#endif
