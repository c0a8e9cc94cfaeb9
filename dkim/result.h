/*
 * What came of a signature: the words of RFC 8601 section 2.7.1, and the reason behind the word.
 * Apart from enum err on purpose: a bad signature is a result, not a failure of ours.
 */
#ifndef DKIM_RESULT_H
#define DKIM_RESULT_H

enum dkim_result {
	DKIM_RESULT_NONE, /**< not signed */
	DKIM_RESULT_PASS,
	DKIM_RESULT_FAIL,
	DKIM_RESULT_POLICY, /**< good by RFC 6376, not good enough for this host */
	DKIM_RESULT_NEUTRAL,
	DKIM_RESULT_TEMPERROR,
	DKIM_RESULT_PERMERROR,
	DKIM_RESULT_COUNT
};

/** Which On- setting answers. */
enum dkim_cause {
	DKIM_CAUSE_NONE,
	DKIM_CAUSE_BAD_SIGNATURE, /**< On-BadSignature */
	DKIM_CAUSE_KEY_NOT_FOUND, /**< On-KeyNotFound */
	DKIM_CAUSE_DNS,		  /**< On-DNSError */
	DKIM_CAUSE_INTERNAL	  /**< On-InternalError */
};

/*
 * X(name, result, cause, text): OpenDKIM's text where it has one, for scripts read them. The texts
 * go into a quoted string of our header: letters, digits and plain punctuation only.
 */
