/* hsmdkim-genzone: command line and keys; nothing is written unless every key could be read. */
#include "tools/exits.h"
#include "tools/genzone.h"
#include "tools/outfile.h"
#include "tools/toolconf.h"

#include <stdio.h>

const struct genzone_options genzone_defaults = {
	.expire_s = 604800,
	.refresh_s = 10800,
	.retry_s = 1800,
	.default_ttl_s = 86400,
};

#define FIELD(name) offsetof(struct genzone_options, name)
#define SECONDS_MAX 2147483647U

/* clang-format off */
static const struct option_row rows[] = {
	{ 'C', OPTION_STRING, "contact", "USER@HOST", FIELD(contact), "contact in the SOA record", 0, 0 },
	{ 'd', OPTION_STRING, "domain", "NAME", FIELD(domain), "only keys of this domain", 0, 0 },
	{ 'D', OPTION_FLAG, "domainkey", NULL, FIELD(suffix), "write ._domainkey behind the selector", 0, 0 },
	{ 'E', OPTION_UINT, "expire", "SECONDS", FIELD(expire_s), "expire time of the SOA record", 0, SECONDS_MAX },
	{ 'F', OPTION_FLAG, "full", NULL, FIELD(whole_name), "write ._domainkey and the domain behind the selector", 0, 0 },
	{ 'M', OPTION_FLAG, "mail-only", NULL, FIELD(email_only), "the keys are for e-mail only (s=email)", 0, 0 },
	{ 'N', OPTION_STRING, "nameservers", "NAME,...", FIELD(nameservers), "NS records; the first is SOA's and nsupdate's server", 0, 0 },
	{ 'o', OPTION_STRING, "output", "FILE", FIELD(output), "write to this file", 0, 0 },
	{ 'r', OPTION_UINT, "refresh", "SECONDS", FIELD(refresh_s), "refresh time of the SOA record", 0, SECONDS_MAX },
	{ 'R', OPTION_UINT, "retry", "SECONDS", FIELD(retry_s), "retry time of the SOA record", 0, SECONDS_MAX },
	{ 's', OPTION_FLAG, "subdomains", NULL, FIELD(subdomains), "with -d: its subdomains, too", 0, 0 },
	{ 'S', OPTION_FLAG, "soa", NULL, FIELD(soa), "write an SOA record", 0, 0 },
	{ 't', OPTION_UINT, "ttl", "SECONDS", FIELD(ttl_s), "TTL of every record", 0, SECONDS_MAX },
	{ 'T', OPTION_UINT, "default-ttl", "SECONDS", FIELD(default_ttl_s), "default TTL of the SOA record", 0, SECONDS_MAX },
	{ 'u', OPTION_FLAG, "nsupdate", NULL, FIELD(nsupdate), "write commands for nsupdate(1)", 0, 0 },
	{ 'v', OPTION_COUNT, "verbose", NULL, FIELD(verbose), "say what is left out and how many were written", 0, 0 },
	{ 'x', OPTION_STRING, "config", "FILE", FIELD(config), "the configuration (default: /etc/hsmdkim.conf)", 0, 0 },
	{ 0, OPTION_STRING, "module", "PATH", FIELD(module), "the PKCS#11 module", 0, 0 },
	{ 0, OPTION_STRING, "pin-source", "SOURCE", FIELD(pin_source), "file:PATH, credential:NAME or prompt", 0, 0 },
};
/* clang-format on */

const struct option_spec genzone_spec = {
	.program = "hsmdkim-genzone",
	.synopsis = "[options] [KEYTABLE]",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples =
		"  hsmdkim-genzone -x /etc/hsmdkim.conf -F -t 3600 -o dkim.zone\n"
		"  hsmdkim-genzone -d example.com -D file:/etc/dkimkeys/KeyTable\n"
		"  hsmdkim-genzone -u -N ns1.example.com -x /etc/hsmdkim.conf | nsupdate -k key\n",
	.usage_exit = EX_USAGE,
};

