/* hsmdkim-testmsg: from the command line to the exit status. */
#include "tools/exits.h"
#include "tools/testmsg.h"

const struct testmsg_options testmsg_defaults = { .crlf = false };

#define FIELD(name) offsetof(struct testmsg_options, name)

/* clang-format off */
static const struct option_row rows[] = {
	{ 'C', OPTION_FLAG, NULL, NULL, FIELD(crlf), "end the lines of the signature with CRLF", 0, 0 },
	{ 'd', OPTION_STRING, "domain", "NAME", FIELD(domain), "sign for this domain; needs -k and -s", 0, 0 },
	{ 'K', OPTION_FLAG, NULL, NULL, FIELD(keep), "accepted for compatibility; does nothing", 0, 0 },
	{ 'k', OPTION_STRING, "key", "KEY", FIELD(key), "sign with this key: a PEM file or a pkcs11: URI", 0, 0 },
	{ 's', OPTION_STRING, "selector", "NAME", FIELD(selector), "sign with this selector", 0, 0 },
	{ 't', OPTION_STRING, NULL, "PATH", FIELD(temporary), "accepted for compatibility; does nothing", 0, 0 },
	{ 'x', OPTION_STRING, "config", "FILE", FIELD(config), "the configuration (default: /etc/hsmdkim.conf)", 0, 0 },
	{ 0, OPTION_FLAG, "sign", NULL, FIELD(sign), "sign with the keys that the configuration has for the author", 0, 0 },
	{ 0, OPTION_FLAG, "explain", NULL, FIELD(explain), "show what was signed and where a bad signature may come from", 0, 0 },
	{ 0, OPTION_STRING, "nameserver", "LIST", FIELD(nameservers), "ask these resolvers, ADDRESS[@PORT],...", 0, 0 },
	{ 0, OPTION_UINT, "timeout", "SECONDS", FIELD(timeout_s), "for all questions (default: DNSTimeout)", 1, 120 },
	{ 0, OPTION_STRING, "module", "PATH", FIELD(module), "the PKCS#11 module", 0, 0 },
	{ 0, OPTION_STRING, "pin-source", "SOURCE", FIELD(pin_source), "file:PATH, credential:NAME or prompt", 0, 0 },
};
/* clang-format on */

const struct option_spec testmsg_spec = {
	.program = "hsmdkim-testmsg",
	.synopsis = "[options] <MESSAGE",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples = "  hsmdkim-testmsg -x /etc/hsmdkim.conf --sign <message >signed\n"
		    "  hsmdkim-testmsg -d example.com -s mail2026 -k mail2026.private <message\n"
		    "  hsmdkim-testmsg --explain <received\n",
	.usage_exit = EX_CONFIG, /* as opendkim-testmsg */
};

static enum err run(const struct testmsg_options *o, int *ret_exit, struct err_detail *detail)
{
	AUTO(toolconf_free) struct toolconf *conf = NULL;
	struct testmsg m = { .arena = NULL };
	enum err e = toolconf_open(&(struct toolconf_request){ .program = testmsg_spec.program,
							       .config = o->config,
							       .module = o->module,
							       .pin_source = o->pin_source },
				   &conf, detail);

	if (e == ERR_OK)
		e = testmsg_read(stdin, &m, detail);
	if (e == ERR_OK && (o->sign || o->key != NULL))
		e = testmsg_sign(o, conf, &m, detail);
	else if (e == ERR_OK)
		e = testmsg_verify(o, conf, &m, ret_exit, detail);
	testmsg_done(&m);
	return e;
}

int testmsg_main(int argc, char **argv)
{
	struct testmsg_options o = testmsg_defaults;
	struct err_detail detail = { { 0 } };
	int operand = argc;
	int status = EX_CONFIG;
	int given;
	enum err e;

	if (!options_parse(&testmsg_spec, argc, argv, &o, &operand, &status))
		return status;
	if (operand != argc)
		return options_complain(&testmsg_spec, "the message is read from standard input");
	given = (o.domain != NULL) + (o.key != NULL) + (o.selector != NULL);
	if (given != 0 && given != 3)
		return options_complain(&testmsg_spec, "-d, -s and -k belong together");
	status = EX_OK;
	e = run(&o, &status, &detail);
	return e == ERR_OK ? status : exits_report(testmsg_spec.program, e, &detail);
}
