/* Verifying one message: the daemon's verifier with keys from DNS or TestPublicKeys. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "dkim/address.h"
#include "dkim/keyrec.h"
#include "dns/source.h"
#include "tools/exits.h"
#include "tools/testmsg.h"

#include <stdlib.h>
#include <time.h>

static enum dkim_key_status status_of(enum dns_status status)
{
	static const enum dkim_key_status map[DNS_STATUS_COUNT] = {
		[DNS_FOUND] = DKIM_KEY_FOUND,	   [DNS_NXDOMAIN] = DKIM_KEY_NOT_FOUND,
		[DNS_NODATA] = DKIM_KEY_NOT_FOUND, [DNS_BOGUS] = DKIM_KEY_FAILED,
		[DNS_SERVFAIL] = DKIM_KEY_FAILED,  [DNS_REFUSED] = DKIM_KEY_FAILED,
		[DNS_TIMEOUT] = DKIM_KEY_TIMEOUT,  [DNS_BROKEN] = DKIM_KEY_GARBAGE,
	};

	return map[status];
}

static enum err take_answer(struct arena *arena, const struct dns_answer *dns,
			    struct dkim_key_answer *ret_answer)
{
	struct dns_texts texts;
	enum err e = dns_txt_texts(dns, LIMIT_KEY_RECORD_BYTES, arena, &texts);

	*ret_answer = (struct dkim_key_answer){
		.status = status_of(dns->status),
		.dnssec = dns->status == DNS_BOGUS ? DKIM_DNSSEC_BOGUS
			  : dns->secure		   ? DKIM_DNSSEC_SECURE
						   : DKIM_DNSSEC_UNKNOWN,
		.records = texts.list,
		.count = texts.count,
	};
	if (texts.too_large)
		ret_answer->status = DKIM_KEY_TOO_LARGE;
	else if (ret_answer->status == DKIM_KEY_FOUND && texts.count == 0)
		ret_answer->status = DKIM_KEY_GARBAGE;
	return e;
}

static enum err open_source(const struct testmsg_options *o, const struct toolconf *conf,
			    struct dns_source **ret_source, struct err_detail *detail)
{
	const char *file = conf->settings->test_public_keys;
	struct dns_resolver *resolver = NULL;
	struct slice text = SLICE_LIT("");
	enum err e;

	if (file != NULL) {
		e = files_map(conf->files, file, &text, detail);
		return e == ERR_OK ? dns_source_new_file(text, ret_source) : e;
	}
	e = toolconf_resolver(conf, o->nameservers, &resolver, detail);
	return e == ERR_OK ? dns_source_new_resolver(resolver, ret_source) : e;
}

/* All names are asked at once. */
static enum err ask_all(struct arena *arena, struct dns_source *source,
			const struct idn_name *names, size_t count, int64_t deadline_ms,
			struct dkim_key_answer *answers)
{
	struct dns_ticket *tickets[LIMIT_VERIFY_SIGNATURES] = { NULL };
	enum err e = ERR_OK;

	for (size_t i = 0; i < count; i++)
		if (dns_source_ask(source, slice_of(names[i].text, names[i].len), &tickets[i]) !=
		    ERR_OK)
			tickets[i] = NULL;
	for (size_t i = 0; i < count; i++) {
		struct dns_answer dns;

		dns_answer_init(&dns);
		dns_ticket_finish(&tickets[i], deadline_ms, &dns);
		if (e == ERR_OK)
			e = take_answer(arena, &dns, &answers[i]);
		dns_answer_done(&dns);
	}
	return e;
}

/* ---- the report ---- */

static void print_verdict(const struct dkim_verdict *v)
{
	char domain[300];
	char selector[300];

	(void)printf("%s: signature s=%s d=%s", testmsg_spec.program,
		     text_sanitize(v->sig.selector, selector, sizeof(selector)),
		     text_sanitize(v->sig.domain, domain, sizeof(domain)));
	if (v->sig.has_alg)
		(void)printf(" a=%s", dkim_alg_info(v->sig.alg)->name.ptr);
	(void)printf(": %s", dkim_result_word(v->result));
	if (v->reason != DKIM_REASON_GOOD)
		(void)printf(" (%s)", dkim_reason_text(v->reason));
	if (v->key_bits != 0)
		(void)printf(" (%u-bit key)", v->key_bits);
	(void)fputc('\n', stdout);
}

