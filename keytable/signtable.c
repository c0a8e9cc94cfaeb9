/* The SigningTable: which keys sign for an author. */
#include "keytable/signtable.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"
#include "dkim/idn.h"
#include "keytable/lmdbfile.h"
#include "keytable/rowdoubt.h"

#include <stdlib.h>

struct signtable {
	struct dataset *set;
};

/* "keyname[:signer]" */
static void split_value(struct slice value, struct slice *ret_key_name, struct slice *ret_signer)
{
	size_t colon = slice_find(value, ':');

	*ret_key_name = slice_trim(slice_sub(value, 0, colon));
	*ret_signer = slice_trim(slice_sub(value, colon + 1, value.len));
}

struct check {
	bool (*known)(void *ctx, struct slice key_name); /* NULL: only the form */
	void *ctx;
	enum err e;
	struct err_detail *detail;
	bool live;
	bool only_known; /* who has the table for its look-ups tells the rest */
	const struct dataset *set;
};

static bool has_upper(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
			return true;
	return false;
}

/* @return what is wrong with the form of a row; NULL: nothing */
static const char *wrong_form(bool live, struct slice key, struct slice key_name,
			      struct slice signer)
{
	if (live && has_upper(key))
		return "is never found: keys of an lmdb: SigningTable stand in lower case; build "
		       "it with hsmdkim-mktable(8)";
	if (key_name.len == 0)
		return "has no key name; write name or name:signer";
	if (signer.len != 0 && slice_find(signer, '@') == signer.len)
		return "has a signer without '@'; write user@domain or @domain (OpenDKIM would "
		       "send this mail unsigned without a word)";
	return NULL;
}

static bool check_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct check *check = ctx;
	struct slice key_name;
	struct slice signer;
	const char *why = NULL;
	char shown[80];
	char shown_key[80];

	split_value(value, &key_name, &signer);
	if (!check->only_known)
		why = wrong_form(check->live, key, key_name, signer);
	if (why == NULL && check->known != NULL && key_name.len != 0 &&
	    !slice_eq(key_name, SLICE_LIT("%")) && !check->known(check->ctx, key_name))
		why = "names a key that is not in the KeyTable; add it there, or mend the name";
	if (why == NULL)
		return true;
	err_detail_set(check->detail, "%s: '%s' -> '%s' %s", origin,
		       text_sanitize(key, shown_key, sizeof(shown_key)),
		       text_sanitize(value, shown, sizeof(shown)), why);
	check->e = check->set != NULL ? dataset_fault(check->set, ERR_CONFIG, check->detail)
				      : ERR_CONFIG;
	return check->e == ERR_OK;
}

enum err signtable_open(const char *spec, struct files *files, struct signtable **ret_table,
			struct err_detail *detail)
{
	AUTO(signtable_free) struct signtable *t = calloc(1, sizeof(*t));
	enum err e;

	if (t == NULL)
		return ERR_NOMEM;
	e = dataset_open("SigningTable", spec, DATASET_ICASE | DATASET_NEED_VALUE | DATASET_LIVE,
			 files, &t->set, detail);
	if (e == ERR_OK && !dataset_is_live(t->set))
		e = signtable_check(t, NULL, NULL, detail);
	if (e != ERR_OK)
		return e;
	*ret_table = t;
	t = NULL; /* handed over */
	return ERR_OK;
}

void signtable_free(struct signtable **table)
{
	if (*table == NULL)
		return;
	dataset_free(&(*table)->set);
	free(*table);
	*table = NULL;
}

bool signtable_is_pattern(const struct signtable *table)
{
	return dataset_is_pattern(table->set);
}

bool signtable_is_live(const struct signtable *table)
{
	return dataset_is_live(table->set);
}

size_t signtable_count(const struct signtable *table)
{
	return dataset_count(table->set);
}

enum err signtable_check(const struct signtable *table,
			 bool (*known)(void *ctx, struct slice key_name), void *ctx,
			 struct err_detail *detail)
{
	struct check check = { .known = known,
			       .ctx = ctx,
			       .detail = detail,
			       .live = dataset_is_live(table->set),
			       .set = table->set };
	enum err e = dataset_each(table->set, check_row, &check);

	return e == ERR_OK ? check.e : e;
}

