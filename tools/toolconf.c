/* What the tools take from the configuration. */
#include "tools/toolconf.h"

#include "keytable/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DNS_TIMEOUT_MAX_MS 120000

void toolconf_free(struct toolconf **conf)
{
	struct toolconf *c = *conf;

	if (c == NULL)
		return;
	tokens_free(&c->tokens);
	files_free(&c->files);
	settings_free(&c->settings);
	free(c);
	*conf = NULL;
}

static const char *config_path(const struct toolconf_request *request)
{
	if (request->config != NULL)
		return request->config;
	return access(TOOLCONF_DEFAULT_PATH, F_OK) == 0 ? TOOLCONF_DEFAULT_PATH : NULL;
}

static enum err override(struct settings *s, struct slice name, const char *value,
			 struct settings_warnings *warnings, struct err_detail *detail)
{
	return value != NULL ? settings_set(s, name, slice_str(value), warnings, detail) : ERR_OK;
}

static enum err load_settings(const struct toolconf_request *request, struct settings *s,
			      struct err_detail *detail)
{
	struct settings_warnings warnings = { 0 };
	const char *path = config_path(request);
	enum err e = ERR_OK;

	if (path != NULL)
		e = settings_load_file(s, path, &settings_reader_files, &warnings, detail);
	if (e == ERR_OK)
		e = override(s, SLICE_LIT("PKCS11Module"), request->module, &warnings, detail);
	if (e == ERR_OK)
		e = override(s, SLICE_LIT("PKCS11PinSource"), request->pin_source, &warnings,
			     detail);
	settings_warnings_done(&warnings); /* they are the daemon's to tell */
	return e;
}

static enum err load(struct toolconf *c, const struct toolconf_request *request,
		     struct err_detail *detail)
{
	enum err e;

	c->settings = settings_new();
	c->files = files_new_real();
	if (c->settings == NULL || c->files == NULL)
		return ERR_NOMEM;
	e = load_settings(request, c->settings, detail);
	if (e == ERR_OK)
		e = tokens_new(c->settings, c->files, &c->tokens, detail);
	if (e == ERR_OK && request->act_as_signer)
		e = tokens_act_as_signer(c->tokens, detail);
	return e == ERR_IO ? ERR_CONFIG : e;
}

enum err toolconf_open(const struct toolconf_request *request, struct toolconf **ret_conf,
		       struct err_detail *detail)
{
	struct toolconf *c = calloc(1, sizeof(*c));
	enum err e = c != NULL ? load(c, request, detail) : ERR_NOMEM;

	if (e == ERR_OK)
		*ret_conf = c;
	else
		toolconf_free(&c);
	return e;
}

enum err toolconf_resolver(const struct toolconf *conf, const char *nameservers,
			   struct dns_resolver **ret_resolver, struct err_detail *detail)
{
	const struct settings *s = conf->settings;
	struct dns_resolver_config config = {
		.nameservers = nameservers != NULL ? nameservers : s->nameservers,
		.trust_anchor_file = s->trust_anchor_file,
		.unbound_config = s->resolver_configuration,
	};

	return dns_resolver_new(&config, ret_resolver, detail);
}

int toolconf_dns_timeout_ms(const struct toolconf *conf)
{
	int64_t ms = conf->settings->dns_timeout_ms;

	return ms > 0 && ms <= DNS_TIMEOUT_MAX_MS ? (int)ms : DNS_TIMEOUT_MAX_MS;
}

struct single {
	const struct toolconf *conf;
	const char *selector;
	const char *key;
	struct keyset *set;
	enum err e;
};

static bool add_domain(void *ctx, struct slice domain, struct slice value, const char *origin)
{
	struct single *single = ctx;
	char *name = slice_dup(domain);

	(void)value, (void)origin;
	single->e = name == NULL ? ERR_NOMEM
				 : keyset_add_single(single->set, name, single->selector,
						     single->key, single->conf->tokens);
	free(name);
	return single->e == ERR_OK;
}

enum err toolconf_add_single(const struct toolconf *conf, const char *domain, const char *selector,
			     const char *key, struct keyset *set, struct err_detail *detail)
{
	const struct settings *s = conf->settings;
	struct single single = { .conf = conf,
				 .selector = selector != NULL ? selector : s->selector,
				 .key = key != NULL ? key : s->key_file,
				 .set = set };
	AUTO(dataset_free) struct dataset *domains = NULL;
	enum err e;

	if (domain != NULL)
		return keyset_add_single(set, domain, single.selector, single.key, conf->tokens);
	e = dataset_open("Domain", s->domain, DATASET_ICASE, conf->files, &domains, detail);
	if (e == ERR_OK)
		e = dataset_each(domains, add_domain, &single);
	return e == ERR_OK ? single.e : e;
}