/* The key of the verdict's selector again, for the guesses. @return NULL: there is none */
static struct pubkey *find_key(struct testmsg *m, const struct dkim_verdict *v,
			       const struct idn_name *names, const struct dkim_key_answer *answers,
			       size_t count)
{
	struct pubkey *key = NULL;
	struct keyrec record;
	unsigned bits = 0;

	for (size_t i = 0; i < count && v->sig.has_alg; i++)
		if (slice_eq(slice_of(names[i].text, names[i].len),
			     slice_of(v->sig.key_name.text, v->sig.key_name.len)) &&
		    answers[i].status == DKIM_KEY_FOUND &&
		    keyrec_select(m->arena, answers[i].records, answers[i].count, &record) ==
			    DKIM_REASON_GOOD &&
		    keyrec_pubkey(&record, v->sig.alg, 0, &key, &bits) == DKIM_REASON_GOOD)
			return key;
	return NULL;
}

static int exit_of(const struct dkim_verdict *verdicts, size_t count)
{
	int status = count != 0 ? EX_DATAERR : EX_NOINPUT;

	for (size_t i = 0; i < count; i++) {
		if (verdicts[i].result == DKIM_RESULT_PASS)
			return EX_OK;
		if (verdicts[i].result == DKIM_RESULT_TEMPERROR)
			status = EX_TEMPFAIL;
	}
	return status;
}

static void report(const struct testmsg_options *o, struct testmsg *m, struct dkim_verifier *v,
		   const struct dkim_key_answer *answers, int *ret_exit)
{
	const struct idn_name *names = NULL;
	const struct dkim_verdict *verdicts = NULL;
	size_t asked = dkim_verify_lookups(v, &names);
	size_t count = dkim_verify_verdicts(v, &verdicts);

	for (size_t i = 0; i < count; i++) {
		AUTO(pubkey_free) struct pubkey *key = NULL;
		struct testmsg_case c = { .message = m, .verdict = &verdicts[i] };

		print_verdict(&verdicts[i]);
		if (!o->explain)
			continue;
		key = find_key(m, &verdicts[i], names, answers, asked);
		c.key = key;
		testmsg_explain(&c);
	}
	if (count == 0)
		(void)printf("%s: the message is not signed\n", testmsg_spec.program);
	*ret_exit = exit_of(verdicts, count);
}

static enum err verify_with(const struct testmsg_options *o, const struct toolconf *conf,
			    struct testmsg *m, struct dns_source *source, struct dkim_verifier *v,
			    int *ret_exit)
{
	int timeout_ms =
		o->timeout_s != 0 ? (int)o->timeout_s * 1000 : toolconf_dns_timeout_ms(conf);
	const struct idn_name *names = NULL;
	size_t count = dkim_verify_lookups(v, &names);
	struct dkim_key_answer answers[LIMIT_VERIFY_SIGNATURES] = { { .count = 0 } };
	enum err e = ask_all(m->arena, source, names, count, clock_mono_ms() + timeout_ms, answers);

	if (e == ERR_OK) {
		dkim_verify_body(v, m->body.ptr, m->body.len);
		e = dkim_verify_finish(v, answers);
	}
	if (e == ERR_OK)
		report(o, m, v, answers, ret_exit);
	return e;
}

enum err testmsg_verify(const struct testmsg_options *o, const struct toolconf *conf,
			struct testmsg *m, int *ret_exit, struct err_detail *detail)
{
	const struct settings *s = conf->settings;
	const struct hdr *from = hdrstore_from_top(m->headers, SLICE_LIT("From"), 0);
	struct dkim_address author = { .domain = SLICE_LIT("") };
	struct dkim_verify_params params = {
		.time = { .now = time(NULL), .drift_s = s->clock_drift_s },
		.max_signatures = (size_t)s->maximum_signatures_to_verify,
		.min_key_bits = (unsigned)s->minimum_key_bits,
	};
	AUTO(dns_source_free) struct dns_source *source = NULL;
	struct dkim_verifier *v = NULL;
	size_t count = 0;
	enum err e;

	if (from != NULL && dkim_address_parse(m->arena, from->value, &author, &count) == ERR_OK &&
	    count != 0)
		params.author_domain = author.domain;
	e = open_source(o, conf, &source, detail);
	if (e == ERR_OK)
		e = dkim_verify_plan(m->arena, m->headers, &params, &v);
	if (e == ERR_OK)
		e = verify_with(o, conf, m, source, v, ret_exit);
	dkim_verify_free(&v);
	return e;
}