enum err signtable_check_spec(const char *spec, struct files *files,
			      bool (*known)(void *ctx, struct slice key_name), void *ctx,
			      struct err_detail *detail)
{
	AUTO(dataset_free) struct dataset *set = NULL;
	struct check check = { .known = known, .ctx = ctx, .detail = detail, .only_known = true };
	enum err e = dataset_open("SigningTable", spec,
				  DATASET_ICASE | DATASET_LIVE | DATASET_WALKED, files, &set, NULL);

	if (e != ERR_OK)
		return e == ERR_NOMEM ? e : ERR_OK; /* signtable_open() says it */
	check.set = set;
	if (!dataset_is_live(set))
		e = dataset_each(set, check_row, &check);
	return e == ERR_OK ? check.e : e;
}

struct doubting {
	bool is_pattern;
	bool (*fn)(void *ctx, struct slice key, const char *origin, const char *what);
	void *ctx;
};

static bool doubt_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	const struct doubting *d = ctx;
	const char *what = rowdoubt_signing(key, d->is_pattern);

	(void)value;
	return what == NULL || d->fn(d->ctx, key, origin, what);
}

enum err signtable_each_doubt(const struct signtable *table,
			      bool (*fn)(void *ctx, struct slice key, const char *origin,
					 const char *what),
			      void *ctx)
{
	struct doubting d = { dataset_is_pattern(table->set), fn, ctx };

	return dataset_each(table->set, doubt_row, &d);
}

/* One look-up of an author, while it runs. */
struct search {
	const struct signtable *table;
	struct slice domain;	    /* as the message spells it */
	struct idn_spellings hosts; /* as the table may spell it */
	bool multiple;
	struct arena *arena;
	struct signtable_match *matches;
	size_t max;
	size_t count;
};

/* Every '%' of text becomes the domain. */
static enum err fill(const struct search *s, struct slice text, struct slice *ret_filled)
{
	size_t marks = 0;
	size_t len = 0;
	char *filled;

	for (size_t i = 0; i < text.len; i++)
		marks += text.ptr[i] == '%';
	if (marks == 0) {
		*ret_filled = text;
		return ERR_OK;
	}
	if (__builtin_mul_overflow(marks, s->domain.len, &len) ||
	    __builtin_add_overflow(len, text.len, &len))
		return ERR_LIMIT;
	filled = arena_alloc(s->arena, len);
	if (filled == NULL)
		return ERR_NOMEM;
	*ret_filled = slice_of(filled, text.len - marks + marks * s->domain.len);
	for (size_t i = 0; i < text.len; i++) {
		struct slice piece = text.ptr[i] == '%' ? s->domain : slice_sub(text, i, i + 1);

		memcpy(filled, piece.ptr, piece.len);
		filled += piece.len;
	}
	return ERR_OK;
}

static void read_match(const struct search *s, struct slice value, struct signtable_match *ret_m)
{
	split_value(value, &ret_m->key_name, &ret_m->identity);
	if (slice_eq(ret_m->key_name, SLICE_LIT("%")))
		ret_m->key_name = s->domain;
}

static enum err add_match(struct search *s, struct slice value)
{
	struct signtable_match m;
	enum err e = ERR_OK;

	read_match(s, value, &m);
	for (size_t i = 0; i < s->count; i++)
		if (slice_eq(s->matches[i].key_name, m.key_name))
			return ERR_OK;
	if (s->count == s->max)
		return ERR_LIMIT;
	if (signtable_is_live(s->table)) { /* a live set's row does not last */
		e = arena_dup(s->arena, value, &value);
		if (e == ERR_OK)
			read_match(s, value, &m);
	}
	if (e == ERR_OK)
		e = fill(s, m.identity, &m.identity);
	if (e == ERR_OK)
		s->matches[s->count++] = m;
	return e;
}

/* A live set's row was not checked at load. */
static enum err check_live_row(const struct dataset_row *row)
{
	struct check check = { .e = ERR_OK };

	(void)check_row(&check, row->key, row->value, "");
	return check.e;
}

/* @return ERR_OK also when nothing matches */
static enum err look_up(struct search *s, struct slice key)
{
	struct dataset_row row;
	struct buf room;
	uint32_t cursor = 0;
	enum err e = ERR_OK;

