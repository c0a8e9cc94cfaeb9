/* Settings -> source of key records: see keysource.h. */
#include "daemon/keysource.h"

#include "keytable/dataset.h"

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

/* TestDNSData. It stays for the life of the process, so it has its own copy of the generation's
 * files. */
struct table {
	struct files *files;
	struct dataset *set;
};

static void table_free(struct table **table)
{
	if (*table == NULL)
		return;
	dataset_free(&(*table)->set);
	files_free(&(*table)->files);
	free(*table);
	*table = NULL;
}

static enum err open_records(const char *spec, struct files *files, struct dataset **ret_set,
			     struct err_detail *detail)
{
	return dataset_open("TestDNSData", spec, DATASET_ICASE | DATASET_NEED_VALUE, files, ret_set,
			    detail);
}

enum err keysource_check(const struct settings *settings, struct files *files,
			 struct err_detail *detail)
{
	AUTO(dataset_free) struct dataset *set = NULL;

	if (settings->test_dns_data == NULL)
		return ERR_OK;
	return open_records(settings->test_dns_data, files, &set, detail);
}

static enum err find_record(void *ctx, struct slice name, struct slice *ret_record)
{
	const struct table *table = ctx;

	return dataset_find(table->set, name, ret_record);
}

static enum err open_table(const char *spec, const struct files *files,
			   struct dns_source **ret_source, struct err_detail *detail)
{
	AUTO(table_free) struct table *table = calloc(1, sizeof(*table));
	enum err err = ERR_OK;

	if (table == NULL)
		return ERR_NOMEM;
	table->files = files_new_closed();
	if (table->files == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; err == ERR_OK && i < files_count(files); i++)
		err = files_share(files, i, table->files);
	if (err == ERR_OK)
		err = open_records(spec, table->files, &table->set, detail);
	if (err == ERR_OK)
		err = dns_source_new_table(&(struct dns_table){ find_record, table }, ret_source);
	if (err != ERR_OK)
		return err;
	table = NULL; /* the source's */
	return ERR_OK;
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
	if (settings->test_dns_data != NULL)
		return open_table(settings->test_dns_data, files, ret_source, detail);
	*ret_dnssec = settings->trust_anchor_file != NULL;
	return open_resolver(settings, files, ret_source, detail);
}
