/* Error x setting -> answer: see reply.h. */
#include "daemon/reply.h"

#include <stddef.h>
#include <stdint.h>

struct policy_row {
	const char *name;
	size_t offset;	  /* of the int in struct settings, or ALWAYS_TEMPFAIL */
	const char *text; /* of the SMTP reply */
};

#define ALWAYS_TEMPFAIL SIZE_MAX

#define ROW(name_, field_, text_)                                                                  \
	{                                                                                          \
		.name = (name_), .offset = offsetof(struct settings, field_), .text = (text_)      \
	}

static const struct policy_row rows[POLICY_COUNT] = {
	[POLICY_TOKEN_FAILURE] = ROW("On-TokenFailure", on_token_failure, "resource unavailable"),
	[POLICY_INTERNAL_ERROR] = ROW("On-InternalError", on_internal_error, "internal DKIM error"),
	[POLICY_SIGNATURE_ERROR] =
		ROW("On-SignatureError", on_signature_error, "DKIM signing error"),
	[POLICY_SECURITY] = ROW("On-Security", on_security, "DKIM signature processing failed"),
	[POLICY_BAD_SIGNATURE] =
		ROW("On-BadSignature", on_bad_signature, "bad DKIM signature data"),
	[POLICY_DNS_ERROR] = ROW("On-DNSError", on_dns_error, "DKIM key retrieval failed"),
	[POLICY_KEY_NOT_FOUND] =
		ROW("On-KeyNotFound", on_key_not_found, "DKIM key retrieval failed"),
	[POLICY_NO_SIGNATURE] = ROW("On-NoSignature", on_no_signature, "no DKIM signature data"),
	[POLICY_KEY_MISSING] = { .name = "as always without the key",
				 .offset = ALWAYS_TEMPFAIL,
				 .text = "internal DKIM error" },
};

const char *policy_name(enum policy p)
{
	return rows[p].name;
}

enum settings_action policy_action(enum policy p, const struct settings *s)
{
	const char *base = (const char *)s;

	if (rows[p].offset == ALWAYS_TEMPFAIL)
		return ACTION_TEMPFAIL;
	return (enum settings_action) * (const int *)(const void *)(base + rows[p].offset);
}

enum policy policy_for_signing(enum err e)
{
	switch (e) {
	/* The token, or the process that speaks to it, did not deliver in time. */
	case ERR_TIMEOUT:
	case ERR_BUSY:
	case ERR_PEER_LOST:
	case ERR_TOKEN_TIMEOUT:
	case ERR_TOKEN_ABSENT:
	case ERR_TOKEN_BUSY:
	case ERR_TOKEN_FAILED:
	case ERR_TOKEN_PIN:
	case ERR_TOKEN_LIED:
	case ERR_MODULE:
	case ERR_KEY_CHANGED:
	case ERR_KEY_RATE:
		return POLICY_TOKEN_FAILURE;
	/* The message is one that cannot be signed. */
	case ERR_LIMIT:
	case ERR_SYNTAX:
	case ERR_RANGE:
	case ERR_NO_SENDER:
		return POLICY_SIGNATURE_ERROR;
	/* A key that is not there yet, or not any more: OpenDKIM lets no setting turn that into a
	 * refusal or into unsigned mail. */
	case ERR_KEY_UNKNOWN:
	case ERR_KEY_MISSING:
	case ERR_FILE_UNSAFE:
		return POLICY_KEY_MISSING;
	/* Ours: set-up or memory. OpenDKIM, too, answers a key that it cannot use with
	 * On-InternalError. */
	case ERR_KEY_BAD:
	case ERR_KEY_TOO_SMALL:
	case ERR_NOMEM:
	case ERR_NOT_FOUND:
	case ERR_AMBIGUOUS:
	case ERR_NOT_SUPPORTED:
	case ERR_DENIED:
	case ERR_IO:
	case ERR_CONFIG:
	case ERR_CRYPTO:
	case ERR_PROTOCOL:
	case ERR_INTERNAL:
	case ERR_OK:
	case ERR_COUNT:
		return POLICY_INTERNAL_ERROR;
	}
	return POLICY_INTERNAL_ERROR;
}

enum policy policy_for_verifying(enum err e)
{
	return e == ERR_LIMIT ? POLICY_SECURITY : POLICY_INTERNAL_ERROR;
}

