/* hsmdkim-genkey: from the command line to the exit status. */
#include "tools/exits.h"
#include "tools/genkey.h"

#include <sys/stat.h>
#include <unistd.h>

static enum err make_single(const struct genkey_plan *plan, struct genkey_report *report,
			    struct err_detail *detail)
{
	const struct genkey_options *o = plan->options;
	struct genkey_job job = {
		.domain = slice_str(plan->domain.text),
		.typed = slice_str(o->domain),
		.selector = slice_str(o->selector),
		.directory = o->directory,
		.type = plan->type,
		.bits = plan->bits,
	};
	bool kept = false;
	enum err e = genkey_one(plan, &job, report, &kept, detail);

	if (e == ERR_OK && o->verbose != 0)
		(void)fprintf(stderr, "%s: DNS TXT record written to %s/%s.txt\n",
			      genkey_spec.program, o->directory, o->selector);
	return e;
}

static enum err make_keys(struct genkey_plan *plan, struct err_detail *detail)
{
	struct genkey_report report;
	enum err e = ERR_OK;

	genkey_report_init(&report);
	if (plan->options->token != NULL)
		e = genkey_source_token_open(plan->options, &plan->source, detail);
	if (e == ERR_OK)
		e = plan->options->domains_file != NULL ? genkey_list(plan, &report, detail)
							: make_single(plan, &report, detail);
	if (plan->source.close != NULL)
		plan->source.close(plan->source.ctx);
	if (e == ERR_OK || report.names.len != 0) /* a record without a file is shown at least */
		genkey_migration_print(&report, plan->out);
	genkey_report_done(&report);
	return e;
}

static void print_remarks(const struct genkey_plan *plan)
{
	if (plan->type == KEY_TYPE_ED25519)
		(void)fprintf(stderr,
			      "%s: many receivers do not verify Ed25519 yet: keep an RSA key with "
			      "another selector beside it\n",
			      genkey_spec.program);
	else if (plan->bits < 2048)
		(void)fprintf(stderr, "%s: receivers recommend 2048 bits or more\n",
			      genkey_spec.program);
	if (plan->options->import != NULL)
		(void)fprintf(
			stderr,
			"%s: the token now holds a copy of %s. The key is only as safe as "
			"the copies that are left: delete the file and its backups, or better "
			"make a new key on the token and rotate to it\n",
			genkey_spec.program, plan->options->import);
}

/* What opendkim-genkey does without a word, and nobody wants. */
static void warn_of_names(const struct genkey_plan *plan)
{
	const struct genkey_options *o = plan->options;

	if (o->domains_file != NULL)
		return;
	if (o->domain == NULL)
		(void)fprintf(stderr,
			      "%s: warning: there is no -d, so this key is for the domain "
			      "localhost: -d example.com\n",
			      genkey_spec.program);
	if (strstr(o->selector, "_domainkey") != NULL)
		(void)fprintf(stderr,
			      "%s: warning: ._domainkey is added to the selector: this record is "
			      "%s._domainkey.%s\n",
			      genkey_spec.program, o->selector, plan->domain.text);
}

int genkey_main(int argc, char **argv)
{
	struct genkey_options o = genkey_defaults;
	struct genkey_plan plan;
	struct err_detail detail = { { 0 } };
	int operand = argc;
	int status = EX_USAGE;
	enum err e;

	(void)umask(077);
	if (!options_parse(&genkey_spec, argc, argv, &o, &operand, &status))
		return status;
	if (operand != argc)
		return options_complain(&genkey_spec, "unexpected argument: %s", argv[operand]);
	if (genkey_plan_make(&o, &plan, &detail) != ERR_OK)
		return options_complain(&genkey_spec, "%s", detail.text);
	warn_of_names(&plan);
	e = make_keys(&plan, &detail);
	if (e != ERR_OK)
		return exits_report(genkey_spec.program, e, &detail);
	print_remarks(&plan);
	return EX_OK;
}
