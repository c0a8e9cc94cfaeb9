/* Public halves of the keys of a KeyTable. */
#include "tools/keyset.h"

#include "dkim/idn.h"
#include "keytable/keytable.h"
#include "signer/filekey.h"

#include <stdio.h>
#include <stdlib.h>

static void row_done(struct keyset_row *row)
{
	free(row->name);
	free(row->domain);
	free(row->selector);
	free(row->ref);
	pubtext_done(&row->key);
}

void keyset_done(struct keyset *set)
{
	for (size_t i = 0; i < set->count; i++)
		row_done(&set->rows[i]);
	free(set->rows);
	free(set->by_p);
	*set = (struct keyset){ .rows = NULL };
}

static bool grow(struct keyset *set)
{
	size_t room = set->room != 0 ? set->room * 2 : 16;
	struct keyset_row *rows;

	if (set->count < set->room)
		return true;
	rows = realloc(set->rows, room * sizeof(*rows));
	if (rows == NULL)
		return false;
	set->rows = rows;
	set->room = room;
	return true;
}

/* DNS is asked in A-labels. What is no name at all stays as it is, and is not found. */
static void make_ascii(char **domain)
{
	struct idn_name name;
	char *ascii = NULL;

	if (*domain != NULL && idn_to_ascii(slice_str(*domain), &name) == ERR_OK &&
	    !slice_ieq(slice_str(*domain), slice_of(name.text, name.len)))
		ascii = slice_dup(slice_of(name.text, name.len));
	if (ascii == NULL)
		return;
	free(*domain);
	*domain = ascii;
}

/* Takes the row over, also on failure. */
static enum err add_row(struct keyset *set, struct keyset_row *row)
{
	make_ascii(&row->domain);
	if (row->name == NULL || row->domain == NULL || row->selector == NULL || !grow(set)) {
		row_done(row);
		return ERR_NOMEM;
	}
	set->rows[set->count++] = *row;
	return ERR_OK;
}

static enum err read_file(struct filekey *key, struct pubkey **ret_key)
{
	return pubkey_from_spki(pubkey_spki(filekey_pubkey(key)), ret_key);
}

/* Safe or not is the daemon's question: a tool often runs as another user. */
static enum err read_public(struct slice ref, const char *path, enum keyref_kind kind,
			    struct tokens *tokens, struct pubkey **ret_key,
			    struct err_detail *detail)
{
	AUTO(filekey_free) struct filekey *key = NULL;
	enum err e = ERR_INTERNAL;

	switch (kind) {
	case KEYREF_URI:
		return tokens_read_public(tokens, ref, ret_key, detail);
	case KEYREF_FILE:
		e = filekey_from_path(path, false, &key, detail);
		break;
	case KEYREF_PEM:
		e = filekey_from_text(ref, &key, detail);
		break;
	}
	return e == ERR_OK ? read_file(key, ret_key) : e;
}

static void read_key(struct keyset_row *row, enum keyref_kind kind, struct tokens *tokens)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	enum err e = read_public(slice_str(row->ref), row->ref, kind, tokens, &key, &row->error);

	if (e == ERR_OK)
		e = pubtext_from_pubkey(key, &row->key);
	row->has_key = e == ERR_OK;
	row->why = e;
	if (e == ERR_OK) /* a detail means something together with an error only */
		row->error.text[0] = '\0';
	else if (row->error.text[0] == '\0')
		err_detail_set(&row->error, "%s", err_text(e));
}

struct load {
	struct keyset *set;
	const struct keytable *table;
	const char *only_domain;
	struct tokens *tokens;
	enum err e;
};

