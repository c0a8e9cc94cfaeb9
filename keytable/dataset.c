/* Data sets: which kind a spec means, and what all kinds share. */
#include "keytable/dataset_priv.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>

static const struct dataset_kind *const kinds[] = { &dataset_kind_file, &dataset_kind_refile,
						    &dataset_kind_csl, &dataset_kind_lmdb,
						    &dataset_kind_mdb };

/* What OpenDKIM has and we do not, with the way to go. */
static const struct {
	const char *prefix;
	const char *advice;
} refused[] = {
	{ "db", "Berkeley DB is not supported; 'db_dump -p' shows its rows, write them to a file" },
	{ "dsn", "SQL is not supported; export the table to a file from cron and reload" },
	{ "ldap", "LDAP is not supported; export the entries to a file from cron and reload" },
	{ "ldaps", "LDAP is not supported; export the entries to a file from cron and reload" },
	{ "ldapi", "LDAP is not supported; export the entries to a file from cron and reload" },
	{ "lua", "Lua is not supported; write the rows to a file, or patterns to a refile:" },
	{ "memcache", "memcached is not supported; write the rows to a file and reload" },
	{ "socket", "socket: is not supported; write the rows to a file and reload" },
	{ "erlang", "Erlang is not supported; write the rows to a file and reload" },
	{ "repute", "reputation is not supported; remove the line" },
};

static enum err refuse(const char *name, struct slice prefix, struct err_detail *detail)
{
	char shown[40];

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (slice_ieq(prefix, slice_str(refused[i].prefix))) {
			err_detail_set(detail, "%s: %s: data set: %s", name, refused[i].prefix,
				       refused[i].advice);
			return ERR_NOT_SUPPORTED;
		}
	}
	err_detail_set(detail,
		       "%s: unknown data set type '%s:'; write file:/path, refile:/path, or csl: "
		       "before a list whose first entry holds ':'",
		       name, text_sanitize(prefix, shown, sizeof(shown)));
	return ERR_CONFIG;
}

/* OpenDKIM's rule: a prefix ends at a ':' in the first entry; without one a path is a file, the
 * rest is a list.
 * @return NULL: *ret_error and detail say why */
static const struct dataset_kind *choose_kind(const char *name, const char *spec,
					      const char **ret_rest, enum err *ret_error,
					      struct err_detail *detail)
{
	struct slice s = slice_str(spec);
	size_t colon = slice_find(s, ':');

	*ret_rest = spec;
	if (colon >= slice_find(s, ',')) { /* also when there is neither */
		if (!slice_ends(s, SLICE_LIT(".db")))
			return spec[0] == '/' ? &dataset_kind_file : &dataset_kind_csl;
		*ret_error = refuse(name, SLICE_LIT("db"), detail);
		return NULL;
	}
	*ret_rest = spec + colon + 1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_ieq(slice_sub(s, 0, colon), slice_str(kinds[i]->prefix)))
			return kinds[i];
	*ret_error = refuse(name, slice_sub(s, 0, colon), detail);
	return NULL;
}

enum err dataset_open(const char *name, const char *spec, unsigned flags, struct files *files,
		      struct dataset **ret_set, struct err_detail *detail)
{
	AUTO(dataset_free) struct dataset *set = NULL;
	const char *rest;
	enum err e = ERR_INTERNAL;
	const struct dataset_kind *kind = choose_kind(name, spec, &rest, &e, detail);

	if (kind == NULL)
		return e;
	set = calloc(1, sizeof(*set));
	if (set == NULL)
		return ERR_NOMEM;
	set->kind = kind;
	set->flags = flags;
	set->name = name;
	set->files = files;
	e = kind->open(set, name, rest, files, detail);
	if (e != ERR_OK)
		return e;
	*ret_set = set;
	set = NULL; /* handed over */
	return ERR_OK;
}

