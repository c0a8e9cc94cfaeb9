/* The log of verifying: see verifylog.h. */
#include "daemon/verifylog.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

/* Room for all that a line may be made of; log_line() cuts it. */
#define LINE_BYTES ((size_t)LIMIT_VERIFY_SIGNATURES * 2048u)

static void add_safe(struct buf *line, struct slice text)
{
	char safe[LIMIT_DOMAIN_BYTES + 8];

	buf_add_str(line, text_sanitize(text, safe, sizeof(safe)));
}

static struct slice alg_name(const struct dkim_verdict *verdict)
{
	return verdict->sig.has_alg ? dkim_alg_info(verdict->sig.alg)->name : SLICE_LIT("?");
}

static void add_names(struct buf *line, const struct dkim_verdict *verdict)
{
	buf_add_str(line, "s=");
	add_safe(line, verdict->sig.selector);
	buf_add_str(line, ", d=");
	add_safe(line, verdict->sig.domain);
}

static void log_buf(enum log_level level, const char *id, struct buf *line)
{
	struct slice text;

	if (buf_finish(line, &text) == ERR_OK)
		log_line(level, "%s: %.*s", id, SLICE_FMT(text));
}

static void log_domains(const char *id, const struct dkim_verdict *verdicts, size_t count)
{
	AUTO(buf_done) struct buf line;

	buf_init(&line, LINE_BYTES);
	if (count < 2)
		return;
	buf_add_str(&line, "message has signatures from ");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(&line, i == 0 ? "" : ", ");
		add_safe(&line, verdicts[i].sig.domain);
	}
	log_buf(LOG_LEVEL_INFO, id, &line);
}

static void log_results(const char *id, const struct dkim_verdict *verdicts, size_t count)
{
	AUTO(buf_done) struct buf line;
	size_t told = 0;

	buf_init(&line, LINE_BYTES);
	for (size_t i = 0; i < count; i++) {
		const struct dkim_verdict *v = &verdicts[i];

		if (slice_empty(v->sig.domain) || slice_empty(v->sig.selector) ||
		    slice_empty(v->header_b))
			continue;
		buf_add_str(&line, told++ == 0 ? "" : "; ");
		buf_add_str(&line, "signature=");
		add_safe(&line, v->header_b);
		buf_add_str(&line, " domain=");
		add_safe(&line, v->sig.domain);
		buf_add_str(&line, " selector=");
		add_safe(&line, v->sig.selector);
		buf_add_fmt(&line, " result=\"%s\"", dkim_reason_text(v->reason));
	}
	if (told != 0)
		log_buf(LOG_LEVEL_INFO, id, &line);
}

static const char *lookup_text(enum dkim_reason reason)
{
	switch ((int)reason) {
	case DKIM_REASON_KEY_NOT_FOUND:
		return "record not found";
	case DKIM_REASON_KEY_DNS_TIMEOUT:
		return "query timed out";
	case DKIM_REASON_KEY_DNS_ANSWER:
		return "reply corrupt or too large";
	default:
		return "query failed";
	}
}

/* One line for a signature that is not good, in OpenDKIM's words where it has some. */
static void log_bad(const char *id, const struct dkim_verdict *v)
{
	AUTO(buf_done) struct buf line;
	enum dkim_cause cause = dkim_reason_cause(v->reason);
	enum log_level level = LOG_LEVEL_INFO;

	buf_init(&line, LINE_BYTES);
	if (v->reason == DKIM_REASON_KEY_REVOKED) {
		level = LOG_LEVEL_NOTICE;
		buf_add_str(&line, "key revoked (");
		add_names(&line, v);
		buf_add_fmt(&line, ", a=%.*s)", SLICE_FMT(alg_name(v)));
	} else if (cause == DKIM_CAUSE_DNS || cause == DKIM_CAUSE_KEY_NOT_FOUND) {
		level = LOG_LEVEL_ERROR;
		buf_add_str(&line, "key retrieval failed (");
		add_names(&line, v);
		buf_add_fmt(&line, "): '%s' %s", v->sig.key_name.text, lookup_text(v->reason));
	} else {
		buf_add_str(&line, "s=");
		add_safe(&line, v->sig.selector);
		buf_add_str(&line, " d=");
		add_safe(&line, v->sig.domain);
		buf_add_fmt(&line, " a=%.*s: %s", SLICE_FMT(alg_name(v)),
			    dkim_reason_text(v->reason));
	}
	log_buf(level, id, &line);
}

static void log_unsigned(const char *id, const struct settings *settings)
{
	if (policy_action(POLICY_NO_SIGNATURE, settings) != ACTION_ACCEPT)
		log_line(LOG_LEVEL_NOTICE, "%s: no signature data", id);
}

static void log_ignored(const char *id, const struct verifying *v, size_t counted)
{
	const struct dkim_verdict *ignored;
	size_t count = verifying_ignored(v, &ignored);
	size_t skipped = verifying_found(v) - counted - count;
	char domain[LIMIT_DOMAIN_BYTES + 8];

	for (size_t i = 0; i < count; i++)
		log_line(LOG_LEVEL_INFO, "%s: ignoring signature from %s", id,
			 text_sanitize(ignored[i].sig.domain, domain, sizeof(domain)));
	if (skipped != 0)
		log_line(LOG_LEVEL_INFO, "%s: ignoring %zu signature%s", id, skipped,
			 skipped == 1 ? "" : "s");
}

void verifylog_message(const char *id, const struct settings *settings, const struct verifying *v,
		       enum dkim_cause cause)
{
	const struct dkim_verdict *verdicts;
	size_t count = verifying_verdicts(v, &verdicts);
	size_t good = 0;

	log_ignored(id, v, count);
	if (count == 0) {
		log_unsigned(id, settings);
		return;
	}
	log_domains(id, verdicts, count);
	if (settings->log_results)
		log_results(id, verdicts, count);
	for (size_t i = 0; i < count; i++) {
		if (verdicts[i].result == DKIM_RESULT_PASS)
			good++;
		else
			log_bad(id, &verdicts[i]);
	}
	if (good != 0 && settings->syslog_success)
		log_line(LOG_LEVEL_INFO, "%s: DKIM verification successful", id);
	if (good == 0 && cause == DKIM_CAUSE_BAD_SIGNATURE)
		log_line(LOG_LEVEL_NOTICE, "%s: bad signature data", id);
}
