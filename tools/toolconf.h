/* What the tools take from the configuration: settings, tables, the token, the resolver. */
#ifndef TOOLS_TOOLCONF_H
#define TOOLS_TOOLCONF_H

#include "config/files.h"
#include "config/settings.h"
#include "dns/resolver.h"
#include "tools/keyset.h"

#define TOOLCONF_DEFAULT_PATH "/etc/hsmdkim.conf"

struct toolconf {
	struct settings *settings;
	struct files *files;
	struct tokens *tokens; /**< opened when the first token key is read */
};

struct toolconf_request {
	const char *program;	/**< for warnings */
	const char *config;	/**< NULL: TOOLCONF_DEFAULT_PATH when it is there, else defaults */
	const char *module;	/**< beats PKCS11Module; NULL: none */
	const char *pin_source; /**< beats PKCS11PinSource; NULL: none */
	bool act_as_signer;	/**< use tokens as the daemon does: tokens_act_as_signer() */
};

/** @return ERR_CONFIG, ERR_IO with FILE and line; warnings go to standard error */
NODISCARD enum err toolconf_open(const struct toolconf_request *request, struct toolconf **ret_conf,
				 struct err_detail *detail);
void toolconf_free(struct toolconf **conf);

/** @param nameservers beats the setting; NULL: the setting */
NODISCARD enum err toolconf_resolver(const struct toolconf *conf, const char *nameservers,
				     struct dns_resolver **ret_resolver, struct err_detail *detail);

/** DNSTimeout, within what one question may take. */
int toolconf_dns_timeout_ms(const struct toolconf *conf);

/** The keys of Domain, Selector and KeyFile; what is not NULL beats its setting. */
NODISCARD enum err toolconf_add_single(const struct toolconf *conf, const char *domain,
				       const char *selector, const char *key, struct keyset *set,
				       struct err_detail *detail);

#endif