enum policy policy_for_cause(enum dkim_cause cause)
{
	static const enum policy policies[] = {
		[DKIM_CAUSE_NONE] = POLICY_INTERNAL_ERROR,
		[DKIM_CAUSE_BAD_SIGNATURE] = POLICY_BAD_SIGNATURE,
		[DKIM_CAUSE_KEY_NOT_FOUND] = POLICY_KEY_NOT_FOUND,
		[DKIM_CAUSE_DNS] = POLICY_DNS_ERROR,
		[DKIM_CAUSE_INTERNAL] = POLICY_INTERNAL_ERROR,
	};

	return policies[cause];
}

struct reply reply_for(enum policy p, enum settings_action action)
{
	struct reply reply = { .action = action, .answer = ANSWER_ACCEPT };

	switch (action) {
	case ACTION_ACCEPT:
		break;
	case ACTION_QUARANTINE:
		reply.quarantine = true;
		reply.text = rows[p].text;
		break;
	case ACTION_DISCARD:
		reply.answer = ANSWER_DISCARD;
		break;
	case ACTION_REJECT:
		reply.answer = ANSWER_REJECT;
		reply.code = "550";
		reply.xcode = "5.7.0";
		reply.text = rows[p].text;
		break;
	case ACTION_TEMPFAIL:
	case ACTION_UNSET: /* only On-Default can be unset; never let mail pass on a mistake of ours
			    */
		reply.answer = ANSWER_TEMPFAIL;
		reply.code = "451";
		reply.xcode =
			p == POLICY_DNS_ERROR || p == POLICY_KEY_NOT_FOUND ? "4.7.5" : "4.7.0";
		reply.text = rows[p].text;
		break;
	}
	return reply;
}

const char *reply_outcome(enum settings_action action, bool signing)
{
	switch (action) {
	case ACTION_ACCEPT:
		return signing ? "passed on unsigned" : "passed on unverified";
	case ACTION_QUARANTINE:
		return signing ? "quarantined unsigned" : "quarantined";
	case ACTION_DISCARD:
		return "discarded";
	case ACTION_REJECT:
		return "rejected";
	case ACTION_TEMPFAIL:
	case ACTION_UNSET:
		break;
	}
	return "deferred";
}

const char *reply_advice(enum err e)
{
	static const char *const advice[ERR_COUNT] = {
		[ERR_TIMEOUT] = "see whether the token is overloaded, or raise TokenTimeout",
		[ERR_BUSY] =
			"the token is too slow for this much mail: raise TokenSessions or add one",
		[ERR_PEER_LOST] = "the signer process is being restarted: see its lines in the log",
		[ERR_TOKEN_TIMEOUT] = "see whether the token hangs or is overloaded",
		[ERR_TOKEN_ABSENT] = "plug the token in or mend the connection to the HSM",
		[ERR_TOKEN_BUSY] = "raise TokenSessions if the token allows more",
		[ERR_TOKEN_FAILED] = "look the code up in the token's manual",
		[ERR_TOKEN_PIN] = "put the right PIN in place, then reload, or hsmdkim-ctl relogin",
		[ERR_TOKEN_LIED] = "the token is faulty: take it out of service",
		[ERR_MODULE] = "check PKCS11Module or the TokenTable",
		[ERR_KEY_CHANGED] = "nothing, if the key was just replaced: the next try uses it",
		[ERR_KEY_RATE] = "see who sends so much; raise TokenRateLimit if it is right",
		[ERR_KEY_UNKNOWN] = "add the key to the KeyTable, then reload",
		[ERR_KEY_MISSING] =
			"check the key's URI or path in the KeyTable, and who may read it",
		[ERR_KEY_BAD] = "make a new key with hsmdkim-genkey",
		[ERR_KEY_TOO_SMALL] = "make a larger key with hsmdkim-genkey",
		[ERR_FILE_UNSAFE] = "take the rights of others from the file",
		[ERR_NO_SENDER] = "the author must send one From field with one address",
		[ERR_LIMIT] = "the message is beyond what a signature can cover",
		[ERR_SYNTAX] = "check domain, selector and signer in the tables",
		[ERR_DENIED] = "check RequireHardwareKeys and the tables",
		[ERR_AMBIGUOUS] = "make the key's URI match one key only",
		[ERR_NOMEM] = "give the machine more memory",
		[ERR_CONFIG] = "check the configuration with hsmdkim -n",
	};
	const char *text = (unsigned)e < ERR_COUNT ? advice[e] : NULL;

	return text != NULL ? text : "please report this";
}
