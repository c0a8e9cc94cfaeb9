/*
 * What is wrong with a published key, judged from what DNS returned: the rules behind
 * hsmdkim-testkey and hsmdkim-rotate. Pure: no DNS, no files.
 */
#ifndef TOOLS_KEYCHECK_H
#define TOOLS_KEYCHECK_H

#include "base/alg.h"
#include "base/buf.h"
#include "base/slice.h"
#include "dns/answer.h"

#include <sysexits.h>

/*
 * X(ID, code, exit, message, hint). code is what --json says; exit 0 is a remark. As
 * opendkim-testkey: 69 when no verifier can use what is there, 65 when it is a record, and wrong.
 */
/* clang-format off */
#define KEYCHECK_LIST(X)                                                                          \
	X(KEY_OK, "ok", EX_OK, "key OK", "")                                                      \
	X(KEY_TEST_MODE, "test_mode", EX_OK, "key OK, but the record says t=y",                   \
	  "verifiers treat mail with a bad signature as unsigned; remove t=y when you are done testing") \
	X(KEY_SHORT, "short", EX_OK, "key OK, but it has less than 2048 bits",                    \
	  "receivers recommend 2048; make a new key with a new selector")                         \
	X(KEY_SMALL_EXPONENT, "small_exponent", EX_OK, "key OK, but its exponent is below 65537",  \
	  "a careless verifier can be deceived with it; make a new key with a new selector")      \
	X(KEY_SHARED, "shared", EX_OK, "key OK, but another row has the same key",                \
	  "who gets hold of one of them has both; better a key for each record")                  \
	X(KEY_BLANKS, "blanks_in_p", EX_OK, "key OK, but there are blanks inside p=",             \
	  "RFC 6376 allows them, some verifiers don't; publish p= without blanks")                \
	X(KEY_NOT_COMPARED, "not_compared", EX_OK, "record OK; no private key to compare it with", \
	  "name the key with -k, or use a KeyTable")                                              \
	X(KEY_WRONG, "wrong_key", EX_DATAERR, "the record holds another key",                     \
	  "publish the record of this key; hsmdkim-genzone prints it")                            \
	X(KEY_OTHERS, "other_key", EX_DATAERR, "the record holds the key of another row",         \
	  "publish this row's record here, or swap the two records")                              \
	X(KEY_V_NOT_FIRST, "v_not_first", EX_DATAERR, "v= is not the first tag",                  \
	  "verifiers must ignore such a record (RFC 6376 section 3.6.1); put v=DKIM1 first")      \
	X(KEY_NO_SHA256, "no_sha256", EX_DATAERR, "h= does not allow sha256",                     \
	  "no signature can use this key (RFC 8301); remove h= or write h=sha256")                \
	X(KEY_TOO_SMALL, "too_small", EX_DATAERR, "the key has less than 1024 bits",              \
	  "verifiers must not accept it (RFC 8301); make a new key with a new selector")          \
	X(KEY_ROCA, "roca", EX_DATAERR, "the key was made by a faulty generator (ROCA, CVE-2017-15361)", \
	  "others can compute the private key; update the token's firmware and make a new key with a new selector") \
	X(KEY_FACTOR, "weak_modulus", EX_DATAERR, "the modulus has a small factor",               \
	  "others can compute the private key; make a new key with a new selector")               \
	X(KEY_EXPONENT, "bad_exponent", EX_DATAERR, "the exponent is even or 1",                  \
	  "no signature with this key means anything; make a new key with a new selector")        \
	X(KEY_NOT_EMAIL, "not_for_email", EX_DATAERR, "s= does not allow e-mail",                 \
	  "remove s= or write s=email")                                                           \
	X(KEY_TYPE_DIFFERS, "wrong_type", EX_DATAERR, "k= is not the type of the private key",    \
	  "publish the record of this key; hsmdkim-genzone prints it")                            \
	X(KEY_NOT_EVERYWHERE, "not_everywhere", EX_DATAERR,                                       \
	  "not all name servers of the zone have the same record",                                \
	  "wait until the secondaries have the new zone; if it stays so, check their transfers and the serial") \
	X(KEY_QUOTES, "quotes", EX_UNAVAILABLE, "there are quotes inside the record",             \
	  "the panel adds its own quotes: enter the text without any (hsmdkim-genkey --format plain)") \
	X(KEY_CUT, "cut", EX_UNAVAILABLE, "p= ends too early",                                    \
	  "the panel cut the text at 255 characters or took one string of several: enter it as strings of at most 255, or as one line where the panel splits it itself") \
	X(KEY_SEMICOLON_ESCAPED, "semicolon_escaped", EX_UNAVAILABLE, "a semicolon was stored as \\;", \
	  "that is zone file writing: enter ; without a backslash")                               \
	X(KEY_BACKSLASH, "backslash", EX_UNAVAILABLE, "there are backslashes inside the record",  \
	  "enter the text without backslashes")                                                   \
	X(KEY_SEVERAL, "several_records", EX_UNAVAILABLE, "there are several TXT records at the name", \
	  "what a verifier then does is not defined; delete all but one, and enter one long text as one record") \
	X(KEY_REVOKED, "revoked", EX_UNAVAILABLE, "the key is revoked (p= is empty)",             \
	  "do not sign with this selector; make a new key with a new one")                        \
	X(KEY_SYNTAX, "syntax", EX_UNAVAILABLE, "the record is no key record",                    \
	  "publish the text that hsmdkim-genkey --format plain writes")                           \
	X(KEY_VERSION, "version", EX_UNAVAILABLE, "v= is not DKIM1", "write v=DKIM1, with this case") \
	X(KEY_NO_SEMICOLON, "no_semicolon", EX_UNAVAILABLE, "a semicolon is missing behind DKIM1", \
	  "write v=DKIM1; and the rest")                                                          \
	X(KEY_OTHER_RECORD, "other_record", EX_UNAVAILABLE, "this is another kind of record at the key's name", \
	  "publish the key record here, and this one at the name where it belongs")               \
	X(KEY_NO_P, "no_p", EX_UNAVAILABLE, "there is no p=",                                     \
	  "publish the whole text that hsmdkim-genkey --format plain writes")                     \
	X(KEY_BAD_P, "bad_p", EX_DATAERR, "p= holds no key",                                  \
	  "it was changed on its way; publish it anew (hsmdkim-genkey --format plain)")           \
	X(KEY_TYPE_UNKNOWN, "unknown_type", EX_UNAVAILABLE, "k= is neither rsa nor ed25519", "write the k= of the key") \
	X(KEY_NO_RECORD, "no_record", EX_UNAVAILABLE, "there is no record",                       \
	  "publish it; right after a change servers may remember its absence for the zone's negative TTL") \
	X(KEY_DOUBLED, "doubled_name", EX_UNAVAILABLE, "there is no record, but it is at a name with the domain twice", \
	  "the panel appends the zone itself: enter the relative name only")                      \
	X(KEY_AT_SELECTOR, "bare_selector", EX_UNAVAILABLE, "there is no record, but it is at the bare selector", \
	  "the name needs ._domainkey behind the selector")                                       \
	X(KEY_AT_OTHER, "other_selector", EX_UNAVAILABLE, "there is no record, but it is under another selector", \
	  "publish it under this selector, or write that selector into the KeyTable")             \
	X(KEY_DANGLING, "cname_nowhere", EX_UNAVAILABLE, "the name is a CNAME to a name without a record", \
	  "publish the record at the CNAME's target, or correct the CNAME")                       \
	X(KEY_BOGUS, "dnssec_bogus", EX_UNAVAILABLE, "DNSSEC validation failed",                  \
	  "resolvers that validate see no record at all; check the zone's signatures and its DS")  \
	X(KEY_SERVFAIL, "servfail", EX_UNAVAILABLE, "the name servers answer with an error (SERVFAIL)", \
	  "check that the zone is loaded on its name servers and that the delegation is right")    \
	X(KEY_TIMEOUT, "timeout", EX_UNAVAILABLE, "DNS did not answer in time",                   \
	  "check that the zone's name servers can be reached; --timeout gives more time")         \
	X(KEY_REFUSED, "refused", EX_UNAVAILABLE, "the name server refuses the question",         \
	  "the zone is not served there: check the delegation")                                   \
	X(KEY_DNS_BROKEN, "dns_broken", EX_UNAVAILABLE, "the answer of DNS could not be read", "") \
	X(KEY_UNREADABLE, "no_key", EX_OSERR, "the private key cannot be read", "")               \
	X(KEY_NO_DOMAIN, "no_domain", EX_OK, "not checked: the row is for any domain (%)",        \
	  "name a domain with -d")