	if (!s->multiple && s->count > 0)
		return ERR_OK;
	buf_init(&room, LMDBFILE_VALUE_BYTES_MAX);
	while (e == ERR_OK && (s->multiple || cursor == 0)) {
		e = dataset_read(s->table->set, key, &cursor, &room, &row);
		if (e == ERR_OK && signtable_is_live(s->table))
			e = check_live_row(&row);
		if (e == ERR_OK)
			e = add_match(s, row.value);
	}
	buf_done(&room);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* user@host in each spelling, then host. */
static enum err look_up_hosts(struct search *s, char *at, size_t user_len)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < s->hosts.count && e == ERR_OK; i++) {
		struct slice host = s->hosts.names[i];

		memcpy(at + user_len, host.ptr, host.len);
		e = look_up(s, slice_of(at, user_len + host.len));
	}
	for (size_t i = 0; i < s->hosts.count && e == ERR_OK; i++)
		e = look_up(s, s->hosts.names[i]);
	return e;
}

/* "local@", and room behind it for the longest spelling. */
static char *user_at(struct search *s, struct slice local)
{
	size_t longest = 1;
	char *at;

	for (size_t i = 0; i < s->hosts.count; i++)
		if (s->hosts.names[i].len > longest)
			longest = s->hosts.names[i].len;
	at = arena_alloc(s->arena, local.len + 1 + longest);
	if (at == NULL)
		return NULL;
	if (local.len != 0)
		memcpy(at, local.ptr, local.len);
	at[local.len] = '@';
	return at;
}

/* OpenDKIM's order: user@host, host, then user@.parent and .parent for each parent, user@*, *. */
static enum err look_up_forms(struct search *s, struct slice local)
{
	char *at = user_at(s, local);
	size_t user_len = local.len + 1;
	enum err e;

	if (at == NULL)
		return ERR_NOMEM;
	do
		e = look_up_hosts(s, at, user_len);
	while (e == ERR_OK && idn_spellings_parent(&s->hosts, true));
	at[user_len] = '*';
	if (e == ERR_OK)
		e = look_up(s, slice_of(at, user_len + 1));
	return e == ERR_OK ? look_up(s, SLICE_LIT("*")) : e;
}

/* The first row, in file order, that matches one of the addresses. */
static enum err next_pattern(const struct search *s, const struct slice *addresses,
			     uint32_t *cursor, struct dataset_row *ret_row)
{
	uint32_t from = *cursor;
	bool found = false;

	for (size_t i = 0; i < s->hosts.count; i++) {
		struct dataset_row row;
		uint32_t behind = from;
		enum err e = dataset_next(s->table->set, addresses[i], &behind, &row);

		if (e != ERR_OK && e != ERR_NOT_FOUND)
			return e;
		if (e == ERR_NOT_FOUND || (found && behind >= *cursor))
			continue;
		found = true;
		*cursor = behind;
		*ret_row = row;
	}
	return found ? ERR_OK : ERR_NOT_FOUND;
}

static enum err look_up_patterns(struct search *s, struct slice local)
{
	struct slice addresses[IDN_SPELLINGS_MAX] = { { NULL, 0 } };
	struct dataset_row row = { 0 };
	uint32_t cursor = 0;
	enum err e = ERR_OK;

	for (size_t i = 0; i < s->hosts.count; i++) {
		struct slice host = s->hosts.names[i];
		char *at = user_at(s, local);

		if (at == NULL)
			return ERR_NOMEM;
		memcpy(at + local.len + 1, host.ptr, host.len);
		addresses[i] = slice_of(at, local.len + 1 + host.len);
	}
	while (e == ERR_OK && (s->multiple || s->count == 0)) {
		e = next_pattern(s, addresses, &cursor, &row);
		if (e == ERR_OK)
			e = add_match(s, row.value);
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err signtable_find(const struct signtable *table, struct slice local, struct slice domain,
			bool multiple, struct arena *arena, struct signtable_match *matches,
			size_t max, size_t *ret_count)
{
	struct search s = { .table = table,
			    .domain = domain,
			    .multiple = multiple,
			    .arena = arena,
			    .matches = matches,
			    .max = max };
	enum err e;

	if (domain.len == 0) {
		*ret_count = 0;
		return ERR_OK;
	}
	idn_spell(domain, &s.hosts);
	e = signtable_is_pattern(table) ? look_up_patterns(&s, local) : look_up_forms(&s, local);
	if (e == ERR_OK)
		*ret_count = s.count;
	return e;
}
