/* The KeyTable over its data set. Rows are parsed when they are asked for and checked when the
 * table is opened. */
#include "keytable/keytable.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "dkim/domain.h"
#include "keytable/keyref.h"
#include "keytable/lmdbfile.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_PATH_BYTES_MAX 4096

struct keytable {
	struct dataset *set; /* NULL: a single key */
	char *single;	     /* "domain:selector:key" */
};

struct check {
	const struct dataset *set;
	enum err e;
	struct err_detail *detail;
	bool live;
	bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin); /* may be NULL */
	void *ctx;
};

/* Their text would have to be kept for as long as the key is in use. */
static const char pem_in_live[] = "the key itself stands in the table; write it to a file, and the "
				  "file's path here";

static bool check_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct check *check = ctx;
	struct keytable_row row = { .name = key };

	check->e = keyref_parse(value, &row, check->detail);
	if (check->e == ERR_OK && check->live && row.kind == KEYREF_PEM) {
		err_detail_set(check->detail, "%s", pem_in_live);
		check->e = ERR_CONFIG;
	}
	if (check->e == ERR_OK && key.len > LIMIT_KEY_NAME_BYTES) {
		err_detail_set(check->detail, "the name is longer than %u bytes",
			       LIMIT_KEY_NAME_BYTES);
		check->e = ERR_CONFIG;
	}
	if (check->e == ERR_OK && check->fn != NULL)
		return check->fn(check->ctx, &row, origin);
	if (check->e != ERR_OK) {
		char shown[80];

		err_detail_prefix(check->detail, "%s: key '%s': ", origin,
				  text_sanitize(key, shown, sizeof(shown)));
		check->e = dataset_fault(check->set, check->e, check->detail);
	}
	return check->e == ERR_OK;
}

static enum err check_rows(const struct keytable *table, struct check *check)
{
	enum err e = ERR_OK;

	check->set = table->set;
	if (table->set != NULL)
		e = dataset_each(table->set, check_row, check);
	return e == ERR_OK ? check->e : e;
}

enum err keytable_check(const struct keytable *table, struct err_detail *detail)
{
	struct check check = { .detail = detail, .live = keytable_is_live(table) };

	return check_rows(table, &check);
}

bool keytable_is_live(const struct keytable *table)
{
	return table->set != NULL && dataset_is_live(table->set);
}

enum err keytable_open(const char *spec, struct files *files, struct keytable **ret_table,
		       struct err_detail *detail)
{
	return keytable_open_each(spec, files, NULL, NULL, ret_table, detail);
}

