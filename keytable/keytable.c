/* The KeyTable over its data set. Rows are parsed when they are asked for and checked when the
 * table is opened. */
#include "keytable/keytable.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "dkim/address.h"
#include "keytable/keyref.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_PATH_BYTES_MAX 4096

struct keytable {
	struct dataset *set; /* NULL: a single key */
	char *single;	     /* "domain:selector:key" */
};

struct check {
	enum err e;
	struct err_detail *detail;
};

static bool check_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct check *check = ctx;
	struct keytable_row row = { .name = key };

	check->e = keyref_parse(value, &row, check->detail);
	if (check->e == ERR_OK && key.len > LIMIT_KEY_NAME_BYTES) {
		err_detail_set(check->detail, "the name is longer than %u bytes",
			       LIMIT_KEY_NAME_BYTES);
		check->e = ERR_CONFIG;
	}
	if (check->e != ERR_OK) {
		char shown[80];

		err_detail_prefix(check->detail, "%s: key '%s': ", origin,
				  text_sanitize(key, shown, sizeof(shown)));
	}
	return check->e == ERR_OK;
}

enum err keytable_open(const char *spec, struct files *files, struct keytable **ret_table,
		       struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *t = calloc(1, sizeof(*t));
	struct check check = { ERR_OK, detail };
	enum err e;

	if (t == NULL)
		return ERR_NOMEM;
	e = dataset_open("KeyTable", spec, DATASET_NEED_VALUE | DATASET_UNIQUE, files, &t->set,
			 detail);
	if (e == ERR_OK)
		e = dataset_each(t->set, check_row, &check);
	if (e == ERR_OK)
		e = check.e;
	if (e != ERR_OK)
		return e;
	*ret_table = t;
	t = NULL; /* handed over */
	return ERR_OK;
}

enum err keytable_open_single(const char *domain, const char *selector, const char *key,
			      struct keytable **ret_table, struct err_detail *detail)
{
	struct keytable *t = calloc(1, sizeof(*t));
	size_t room = strlen(domain) + strlen(selector) + strlen(key) + 3;
	char *value = malloc(room);
	struct keytable_row row;
	enum err e = ERR_NOMEM;

	if (t != NULL && value != NULL) {
		(void)snprintf(value, room, "%s:%s:%s", domain, selector, key);
		e = keyref_parse(slice_str(value), &row, detail);
		if (e != ERR_OK)
			err_detail_prefix(detail, "Domain, Selector, KeyFile: ");
	}
	if (e != ERR_OK) {
		free(value);
		free(t);
		return e;
	}
	t->single = value;
	*ret_table = t;
	return ERR_OK;
}

void keytable_free(struct keytable **table)
{
	if (*table == NULL)
		return;
	dataset_free(&(*table)->set);
	free((*table)->single);
	free(*table);
	*table = NULL;
}

size_t keytable_count(const struct keytable *table)
{
	return table->set != NULL ? dataset_count(table->set) : 1;
}

static enum err find_value(const struct keytable *table, struct slice name, struct slice *ret_value)
{
	enum err e;

	if (table->set == NULL) {
		*ret_value = slice_str(table->single);
		return name.len == 0 ? ERR_OK : ERR_KEY_UNKNOWN;
	}
	e = dataset_find(table->set, name, ret_value);
	return e == ERR_NOT_FOUND ? ERR_KEY_UNKNOWN : e;
}

/* OpenDKIM's rule: only a path from the root has a place for the domain, and d= goes there. */
static char *fill_ref(const struct keytable_row *row, struct slice domain)
{
	struct buf path;
	char *filled;

	if (row->kind != KEYREF_FILE || row->ref.ptr[0] != '/')
		return slice_dup(row->ref);
	buf_init(&path, KEY_PATH_BYTES_MAX);
	for (size_t i = 0; i < row->ref.len; i++)
		if (row->ref.ptr[i] == '%')
			buf_add(&path, domain);
		else
			buf_add_ch(&path, row->ref.ptr[i]);
	filled = path.error == ERR_OK ? slice_dup(buf_slice(&path)) : NULL;
	buf_done(&path);
	return filled;
}

enum err keytable_find(const struct keytable *table, struct slice name, struct slice from_domain,
		       struct keytable_row *ret_row, char **ret_domain, char **ret_ref)
{
	struct keytable_row row = { .name = name };
	struct slice value;
	struct slice domain;
	char *filled_domain;
	char *filled_ref;
	enum err e = find_value(table, name, &value);

	if (e != ERR_OK)
		return e;
	if (keyref_parse(value, &row, NULL) != ERR_OK)
		return ERR_KEY_UNKNOWN; /* checked at load: a set that reads at look-up time changed
					 */
	domain = slice_eq(row.domain, SLICE_LIT("%")) ? from_domain : row.domain;
	if (!dkim_domain_valid(domain))
		return ERR_DENIED;
	filled_domain = slice_dup(domain);
	filled_ref = fill_ref(&row, domain);
	if (filled_domain == NULL || filled_ref == NULL) {
		free(filled_domain);
		free(filled_ref);
		return ERR_NOMEM;
	}
	*ret_row = row;
	*ret_domain = filled_domain;
	*ret_ref = filled_ref;
	return ERR_OK;
}

struct each {
	bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin);
	void *ctx;
};

static bool each_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	const struct each *each = ctx;
	struct keytable_row row = { .name = key };

	return keyref_parse(value, &row, NULL) != ERR_OK || each->fn(each->ctx, &row, origin);
}

enum err keytable_each(const struct keytable *table,
		       bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin),
		       void *ctx)
{
	struct each each = { fn, ctx };

	if (table->set == NULL) {
		(void)each_row(&each, SLICE_LIT(""), slice_str(table->single), "KeyFile");
		return ERR_OK;
	}
	return dataset_each(table->set, each_row, &each);
}