/* clang-format off */
#define DKIM_REASON_LIST(X)                                                                       \
	X(GOOD, PASS, NONE, "no signature error")                                                 \
	/* the signature field */                                                                 \
	X(SIG_TOO_LONG, PERMERROR, BAD_SIGNATURE, "signature field too long")                     \
	X(SIG_SYNTAX, PERMERROR, BAD_SIGNATURE, "signature syntax error")                         \
	X(SIG_DUPLICATE_TAG, PERMERROR, BAD_SIGNATURE, "duplicate signature tag")                 \
	X(SIG_NO_VERSION, PERMERROR, BAD_SIGNATURE, "version missing")                            \
	X(SIG_VERSION, PERMERROR, BAD_SIGNATURE, "unsupported signature version")                 \
	X(SIG_NO_ALGORITHM, PERMERROR, BAD_SIGNATURE, "signature algorithm missing")              \
	X(SIG_ALGORITHM, PERMERROR, BAD_SIGNATURE, "signature algorithm invalid")                 \
	X(SIG_NO_DOMAIN, PERMERROR, BAD_SIGNATURE, "domain tag missing")                          \
	X(SIG_DOMAIN, PERMERROR, BAD_SIGNATURE, "domain tag invalid")                             \
	X(SIG_NO_SELECTOR, PERMERROR, BAD_SIGNATURE, "selector tag missing")                      \
	X(SIG_SELECTOR, PERMERROR, BAD_SIGNATURE, "selector tag invalid")                         \
	X(SIG_IDENTITY, PERMERROR, BAD_SIGNATURE, "identity tag invalid")                         \
	X(SIG_COVERAGE, PERMERROR, BAD_SIGNATURE, "invalid domain coverage")                      \
	X(SIG_NO_HEADERS, PERMERROR, BAD_SIGNATURE, "header list missing")                        \
	X(SIG_HEADERS, PERMERROR, BAD_SIGNATURE, "header list invalid")                           \
	X(SIG_HEADERS_MANY, PERMERROR, BAD_SIGNATURE, "header list too long")                     \
	X(SIG_NO_FROM, PERMERROR, BAD_SIGNATURE, "header list missing required entries")          \
	X(SIG_NO_DATA, PERMERROR, BAD_SIGNATURE, "signature data missing")                        \
	X(SIG_EMPTY_DATA, PERMERROR, BAD_SIGNATURE, "signature data empty")                       \
	X(SIG_DATA, PERMERROR, BAD_SIGNATURE, "signature data corrupt")                           \
	X(SIG_NO_BODY_HASH, PERMERROR, BAD_SIGNATURE, "body hash missing")                        \
	X(SIG_EMPTY_BODY_HASH, PERMERROR, BAD_SIGNATURE, "body hash empty")                       \
	X(SIG_BODY_HASH, PERMERROR, BAD_SIGNATURE, "body hash corrupt")                           \
	X(SIG_HEADER_CANON, PERMERROR, BAD_SIGNATURE, "invalid header canonicalization")          \
	X(SIG_BODY_CANON, PERMERROR, BAD_SIGNATURE, "invalid body canonicalization")              \
	X(SIG_QUERY, PERMERROR, BAD_SIGNATURE, "query method invalid")                            \
	X(SIG_LENGTH, PERMERROR, BAD_SIGNATURE, "body length value invalid")                      \
	X(SIG_TIME, PERMERROR, BAD_SIGNATURE, "timestamp value invalid")                          \
	X(SIG_TIME_ORDER, PERMERROR, BAD_SIGNATURE, "signature timestamp order error")            \
	X(SIG_FUTURE, FAIL, BAD_SIGNATURE, "signature timestamp in the future")                   \
	X(SIG_EXPIRED, FAIL, BAD_SIGNATURE, "signature expired")                                  \
	X(SIG_SHA1, POLICY, BAD_SIGNATURE, "rsa-sha1 is not accepted")                            \
	/* the message */                                                                         \
	X(MSG_AUTHOR, PERMERROR, BAD_SIGNATURE, "not exactly one From field")                     \
	X(MSG_HEADER_LARGE, PERMERROR, BAD_SIGNATURE, "signed header fields too large")           \
	X(MSG_UNSIGNED_FIELD, POLICY, BAD_SIGNATURE, "unprotected header field")                  \
	/* the key */                                                                             \
	X(KEY_NOT_FOUND, PERMERROR, KEY_NOT_FOUND, "key not found in DNS")                        \
	X(KEY_DNS_FAILED, TEMPERROR, DNS, "key DNS query failed")                                 \
	X(KEY_DNS_TIMEOUT, TEMPERROR, DNS, "key DNS query timed out")                             \
	X(KEY_DNS_ANSWER, TEMPERROR, DNS, "key DNS reply corrupt")                                \
	X(KEY_RECORDS, PERMERROR, BAD_SIGNATURE, "key records too many or too long")              \
	X(KEY_SYNTAX, PERMERROR, BAD_SIGNATURE, "key syntax error")                               \
	X(KEY_MULTIPLE, PERMERROR, BAD_SIGNATURE, "multiple keys found")                          \
	X(KEY_VERSION, PERMERROR, BAD_SIGNATURE, "unknown key version")                           \
	X(KEY_TYPE, PERMERROR, BAD_SIGNATURE, "unknown key type")                                 \
	X(KEY_TYPE_MISMATCH, PERMERROR, BAD_SIGNATURE, "signature-key type mismatch")             \
	X(KEY_HASH, PERMERROR, BAD_SIGNATURE, "signature-key hash mismatch")                      \
	X(KEY_SERVICE, PERMERROR, BAD_SIGNATURE, "not an e-mail key")                             \
	X(KEY_NO_DATA, PERMERROR, BAD_SIGNATURE, "key missing")                                   \
	X(KEY_REVOKED, PERMERROR, KEY_NOT_FOUND, "key revoked")                                   \
	X(KEY_DATA, PERMERROR, BAD_SIGNATURE, "unable to apply public key")                       \
	X(KEY_SUBDOMAIN, PERMERROR, BAD_SIGNATURE, "unauthorized subdomain")                      \
	X(KEY_WEAK, PERMERROR, BAD_SIGNATURE, "signing key too small")                            \
	X(KEY_SMALL, POLICY, BAD_SIGNATURE, "signing key too small")                              \
	X(KEY_LARGE, PERMERROR, BAD_SIGNATURE, "signing key too large")                           \
	X(KEY_BOGUS, POLICY, BAD_SIGNATURE, "key bogus by DNSSEC")                                \
	X(KEY_BOGUS_NEUTRAL, NEUTRAL, NONE, "key bogus by DNSSEC")                       \
	X(KEY_UNPROTECTED, POLICY, BAD_SIGNATURE, "key not protected by DNSSEC")                  \
	X(KEY_UNPROTECTED_NEUTRAL, NEUTRAL, NONE, "key not protected by DNSSEC")         \
	/* the cryptography */                                                                    \
	X(BODY_LENGTH, PERMERROR, BAD_SIGNATURE, "length tag value exceeds body size")            \
	X(BODY_CHANGED, FAIL, BAD_SIGNATURE, "body hash did not verify")                          \
	X(BODY_PARTIAL, POLICY, BAD_SIGNATURE, "body is longer than its signed part")             \
	X(BAD_SIGNATURE, FAIL, BAD_SIGNATURE, "signature verification failed")                    \
	X(INTERNAL, TEMPERROR, INTERNAL, "internal error")
/* clang-format on */

enum dkim_reason {
#define X(name, result, cause, text) DKIM_REASON_##name,
	DKIM_REASON_LIST(X)
#undef X
		DKIM_REASON_COUNT
};

/** "pass", "permerror", ...: as Authentication-Results wants it. */
const char *dkim_result_word(enum dkim_result result);

enum dkim_result dkim_reason_result(enum dkim_reason reason);
enum dkim_cause dkim_reason_cause(enum dkim_reason reason);
/** Static, never NULL. */
const char *dkim_reason_text(enum dkim_reason reason);

#endif