/* Every wanted row has its key, or none is written: half a zone would take keys out of DNS. */
static enum err check_rows(const struct genzone_options *o, const struct keyset *set,
			   size_t *ret_count, struct err_detail *detail)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct keyset_row *row = &set->rows[i];

		if (!genzone_wants(o, row)) {
			if (o->verbose != 0 || row->any_domain)
				(void)fprintf(stderr, "%s: record %zu for '%s' skipped%s\n",
					      genzone_spec.program, i, row->name,
					      row->any_domain ? ": its domain is %; use -d" : "");
			continue;
		}
		if (!row->has_key) {
			err_detail_set(detail, "key for '%s' load failed: %s", row->name,
				       row->error.text);
			return ERR_IO;
		}
		count++;
	}
	if (count == 0 && o->domain != NULL) /* opendkim-genzone writes such a zone, too */
		(void)fprintf(stderr, "%s: warning: the KeyTable has no key of %s\n",
			      genzone_spec.program, o->domain);
	*ret_count = count;
	return ERR_OK;
}

static enum err put(const struct genzone_options *o, struct slice text, struct err_detail *detail)
{
	if (o->output != NULL)
		return outfile_write(o->output, text, 0644, detail);
	return fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0 ? ERR_OK
											: ERR_IO;
}

static enum err write_zone(const struct genzone_options *o, const struct keyset *set,
			   struct err_detail *detail)
{
	struct slice text = SLICE_LIT("");
	size_t count = 0;
	struct buf out;
	enum err e = check_rows(o, set, &count, detail);

	if (e != ERR_OK)
		return e;
	buf_init(&out, GENZONE_BYTES_MAX);
	genzone_write(o, set, time(NULL), &out);
	e = buf_finish(&out, &text);
	if (e == ERR_OK)
		e = put(o, text, detail);
	buf_done(&out);
	if (e == ERR_OK && o->verbose != 0)
		(void)fprintf(stderr, "%s: %zu record%s written\n", genzone_spec.program, count,
			      count == 1 ? "" : "s");
	return e;
}

/* What the zone is made from is never overwritten with it. */
static enum err check_output(const struct genzone_options *o, const struct toolconf *conf,
			     const struct keyset *set, struct err_detail *detail)
{
	bool input = outfile_same(o->output, o->config != NULL ? o->config : TOOLCONF_DEFAULT_PATH);

	for (size_t i = 0; i < files_count(conf->files) && !input; i++)
		input = outfile_same(o->output, files_path(conf->files, i));
	for (size_t i = 0; i < set->count && !input; i++)
		input = set->rows[i].ref != NULL && outfile_same(o->output, set->rows[i].ref);
	if (!input)
		return ERR_OK;
	err_detail_set(detail, "%s: the zone is made from this file; name another with -o",
		       o->output);
	return ERR_DENIED;
}

static enum err load(const struct genzone_options *o, const struct toolconf *conf,
		     const char *table, struct keyset *set, struct err_detail *detail)
{
	/* -s: the rows of subdomains are picked later; % then stands for nothing */
	const char *only = o->subdomains ? NULL : o->domain;

	enum err e = keyset_load_table(set, table, conf->files, only, conf->tokens, detail);

	return e == ERR_IO ? ERR_CONFIG : e; /* the table's; each key has an error of its own */
}

static int run(const struct genzone_options *o, const char *table)
{
	AUTO(toolconf_free) struct toolconf *conf = NULL;
	struct err_detail detail = { { 0 } };
	struct keyset set = { .rows = NULL };
	enum err e = toolconf_open(&(struct toolconf_request){ .program = genzone_spec.program,
							       .config = o->config,
							       .module = o->module,
							       .pin_source = o->pin_source },
				   &conf, &detail);

	if (e == ERR_OK && table == NULL)
		table = conf->settings->key_table;
	if (e == ERR_OK && table == NULL)
		return options_complain(&genzone_spec, "name a KeyTable, or a configuration that "
						       "has one (-x FILE)");
	if (e == ERR_OK)
		e = load(o, conf, table, &set, &detail);
	if (e == ERR_OK && o->output != NULL)
		e = check_output(o, conf, &set, &detail);
	if (e == ERR_OK)
		e = write_zone(o, &set, &detail);
	keyset_done(&set);
	return e == ERR_OK ? EX_OK : exits_report(genzone_spec.program, e, &detail);
}

int genzone_main(int argc, char **argv)
{
	struct genzone_options o = genzone_defaults;
	int operand = argc;
	int status = EX_USAGE;

	if (!options_parse(&genzone_spec, argc, argv, &o, &operand, &status))
		return status;
	if (argc - operand > 1)
		return options_complain(&genzone_spec, "one KeyTable at a time");
	if (o.subdomains && o.domain == NULL)
		return options_complain(&genzone_spec, "subdomain matching requires a domain");
	return run(&o, operand < argc ? argv[operand] : NULL);
}
