/* Settings -> source of key records: see keysource.h. */
#include "daemon/keysource.h"

#include <stdio.h>
#include <stdlib.h>

#define FD_PATH_BYTES 32u

static enum err open_file(const char *path, struct files *files, struct dns_source **ret_source,
			  struct err_detail *detail)
{
	struct slice text;
	char *copy;
	enum err err = files_map(files, path, &text, detail);

	if (err != ERR_OK)
		return err;
	copy = slice_dup(text); /* for the life of the process, as the source */
	if (copy == NULL)
		return ERR_NOMEM;
	err = dns_source_new_file(slice_of(copy, text.len), ret_source);
	if (err != ERR_OK)
		free(copy);
	return err;
}

/* libunbound reads files by name; ours are descriptors. @return NULL for NULL */
static const char *fd_path(const struct files *files, const char *path, char *out)
{
	if (path == NULL)
		return NULL;
	for (size_t i = 0; i < files_count(files); i++) {
		if (strcmp(files_path(files, i), path) == 0) {
			(void)snprintf(out, FD_PATH_BYTES, "/proc/self/fd/%d", files_fd(files, i));
			return out;
		}
	}
	return path;
}

static enum err open_resolver(const struct settings *s, const struct files *files,
			      struct dns_source **ret_source, struct err_detail *detail)
{
	char anchor[FD_PATH_BYTES];
	char unbound[FD_PATH_BYTES];
	const struct dns_resolver_config config = {
		.nameservers = s->nameservers,
		.trust_anchor_file = fd_path(files, s->trust_anchor_file, anchor),
		.unbound_config = fd_path(files, s->resolver_configuration, unbound),
	};
	struct dns_resolver *resolver;
	enum err err = dns_resolver_new(&config, &resolver, detail);

	if (err != ERR_OK)
		return err;
	err = dns_resolver_warm_up(resolver);
	if (err != ERR_OK) {
		err_detail_set(detail, "libunbound cannot start: check ResolverConfiguration and "
				       "TrustAnchorFile");
		dns_resolver_free(&resolver);
		return err;
	}
	return dns_source_new_resolver(resolver, ret_source);
}

enum err keysource_open(const struct settings *settings, struct files *files,
			struct dns_source **ret_source, bool *ret_dnssec, struct err_detail *detail)
{
	*ret_source = NULL;
	*ret_dnssec = false;
	if ((settings->mode & MODE_VERIFY) == 0)
		return ERR_OK;
	if (settings->test_public_keys != NULL)
		return open_file(settings->test_public_keys, files, ret_source, detail);
	*ret_dnssec = settings->trust_anchor_file != NULL;
	return open_resolver(settings, files, ret_source, detail);
}
