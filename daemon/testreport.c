/* The lines of hsmdkim -t: see testreport.h. */
#include "daemon/testreport.h"

#include <stdio.h>
#include <sysexits.h>

void testreport_complain(const struct testreport *t, const char *text)
{
	(void)fflush(stdout); /* the lines of both in their order */
	(void)fprintf(stderr, "%s: %s%s%s\n", t->program, t->file != NULL ? t->file : "",
		      t->file != NULL ? ": " : "", text);
}

static const char *answer_name(enum answer answer)
{
	static const char *const names[] = {
		[ANSWER_CONTINUE] = "SMFIS_CONTINUE", [ANSWER_ACCEPT] = "SMFIS_ACCEPT",
		[ANSWER_REJECT] = "SMFIS_REJECT",     [ANSWER_TEMPFAIL] = "SMFIS_TEMPFAIL",
		[ANSWER_DISCARD] = "SMFIS_DISCARD",   [ANSWER_SKIP] = "SMFIS_SKIP",
	};

	return names[answer];
}

void testreport_step(const struct testreport *t, const char *step, enum answer answer)
{
	char text[80];

	if (t->verbose < 2 && (t->verbose < 1 || answer == ANSWER_CONTINUE))
		return;
	(void)snprintf(text, sizeof(text), "mlfi_%s() returned %s", step, answer_name(answer));
	testreport_complain(t, text);
}

void testreport_header(const struct testreport *t, size_t line)
{
	char text[80];

	if (t->verbose < 2)
		return;
	(void)snprintf(text, sizeof(text), "line %zu: mlfi_header() returned %s", line,
		       answer_name(ANSWER_CONTINUE));
	testreport_complain(t, text);
}

/* The first that is good, else the first. */
static const struct dkim_verdict *best(const struct dkim_verdict *verdicts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (verdicts[i].result == DKIM_RESULT_PASS)
			return &verdicts[i];
	}
	return &verdicts[0];
}

static void report_verdict(const struct testreport *t, const struct dkim_verdict *verdict)
{
	static const char *const dnssec[] = {
		[DKIM_DNSSEC_UNKNOWN] = "unknown",
		[DKIM_DNSSEC_SECURE] = "secure",
		[DKIM_DNSSEC_INSECURE] = "insecure",
		[DKIM_DNSSEC_BOGUS] = "bogus",
	};
	const struct sighdr *sig = &verdict->sig;
	const char *reason = dkim_reason_text(verdict->reason);

	if (verdict->result == DKIM_RESULT_PASS)
		(void)printf("%s: %s: verification (s=%.*s, d=%.*s, %u-bit key) succeeded\n",
			     t->program, t->file, SLICE_FMT(sig->selector), SLICE_FMT(sig->domain),
			     verdict->key_bits);
	else if (!slice_empty(sig->selector) || !slice_empty(sig->domain))
		(void)printf("%s: %s: verification (s=%.*s d=%.*s, %u-bit key, %s) failed: %s\n",
			     t->program, t->file, SLICE_FMT(sig->selector), SLICE_FMT(sig->domain),
			     verdict->key_bits, dnssec[verdict->dnssec], reason);
	else
		(void)printf("%s: %s: verification failed: %s\n", t->program, t->file, reason);
}

/* With -v -v the field was shown when it was put in. */
static void report_signature(const struct testreport *t, const struct signature *sig)
{
	struct slice value = sig->value;

	if (sig->error != ERR_OK) {
		(void)printf("%s: %s: no signature added: %s%s%s\n", t->program, t->file,
			     err_text(sig->error), sig->detail->text[0] != '\0' ? ": " : "",
			     sig->detail->text);
		return;
	}
	if (t->verbose > 1)
		return;
	if (slice_starts(value, SLICE_LIT(" ")))
		value = slice_sub(value, 1, value.len);
	(void)printf("%s: %s:\nDKIM-Signature: %.*s\n", t->program, t->file, SLICE_FMT(value));
}

void testreport_passed(const struct testreport *t)
{
	(void)printf("%s: %s: neither signed nor verified\n", t->program, t->file);
}

int testreport_results(const struct testreport *t, const struct message *m)
{
	const struct signing *signing = message_signatures(m);
	const struct dkim_verdict *verdicts = NULL;
	size_t count;
	int status = EX_OK;

	if (message_verdicts(m, &verdicts, &count)) {
		if (count > 0)
			report_verdict(t, best(verdicts, count));
		else
			(void)printf("%s: %s: message not signed\n", t->program, t->file);
	} else if (signing == NULL) { /* the log has said why */
		(void)printf("%s: %s: could not be signed or verified\n", t->program, t->file);
		status = EX_SOFTWARE;
	}
	for (size_t i = 0; signing != NULL && i < signing_count(signing); i++) {
		report_signature(t, signing_at(signing, i));
		if (signing_at(signing, i)->error != ERR_OK)
			status = EX_SOFTWARE;
	}
	return status;
}