void dataset_free(struct dataset **set)
{
	if (*set == NULL)
		return;
	(*set)->kind->close(*set);
	free((*set)->origin);
	free((*set)->text);
	free(*set);
	*set = NULL;
}

enum err dataset_fault(const struct dataset *set, enum err e, struct err_detail *detail)
{
	return files_fault(set->files, set->name, e, detail);
}

bool dataset_is_pattern(const struct dataset *set)
{
	return set->kind->is_pattern;
}

bool dataset_is_list(const struct dataset *set)
{
	return set->kind->is_list;
}

bool dataset_is_live(const struct dataset *set)
{
	return set->kind->read != NULL;
}

size_t dataset_count(const struct dataset *set)
{
	return set->kind->count(set);
}

enum err dataset_next(const struct dataset *set, struct slice key, uint32_t *cursor,
		      struct dataset_row *ret_row)
{
	return set->kind->next(set, key, cursor, ret_row);
}

enum err dataset_read(const struct dataset *set, struct slice key, uint32_t *cursor,
		      struct buf *room, struct dataset_row *ret_row)
{
	return dataset_is_live(set) ? set->kind->read(set, key, cursor, room, ret_row)
				    : set->kind->next(set, key, cursor, ret_row);
}

enum err dataset_find(const struct dataset *set, struct slice key, struct slice *ret_value)
{
	struct dataset_row row;
	uint32_t cursor = 0;
	enum err e = dataset_next(set, key, &cursor, &row);

	if (e == ERR_OK)
		*ret_value = row.value;
	return e;
}

enum err dataset_holds(const struct dataset *set, struct slice key, bool *ret_holds)
{
	struct slice value;
	enum err e = set != NULL ? dataset_find(set, key, &value) : ERR_NOT_FOUND;

	*ret_holds = e == ERR_OK;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err dataset_find_all(const struct dataset *set, struct slice key,
			  bool (*fn)(void *ctx, struct slice value), void *ctx)
{
	struct dataset_row row;
	uint32_t cursor = 0;
	bool any = false;
	enum err e;

	while ((e = dataset_next(set, key, &cursor, &row)) == ERR_OK) {
		any = true;
		if (!fn(ctx, row.value))
			return ERR_OK;
	}
	return e == ERR_NOT_FOUND && any ? ERR_OK : e;
}

enum err dataset_each(const struct dataset *set,
		      bool (*fn)(void *ctx, struct slice key, struct slice value,
				 const char *origin),
		      void *ctx)
{
	return set->kind->each(set, fn, ctx);
}

/* As much text as a header field can name. */
#define LIST_BYTES_MAX ((size_t)256 * 1024)

static bool list_key(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct buf *list = ctx;

	(void)value;
	(void)origin;
	if (list->len != 0)
		buf_add_ch(list, ',');
	buf_add(list, key);
	return list->error == ERR_OK;
}

enum err dataset_list(const char *name, const char *spec, struct files *files, char **ret_list,
		      struct err_detail *detail)
{
	AUTO(dataset_free) struct dataset *set = NULL;
	struct buf list;
	struct slice text = SLICE_LIT("");
	char *copy = NULL;
	enum err e = spec != NULL ? dataset_open(name, spec, 0, files, &set, detail) : ERR_OK;

	if (e != ERR_OK || set == NULL) { /* an error, or no spec */
		if (e == ERR_OK)
			*ret_list = NULL;
		return e;
	}
	buf_init(&list, LIST_BYTES_MAX);
	e = dataset_each(set, list_key, &list);
	if (e == ERR_OK)
		e = buf_finish(&list, &text);
	if (e == ERR_OK) {
		copy = slice_dup(text);
		e = copy != NULL ? ERR_OK : ERR_NOMEM;
	}
	buf_done(&list);
	if (e == ERR_OK)
		*ret_list = copy;
	else
		err_detail_set(detail, "%s: %s", name, err_text(e));
	return e;
}
