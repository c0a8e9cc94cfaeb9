/* hsmdkim-genkey's command line: the table, and the checks that need no key. */
#include "tools/genkey.h"

#include "base/limits.h"
#include "dkim/domain.h"
#include "tools/exits.h"

/* RFC 8301 section 3.2: verifiers need not take more than 4096 bits, must not take less than 1024.
 */
#define RSA_BITS_MIN 1024U
#define RSA_BITS_MAX 4096U
#define RSA_BITS_DEFAULT 2048U

const struct genkey_options genkey_defaults = {
	.directory = ".",
	.hashes = "sha256",
	.selector = "default",
	.subdomains = true,
	.type = "rsa",
	.format = "bind",
	.ttl_s = 3600,
};

#define FIELD(name) offsetof(struct genkey_options, name)

/* clang-format off */
static const struct option_row rows[] = {
	{ 'a', OPTION_FLAG, "append-domain", NULL, FIELD(append_domain), "write the whole name into the zone file form", 0, 0 },
	{ 'b', OPTION_UINT, "bits", "N", FIELD(bits), "size of an RSA key: 2048 (default), 3072, 4096", 0, 65536 },
	{ 'd', OPTION_STRING, "domain", "NAME", FIELD(domain), "the domain that the key signs for; also in UTF-8", 0, 0 },
	{ 'D', OPTION_STRING, "directory", "PATH", FIELD(directory), "where files are written (default: here)", 0, 0 },
	{ 'h', OPTION_STRING, "hash-algorithms", "LIST", FIELD(hashes), "h= of the record (default: sha256)", 0, 0 },
	{ 'n', OPTION_STRING, "note", "TEXT", FIELD(note), "n= of the record", 0, 0 },
	{ 'r', OPTION_FLAG, "restrict", NULL, FIELD(restrict_email), "the key is for e-mail only (s=email)", 0, 0 },
	{ 's', OPTION_STRING, "selector", "NAME", FIELD(selector), "the selector (default: default)", 0, 0 },
	{ 'S', OPTION_CLEAR, NULL, NULL, FIELD(subdomains), "as --no-subdomains", 0, 0 },
	{ 0, OPTION_FLAG, "subdomains", NULL, FIELD(subdomains), "i= may name a subdomain (default); --no-subdomains: t=s", 0, 0 },
	{ 't', OPTION_FLAG, "testmode", NULL, FIELD(test_mode), "the record says t=y", 0, 0 },
	{ 'v', OPTION_COUNT, "verbose", NULL, FIELD(verbose), "say what is done", 0, 0 },
	{ 'V', OPTION_VERSION, NULL, NULL, 0, "print the version and exit", 0, 0 },
	{ 0, OPTION_TITLE, NULL, NULL, 0, "The kind of key, and its record:", 0, 0 },
	{ 0, OPTION_STRING, "type", "TYPE", FIELD(type), "rsa (default) or ed25519", 0, 0 },
	{ 0, OPTION_FLAG, "ed25519", NULL, FIELD(ed25519), "as --type=ed25519", 0, 0 },
	{ 0, OPTION_STRING, "format", "NAME", FIELD(format), "bind (default), plain, json, nsupdate, tinydns, powerdns, route53", 0, 0 },
	{ 0, OPTION_STRING, "zone", "NAME", FIELD(zone), "the DNS zone, when it is a parent of the domain", 0, 0 },
	{ 0, OPTION_UINT, "ttl", "SECONDS", FIELD(ttl_s), "where the form has one (default: 3600)", 0, 2147483647 },
	{ 0, OPTION_TITLE, NULL, NULL, 0, "Many keys:", 0, 0 },
	{ 0, OPTION_STRING, "domains", "FILE", FIELD(domains_file), "a key for each line \"domain [selector]\"; goes on where it was stopped", 0, 0 },
	{ 0, OPTION_TITLE, NULL, NULL, 0, "On a token instead of in a file:", 0, 0 },
	{ 0, OPTION_STRING, "token", "URI", FIELD(token), "make the key on this token; object= and id= name the key", 0, 0 },
	{ 'x', OPTION_STRING, "config", "FILE", FIELD(config), "take module and PIN from this configuration", 0, 0 },
	{ 0, OPTION_STRING, "module", "PATH", FIELD(module), "the PKCS#11 module", 0, 0 },
	{ 0, OPTION_STRING, "pin-source", "SOURCE", FIELD(pin_source), "file:PATH, credential:NAME or prompt", 0, 0 },
	{ 0, OPTION_STRING, "import", "FILE", FIELD(import), "move this PEM key to the token instead of making one", 0, 0 },
};
/* clang-format on */

const struct option_spec genkey_spec = {
	.program = "hsmdkim-genkey",
	.synopsis = "[options]",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples =
		"  hsmdkim-genkey -d example.com -s mail2026 -D /etc/dkimkeys\n"
		"  hsmdkim-genkey -d example.com -s mail2026 --format plain \\\n"
		"      --token 'pkcs11:token=dkim' --module /usr/lib/softhsm/libsofthsm2.so \\\n"
		"      --pin-source file:/etc/hsmdkim/pin\n"
		"  hsmdkim-genkey -x /etc/hsmdkim.conf --token 'pkcs11:token=dkim' \\\n"
		"      -d example.com -s old --import /etc/dkimkeys/old.private\n"
		"  hsmdkim-genkey --domains domains.txt -s mail2026 -D /etc/dkimkeys\n",
	.usage_exit = EX_USAGE,
};

static bool label_valid(struct slice label)
{
	if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
	    label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!ch_is_alpha(label.ptr[i]) && !ch_is_digit(label.ptr[i]) &&
		    label.ptr[i] != '-' && label.ptr[i] != '_')
			return false;
	return true;
}

