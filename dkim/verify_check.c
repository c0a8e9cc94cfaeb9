/* One signature against its key, the body and the header, RFC 6376 sections 6.1.2 and 6.1.3; then
 * what this host asks beyond the RFC. */
#include "dkim/verify_priv.h"

#include "dkim/digest.h"
#include "dkim/hdrinput.h"
#include "dkim/keyrec.h"

static enum dkim_reason lookup_reason(const struct dkim_key_answer *answer)
{
	static const enum dkim_reason reasons[] = {
		[DKIM_KEY_TIMEOUT] = DKIM_REASON_KEY_DNS_TIMEOUT,
		[DKIM_KEY_FOUND] = DKIM_REASON_GOOD,
		[DKIM_KEY_NOT_FOUND] = DKIM_REASON_KEY_NOT_FOUND,
		[DKIM_KEY_FAILED] = DKIM_REASON_KEY_DNS_FAILED,
		[DKIM_KEY_GARBAGE] = DKIM_REASON_KEY_DNS_ANSWER,
		[DKIM_KEY_TOO_LARGE] = DKIM_REASON_KEY_RECORDS,
	};

	/* A forged "there is no key", or one that has no room, must not pass for an answer. */
	if (answer->dnssec == DKIM_DNSSEC_BOGUS &&
	    (answer->status == DKIM_KEY_NOT_FOUND || answer->status == DKIM_KEY_TOO_LARGE))
		return DKIM_REASON_KEY_DNS_FAILED;
	return reasons[answer->status];
}

/* @param ret_key set for GOOD only */
static enum dkim_reason find_key(const struct verify_job *job, const struct dkim_key_answer *answer,
				 struct dkim_verdict *verdict, struct pubkey **ret_key)
{
	const struct sighdr *sig = &verdict->sig;
	struct keyrec record;
	enum dkim_reason reason = lookup_reason(answer);

	if (reason != DKIM_REASON_GOOD)
		return reason;
	reason = keyrec_select(job->scratch, answer->records, answer->count, &record);
	verdict->testing = record.testing;
	if (reason == DKIM_REASON_GOOD)
		reason = keyrec_allows(&record, sig->alg);
	if (reason == DKIM_REASON_GOOD && record.strict &&
	    !idn_equal(sig->identity_domain, sig->domain))
		reason = DKIM_REASON_KEY_SUBDOMAIN;
	if (reason != DKIM_REASON_GOOD)
		return reason;
	return keyrec_pubkey(&record, sig->alg, job->params->min_key_bits, ret_key,
			     &verdict->key_bits);
}

static enum dkim_reason check_body(const struct verify_job *job, const struct sighdr *sig)
{
	if (sig->length != SIGHDR_NO_LENGTH && sig->length > job->body_length)
		return DKIM_REASON_BODY_LENGTH;
	return slice_eq(sig->body_hash, job->body_digest) ? DKIM_REASON_GOOD
							  : DKIM_REASON_BODY_CHANGED;
}

static enum dkim_reason check_header(const struct verify_job *job,
				     const struct dkim_verdict *verdict, const struct pubkey *key)
{
	const struct sighdr *sig = &verdict->sig;
	uint8_t digest[DKIM_DIGEST_MAX];
	size_t digest_len = 0;
	struct slice input;
	enum err e;

	e = dkim_header_input(job->scratch, job->headers, sig->header_canon, sig->names,
			      sig->names_count, verdict->field->raw_name, sig->hashed, &input);
	if (e == ERR_LIMIT)
		return DKIM_REASON_MSG_HEADER_LARGE;
	if (e == ERR_OK)
		e = dkim_digest(dkim_alg_info(sig->alg)->hash, input, digest, &digest_len);
	if (e == ERR_OK)
		e = pubkey_verify(key, sig->alg, slice_of(digest, digest_len), sig->signature);
	if (e == ERR_DENIED)
		return DKIM_REASON_BAD_SIGNATURE;
	return e == ERR_OK ? DKIM_REASON_GOOD : DKIM_REASON_INTERNAL;
}

static enum dkim_reason check_dnssec(const struct dkim_verify_params *params,
				     enum dkim_dnssec dnssec)
{
	static const enum dkim_reason bogus[] = {
		[DKIM_KEY_POLICY_NONE] = DKIM_REASON_GOOD,
		[DKIM_KEY_POLICY_NEUTRAL] = DKIM_REASON_KEY_BOGUS_NEUTRAL,
		[DKIM_KEY_POLICY_FAIL] = DKIM_REASON_KEY_BOGUS,
	};
	static const enum dkim_reason unprotected[] = {
		[DKIM_KEY_POLICY_NONE] = DKIM_REASON_GOOD,
		[DKIM_KEY_POLICY_NEUTRAL] = DKIM_REASON_KEY_UNPROTECTED_NEUTRAL,
		[DKIM_KEY_POLICY_FAIL] = DKIM_REASON_KEY_UNPROTECTED,
	};

	if (dnssec == DKIM_DNSSEC_BOGUS)
		return bogus[params->bogus_key];
	if (dnssec == DKIM_DNSSEC_SECURE)
		return DKIM_REASON_GOOD;
	return unprotected[params->unprotected_key];
}

/* Whether enough of the body is signed: anyone can append to what l= leaves out. */
static bool covers_enough(const struct dkim_verify_params *params, uint64_t signed_bytes,
			  uint64_t total)
{
	if (signed_bytes >= total)
		return true;
	switch (params->minimum) {
	case DKIM_MINIMUM_ALL:
		return false;
	case DKIM_MINIMUM_BYTES:
		return signed_bytes >= params->minimum_value;
	case DKIM_MINIMUM_PERCENT:
		/* Divided first, so that nothing overflows; the rest is rounded up. */
		return signed_bytes >= total / 100 * params->minimum_value +
					       (total % 100 * params->minimum_value + 99) / 100;
	case DKIM_MINIMUM_BUT:
		return total - signed_bytes <= params->minimum_value;
	}
	return false;
}

static bool covers_fields(const struct verify_job *job, const struct sighdr *sig)
{
	for (size_t i = 0; i < job->params->must_be_signed_count; i++) {
		struct slice must = job->params->must_be_signed[i];
		size_t covered = 0;

		for (size_t n = 0; n < sig->names_count; n++)
			covered += slice_ieq(sig->names[n], must) ? 1 : 0;
		if (covered < hdrstore_count_name(job->headers, must))
			return false;
	}
	return true;
}

static enum dkim_reason check_policy(const struct verify_job *job,
				     const struct dkim_verdict *verdict)
{
	if (!covers_fields(job, &verdict->sig))
		return DKIM_REASON_MSG_UNSIGNED_FIELD;
	if (!covers_enough(job->params, verdict->sig.length, job->body_length))
		return DKIM_REASON_BODY_PARTIAL;
	return check_dnssec(job->params, verdict->dnssec);
}

enum dkim_reason verify_check(const struct verify_job *job, const struct dkim_key_answer *answer,
			      struct dkim_verdict *verdict)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	enum dkim_reason reason;

	verdict->dnssec = answer->dnssec;
	reason = find_key(job, answer, verdict, &key);
	if (reason == DKIM_REASON_GOOD)
		reason = check_body(job, &verdict->sig);
	if (reason == DKIM_REASON_GOOD)
		reason = check_header(job, verdict, key);
	if (reason == DKIM_REASON_GOOD)
		reason = check_policy(job, verdict);
	return reason;
}