static bool load_row(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct load *load = ctx;
	bool any = slice_eq(row->domain, SLICE_LIT("%"));
	struct slice from = load->only_domain != NULL ? slice_str(load->only_domain) : row->domain;
	struct keyset_row made = { .any_domain = any && load->only_domain == NULL };
	struct keytable_row found;

	(void)origin;
	if (!any && load->only_domain != NULL && !idn_equal(row->domain, from))
		return true;
	made.name = slice_dup(row->name);
	made.selector = slice_dup(row->selector);
	if (made.any_domain)
		made.domain = slice_dup(row->domain);
	else
		load->e = keytable_find(load->table, row->name, from, &found, &made.domain,
					&made.ref);
	if (load->e == ERR_OK)
		load->e = add_row(load->set, &made);
	else
		row_done(&made);
	if (load->e == ERR_OK && !made.any_domain)
		read_key(&load->set->rows[load->set->count - 1], row->kind, load->tokens);
	return load->e == ERR_OK;
}

enum err keyset_load_table(struct keyset *set, const char *spec, struct files *files,
			   const char *only_domain, struct tokens *tokens,
			   struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *table = NULL;
	struct load load = { .set = set, .only_domain = only_domain, .tokens = tokens };
	enum err e = keytable_open(spec, files, &table, detail);

	load.table = table;
	if (e == ERR_OK)
		e = keytable_each(table, load_row, &load);
	return e == ERR_OK ? load.e : e;
}

enum err keyset_add_single(struct keyset *set, const char *domain, const char *selector,
			   const char *ref, struct tokens *tokens)
{
	struct keyset_row row = {
		.domain = strdup(domain),
		.selector = strdup(selector),
		.ref = ref != NULL ? strdup(ref) : NULL,
	};
	bool uri = slice_istarts(slice_str(ref), SLICE_LIT("pkcs11:"));
	char name[512];
	enum err e;

	(void)snprintf(name, sizeof(name), "%s._domainkey.%s", selector, domain);
	row.name = strdup(name);
	e = add_row(set, &row);
	if (e == ERR_OK && ref != NULL)
		read_key(&set->rows[set->count - 1], uri ? KEYREF_URI : KEYREF_FILE, tokens);
	return e;
}

static int compare_p(const struct keyset_row *a, struct slice p)
{
	struct slice own = buf_slice(&a->key.p);

	if (own.len != p.len)
		return own.len < p.len ? -1 : 1;
	return own.len != 0 ? memcmp(own.ptr, p.ptr, p.len) : 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct keyset_row *const *left = a;
	const struct keyset_row *const *right = b;

	return compare_p(*left, buf_slice(&(*right)->key.p));
}

static bool same_record(const struct keyset_row *a, const struct keyset_row *b)
{
	return slice_ieq(slice_str(a->domain), slice_str(b->domain)) &&
	       slice_ieq(slice_str(a->selector), slice_str(b->selector));
}

/* Equal keys stand side by side. The first of them is the twin of all others, and has one itself.
 */
static void find_twins(const struct keyset *set)
{
	struct keyset_row *first = NULL;

	for (size_t i = 0; i < set->count; i++) {
		struct keyset_row *row = set->by_p[i];
		struct slice p = buf_slice(&row->key.p);

		if (first == NULL || p.len == 0 || compare_p(first, p) != 0) {
			first = row;
			continue;
		}
		if (same_record(first, row))
			continue;
		row->twin = first;
		if (first->twin == NULL)
			first->twin = row;
	}
}

enum err keyset_index(struct keyset *set)
{
	free(set->by_p);
	set->by_p = calloc(set->count != 0 ? set->count : 1, sizeof(struct keyset_row *));
	if (set->by_p == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < set->count; i++)
		set->by_p[i] = &set->rows[i];
	if (set->count != 0)
		qsort(set->by_p, set->count, sizeof(struct keyset_row *), compare_rows);
	find_twins(set);
	return ERR_OK;
}

const struct keyset_row *keyset_owner(const struct keyset *set, struct slice p)
{
	size_t low = 0;
	size_t high = set->count;

	while (low < high && p.len != 0) {
		size_t mid = low + (high - low) / 2;
		int order = compare_p(set->by_p[mid], p);

		if (order == 0)
			return set->by_p[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