enum err keytable_open_each(const char *spec, struct files *files,
			    bool (*fn)(void *ctx, const struct keytable_row *row,
				       const char *origin),
			    void *ctx, struct keytable **ret_table, struct err_detail *detail)
{
	struct check check = { .detail = detail, .fn = fn, .ctx = ctx };
	AUTO(keytable_free) struct keytable *t = calloc(1, sizeof(*t));
	enum err e;

	if (t == NULL)
		return ERR_NOMEM;
	e = dataset_open("KeyTable", spec, DATASET_NEED_VALUE | DATASET_UNIQUE | DATASET_LIVE,
			 files, &t->set, detail);
	if (e == ERR_OK && !dataset_is_live(t->set))
		e = check_rows(t, &check);
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

static enum err find_value(const struct keytable *table, struct slice name, struct buf *room,
			   struct slice *ret_value)
{
	struct dataset_row row;
	uint32_t cursor = 0;
	enum err e;

	if (table->set == NULL) {
		*ret_value = slice_str(table->single);
		return name.len == 0 ? ERR_OK : ERR_KEY_UNKNOWN;
	}
	e = dataset_read(table->set, name, &cursor, room, &row);
	if (e == ERR_OK)
		*ret_value = row.value;
	return e == ERR_NOT_FOUND ? ERR_KEY_UNKNOWN : e;
}

bool keytable_has(const struct keytable *table, struct slice name)
{
	struct buf room;
	struct slice value;
	enum err e;

	buf_init(&room, LMDBFILE_VALUE_BYTES_MAX);
	e = find_value(table, name, &room, &value);
	buf_done(&room);
	return e != ERR_KEY_UNKNOWN;
}

struct slice keytable_spelling(const struct keytable *table, struct slice name,
			       struct idn_spellings *room)
{
	idn_spell(name, room);
	if (room->count == 1) /* all but internationalised domains: nothing is to be looked up */
		return name;
	for (size_t i = 0; i < room->count; i++)
		if (keytable_has(table, room->names[i]))
			return room->names[i];
	return name;
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

/* The domain, and behind its NUL a copy of the value: a live set's does not last. */
static char *domain_and_value(struct slice domain, struct slice value, struct slice *ret_value)
{
	char *copy = malloc(domain.len + 1 + value.len);

	if (copy == NULL)
		return NULL;
	memcpy(copy, domain.ptr, domain.len);
	copy[domain.len] = '\0';
	memcpy(copy + domain.len + 1, value.ptr, value.len);
	*ret_value = slice_of(copy + domain.len + 1, value.len);
	return copy;
}

static enum err fill_row(struct slice name, struct slice value, struct slice from_domain, bool live,
			 struct keytable_row *ret_row, char **ret_domain, char **ret_ref)
{
	struct keytable_row row = { .name = name };
	struct idn_name room;
	struct slice domain;
	struct slice wire;
	char *filled_domain;
	char *filled_ref;
	bool follows;

	if (keyref_parse(value, &row, NULL) != ERR_OK || (live && row.kind == KEYREF_PEM))
		return ERR_CONFIG; /* others were checked at load */
	follows = slice_eq(row.domain, SLICE_LIT("%"));
	domain = follows ? from_domain : row.domain;
	if (!dkim_domain_valid(domain) || idn_for_wire(domain, &room, &wire) != ERR_OK)
		return ERR_DENIED;
	filled_domain = live ? domain_and_value(wire, value, &value) : slice_dup(wire);
	if (filled_domain != NULL && live)
		(void)!keyref_parse(value, &row, NULL); /* the same once more, over the copy */
	/* One directory for all spellings of a sender; a row's own domain is spelled as its path.
	 */
	filled_ref = filled_domain != NULL ? fill_ref(&row, follows ? wire : row.domain) : NULL;
	if (filled_ref == NULL) {
		free(filled_domain);
		return ERR_NOMEM;
	}
	*ret_row = row;
	*ret_domain = filled_domain;
	*ret_ref = filled_ref;
	return ERR_OK;
}

enum err keytable_find(const struct keytable *table, struct slice name, struct slice from_domain,
		       struct keytable_row *ret_row, char **ret_domain, char **ret_ref)
{
	struct buf room;
	struct slice value;
	enum err e;

	buf_init(&room, LMDBFILE_VALUE_BYTES_MAX);
	e = find_value(table, name, &room, &value);
	if (e == ERR_OK)
		e = fill_row(name, value, from_domain, keytable_is_live(table), ret_row, ret_domain,
			     ret_ref);
	buf_done(&room);
	return e;
}

/* Rows of a live table that cannot be read and that a walk passes over before it gives up. */
#define BAD_ROWS_MAX 5000u

struct each {
	size_t bad;
	bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin);
	void *ctx;
};

static bool each_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct each *each = ctx;
	struct keytable_row row = { .name = key };

	if (keyref_parse(value, &row, NULL) != ERR_OK)
		return ++each->bad < BAD_ROWS_MAX;
	return each->fn(each->ctx, &row, origin);
}

enum err keytable_each(const struct keytable *table,
		       bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin),
		       void *ctx)
{
	struct each each = { .fn = fn, .ctx = ctx };

	if (table->set == NULL) {
		(void)each_row(&each, SLICE_LIT(""), slice_str(table->single), "KeyFile");
		return ERR_OK;
	}
	return dataset_each(table->set, each_row, &each);
}
