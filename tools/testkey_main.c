/* hsmdkim-testkey: command line, configuration, keys; then the rows. */
#include "keytable/dataset.h"
#include "tools/exits.h"
#include "tools/testkey.h"
#include "tools/toolconf.h"

#include <stdio.h>
#include <stdlib.h>

const struct testkey_options testkey_defaults = { .port = 53 };

#define FIELD(name) offsetof(struct testkey_options, name)

/* clang-format off */
static const struct option_row rows[] = {
	{ 'd', OPTION_STRING, "domain", "NAME", FIELD(domain), "check this domain, also in UTF-8; with a KeyTable: only its rows", 0, 0 },
	{ 's', OPTION_STRING, "selector", "NAME", FIELD(selector), "with -d: check this selector, without the KeyTable", 0, 0 },
	{ 'k', OPTION_STRING, "key", "KEY", FIELD(key), "the private key: a PEM file or a pkcs11: URI", 0, 0 },
	{ 'K', OPTION_FLAG, NULL, NULL, FIELD(keep), "accepted for compatibility; does nothing", 0, 0 },
	{ 'x', OPTION_STRING, "config", "FILE", FIELD(config), "the configuration (default: /etc/hsmdkim.conf)", 0, 0 },
	{ 'v', OPTION_COUNT, "verbose", NULL, FIELD(verbose), "say also whether DNSSEC protects the record", 0, 0 },
	{ 0, OPTION_FLAG, "json", NULL, FIELD(json), "print an array with an object for each key", 0, 0 },
	{ 0, OPTION_FLAG, "strict", NULL, FIELD(strict), "remarks (t=y, 1024 bits, blanks in p=) fail, too", 0, 0 },
	{ 0, OPTION_FLAG, "authoritative", NULL, FIELD(authoritative), "compare all name servers of the zone", 0, 0 },
	{ 0, OPTION_STRING, "nameserver", "LIST", FIELD(nameservers), "ask these resolvers, ADDRESS[@PORT],...", 0, 0 },
	{ 0, OPTION_UINT, "port", "N", FIELD(port), "port of the zone's name servers (default: 53)", 1, 65535 },
	{ 0, OPTION_UINT, "timeout", "SECONDS", FIELD(timeout_s), "for one question (default: DNSTimeout)", 1, 120 },
	{ 0, OPTION_STRING, "module", "PATH", FIELD(module), "the PKCS#11 module, when -k or the table has URIs", 0, 0 },
	{ 0, OPTION_STRING, "pin-source", "SOURCE", FIELD(pin_source), "file:PATH, credential:NAME or prompt", 0, 0 },
};
/* clang-format on */

const struct option_spec testkey_spec = {
	.program = "hsmdkim-testkey",
	.synopsis = "[options]",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples =
		"  hsmdkim-testkey -x /etc/hsmdkim.conf\n"
		"  hsmdkim-testkey -x /etc/hsmdkim.conf --authoritative --json\n"
		"  hsmdkim-testkey -d example.com -s mail2026 -k /etc/dkimkeys/mail2026.private\n"
		"  hsmdkim-testkey -d example.com -s mail2026\n",
	.usage_exit = EX_CONFIG, /* as opendkim-testkey */
};

/* A domain that is misspelt in a script must not be well for ever. */
static enum err load_table(const struct testkey_options *o, const struct toolconf *conf,
			   struct keyset *set, struct err_detail *detail)
{
	enum err e = keyset_load_table(set, conf->settings->key_table, conf->files, o->domain,
				       conf->tokens, detail);

	if (e != ERR_OK || o->domain == NULL || set->count != 0)
		return e;
	err_detail_set(detail, "the KeyTable has no key of %s", o->domain);
	return ERR_CONFIG;
}

/* Which keys: -d and -s; else the KeyTable; else Domain, Selector and KeyFile. */
static enum err load_keys(const struct testkey_options *o, const struct toolconf *conf,
			  struct keyset *set, struct err_detail *detail)
{
	const struct settings *s = conf->settings;

	if (o->domain != NULL && o->selector != NULL)
		return keyset_add_single(set, o->domain, o->selector, o->key, conf->tokens);
	if (s->key_table != NULL && o->key == NULL && o->selector == NULL)
		return load_table(o, conf, set, detail);
	if (s->selector == NULL || (o->domain == NULL && s->domain == NULL)) {
		err_detail_set(detail, "nothing to check: give -d and -s, or a configuration with "
				       "KeyTable, or Domain and Selector (-x FILE)");
		return ERR_CONFIG;
	}
	return toolconf_add_single(conf, o->domain, o->selector, o->key, set, detail);
}

struct report {
	const struct testkey_options *options;
	size_t pass;
	size_t fail;
	int status;
};

static void row_finished(void *ctx, const struct testkey_row *row)
{
	struct report *r = ctx;
	int status = testkey_exit(r->options, row);

	*(status == EX_OK ? &r->pass : &r->fail) += 1;
	r->status = status > r->status ? status : r->status;
	if (!r->options->json)
		testkey_print_row(r->options, row);
}

static enum err check_keys(const struct testkey_plan *plan, struct report *report)
{
	size_t count = plan->set->count;
	struct testkey_row *list = calloc(count != 0 ? count : 1, sizeof(*list));
	enum err e;

	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		testkey_row_init(&list[i], &plan->set->rows[i]);
	e = testkey_run(plan, list, count, row_finished, report);
	if (e == ERR_OK && report->options->json)
		testkey_print_json(list, count);
	else if (e == ERR_OK)
		(void)printf("%s: %zu key%s checked; %zu pass, %zu fail\n", testkey_spec.program,
			     count, count == 1 ? "" : "s", report->pass, report->fail);
	for (size_t i = 0; i < count; i++)
		testkey_row_done(&list[i]);
	free(list);
	return e;
}

static enum err run(const struct testkey_options *o, struct report *report,
		    struct err_detail *detail)
{
	AUTO(toolconf_free) struct toolconf *conf = NULL;
	AUTO(dns_resolver_free) struct dns_resolver *resolver = NULL;
	struct keyset set = { .rows = NULL };
	struct testkey_plan plan = { .options = o, .set = &set };
	enum err e = toolconf_open(&(struct toolconf_request){ .program = testkey_spec.program,
							       .config = o->config,
							       .module = o->module,
							       .pin_source = o->pin_source },
				   &conf, detail);

	if (e == ERR_OK)
		e = load_keys(o, conf, &set, detail);
	if (e == ERR_OK)
		e = keyset_index(&set);
	if (e == ERR_OK)
		e = toolconf_resolver(conf, o->nameservers, &resolver, detail);
	if (e == ERR_OK) {
		plan.resolver = resolver;
		plan.timeout_ms = o->timeout_s != 0 ? (int)o->timeout_s * 1000
						    : toolconf_dns_timeout_ms(conf);
		e = check_keys(&plan, report);
	}
	keyset_done(&set);
	return e;
}

int testkey_main(int argc, char **argv)
{
	struct testkey_options o = testkey_defaults;
	struct report report = { .options = &o };
	struct err_detail detail = { { 0 } };
	int operand = argc;
	int status = EX_CONFIG;
	enum err e;

	if (!options_parse(&testkey_spec, argc, argv, &o, &operand, &status))
		return status;
	if (operand != argc)
		return options_complain(&testkey_spec, "unexpected argument: %s", argv[operand]);
	e = run(&o, &report, &detail);
	if (e != ERR_OK)
		return exits_report(testkey_spec.program, e, &detail);
	return report.status;
}