/* clang-format on */

enum keycheck_id {
#define X(id, code, exit_status, message, hint) id,
	KEYCHECK_LIST(X)
#undef X
		KEYCHECK_COUNT
};

struct keycheck_info {
	const char *code;
	int exit_status;
	const char *message;
	const char *hint;
};

/** The row of a finding; id must be in range. */
const struct keycheck_info *keycheck_info(enum keycheck_id id);

/** The private key's public half, as a record should have it. */
struct keycheck_want {
	bool has_key;
	enum key_type type;
	struct slice p; /**< base64 without blanks */
};

/** Remarks of one record. */
#define KEYCHECK_REMARKS_MAX 6U

struct keycheck_result {
	enum keycheck_id id; /**< KEY_OK or the fault that weighs most */
	enum keycheck_id remarks[KEYCHECK_REMARKS_MAX];
	size_t remark_count;
	struct buf p;	 /**< p= of the record without blanks, when there was one */
	struct buf text; /**< the record as a verifier reads it */
	bool secure;
};

void keycheck_result_init(struct keycheck_result *result);
void keycheck_result_done(struct keycheck_result *result);

/** Note a remark; the first is what the result says when there is no fault. */
void keycheck_remark(struct keycheck_result *result, enum keycheck_id id);

/** Judge one answer to the question for TXT. */
void keycheck_answer(const struct dns_answer *answer, const struct keycheck_want *want,
		     struct keycheck_result *result);

/** True when one of the answer's records holds this p=. */
bool keycheck_holds(const struct dns_answer *answer, struct slice p);

/** True when both answers hold the same record data, in any order. */
bool keycheck_same(const struct dns_answer *a, const struct dns_answer *b);

#endif