bool genkey_name_valid(struct slice name)
{
	struct slice rest = name;
	struct slice label;

	if (name.len == 0 || name.len > LIMIT_DOMAIN_BYTES)
		return false;
	while (slice_next(&rest, '.', &label))
		if (!label_valid(label))
			return false;
	return true;
}

bool genkey_domain_read(struct slice typed, struct idn_name *ret_domain)
{
	if (!genkey_name_valid(typed))
		return typed.len != 0 && typed.ptr[typed.len - 1] != '.' &&
		       idn_to_ascii(typed, ret_domain) == ERR_OK &&
		       genkey_name_valid(slice_of(ret_domain->text, ret_domain->len));
	memcpy(ret_domain->text, typed.ptr, typed.len);
	ret_domain->text[typed.len] = '\0';
	ret_domain->len = typed.len;
	return true;
}

static enum err bad(struct err_detail *detail, const char *text)
{
	err_detail_set(detail, "%s", text);
	return ERR_SYNTAX;
}

static enum err check_type(const struct genkey_options *o, struct genkey_plan *plan,
			   struct err_detail *detail)
{
	bool ed25519 = o->ed25519 || slice_ieq(slice_str(o->type), SLICE_LIT("ed25519"));

	if (!ed25519 && !slice_ieq(slice_str(o->type), SLICE_LIT("rsa")))
		return bad(detail, "--type is rsa or ed25519");
	plan->type = ed25519 ? KEY_TYPE_ED25519 : KEY_TYPE_RSA;
	plan->bits = ed25519 ? 256 : (o->bits != 0 ? o->bits : RSA_BITS_DEFAULT);
	if (ed25519)
		return o->bits == 0 || o->bits == 256
			       ? ERR_OK
			       : bad(detail, "an Ed25519 key has no size to choose; leave -b out");
	if (plan->bits < RSA_BITS_MIN)
		return bad(detail,
			   "below 1024 bits no verifier accepts a key (RFC 8301); use -b 2048");
	if (plan->bits > RSA_BITS_MAX)
		return bad(detail, "above 4096 bits verifiers may refuse a key (RFC 8301)");
	return ERR_OK;
}

/* h=: names of letters, digits and '-', sha256 among them. */
static enum err check_hashes(struct slice list, struct err_detail *detail)
{
	struct slice rest = list;
	struct slice name;
	bool has_sha256 = list.len == 0;

	while (list.len != 0 && slice_next(&rest, ':', &name)) {
		if (!label_valid(name))
			return bad(detail, "-h is a list of hash names with colons: sha256");
		has_sha256 = has_sha256 || slice_eq(name, SLICE_LIT("sha256"));
	}
	if (!has_sha256 && slice_starts(list, SLICE_LIT("rsa-")))
		return bad(detail, "h= takes names of hashes, not of algorithms: write -h sha256");
	return has_sha256 ? ERR_OK
			  : bad(detail, "-h without sha256 makes a key that no signature may use "
					"(RFC 8301)");
}

static enum err check_names(const struct genkey_options *o, struct genkey_plan *plan,
			    struct err_detail *detail)
{
	struct slice typed = slice_str(o->domain != NULL ? o->domain : "localhost");

	if (!genkey_name_valid(slice_str(o->selector)))
		return bad(detail, "a selector is DNS labels: letters, digits, - and _, at most 63 "
				   "octets between two dots");
	if (!genkey_domain_read(typed, &plan->domain))
		return bad(detail, "a domain is DNS labels: letters, digits and -, at most 63 "
				   "octets between two dots; international names in UTF-8 or as "
				   "xn--...");
	if (strlen(o->selector) + plan->domain.len + strlen("._domainkey.") > LIMIT_DOMAIN_BYTES)
		return bad(detail, "selector and domain are too long for one DNS name");
	if (o->zone != NULL &&
	    (!genkey_domain_read(slice_str(o->zone), &plan->zone) ||
	     !dkim_domain_in(slice_str(plan->domain.text), slice_str(plan->zone.text))))
		return bad(detail, "--zone must be the domain or a parent of it");
	return ERR_OK;
}

static enum err check_token(const struct genkey_options *o, struct err_detail *detail)
{
	if (o->token == NULL)
		return o->import == NULL && o->module == NULL && o->pin_source == NULL
			       ? ERR_OK
			       : bad(detail, "--import, --module and --pin-source need --token");
	if (o->domain == NULL && o->domains_file == NULL)
		return bad(detail, "a key on a token needs its domain: -d example.com");
	if ((o->module == NULL) != (o->pin_source == NULL))
		return bad(detail, "--module and --pin-source belong together");
	if (o->import != NULL && o->domains_file != NULL)
		return bad(detail, "--import moves one key; it does not go with --domains");
	return ERR_OK;
}

enum err genkey_plan_make(const struct genkey_options *o, struct genkey_plan *ret_plan,
			  struct err_detail *detail)
{
	struct genkey_plan plan = { .options = o,
				    .form = dnstext_form_find(slice_str(o->format)),
				    .source = genkey_source_file,
				    .out = stdout };
	enum err e;

	if (plan.form == NULL)
		return bad(detail, "--format is bind, plain, json, nsupdate, tinydns, powerdns or "
				   "route53");
	e = check_type(o, &plan, detail);
	if (e == ERR_OK)
		e = check_hashes(slice_str(o->hashes), detail);
	if (e == ERR_OK)
		e = check_names(o, &plan, detail);
	if (e == ERR_OK)
		e = check_token(o, detail);
	if (e == ERR_OK)
		*ret_plan = plan;
	return e;
}
