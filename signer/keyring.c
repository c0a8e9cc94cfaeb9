/* One generation in the signer process. */
#include "base/hash.h"
#include "base/text.h"
#include "signer/keyring_priv.h"

#include <stdlib.h>

/* Opened keys that are kept: a newcomer takes the place of what hashes to the same one. */
#define PLACES 65536u

/* ---- tokens ---- */

static struct tokenlane *same_token(const struct keyring *before, const struct tokentable_row *row,
				    struct files *files)
{
	for (size_t i = 0; before != NULL && i < before->token_count; i++)
		if (tokenlane_same(before->tokens[i], row, files))
			return tokenlane_ref(before->tokens[i]);
	return NULL;
}

static enum err open_tokens(struct keyring *r, const struct keyring *before,
			    const struct pin_memory *memory, struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *table = NULL;
	enum err e = keyring_read_tokens(r, &table, detail);
	size_t count = table != NULL ? table->count : 0; /* none: gathered, and refused below */

	if (e != ERR_OK)
		return e;
	r->tokens = calloc(count + 1, sizeof(struct tokenlane *));
	if (r->tokens == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		const struct tokentable_row *row = &table->rows[i];
		struct tokenlane **to = &r->tokens[r->token_count];

		*to = same_token(before, row, r->files);
		if (*to == NULL)
			e = files_fault(r->files, "TokenTable",
					tokenlane_new(row, r->files, memory, to, detail), detail);
		if (*to != NULL)
			r->token_count++;
	}
	return e == ERR_OK ? files_gathered(r->files, detail) : e;
}

/* ---- life ---- */

enum err keyring_new(uint32_t number, struct settings *settings, struct files *files,
		     const struct keyring *before, const struct pin_memory *memory,
		     struct keyring **ret_ring, struct err_detail *detail)
{
	AUTO(keyring_unref) struct keyring *r = calloc(1, sizeof(*r));
	enum err e;

	if (r == NULL) {
		settings_free(&settings);
		files_free(&files);
		return ERR_NOMEM;
	}
	atomic_init(&r->refs, 1);
	r->number = number;
	r->settings = settings;
	r->files = files;
	r->policy = signkey_policy_of(settings);
	r->places = calloc(PLACES, sizeof(*r->places));
	e = r->places != NULL ? keyring_open_tables(r, detail) : ERR_NOMEM;
	if (e == ERR_OK)
		e = open_tokens(r, before, memory, detail);
	if (e != ERR_OK)
		return e;
	*ret_ring = r;
	r = NULL; /* handed over */
	return ERR_OK;
}

struct keyring *keyring_ref(struct keyring *ring)
{
	atomic_fetch_add(&ring->refs, 1);
	return ring;
}

static void empty(struct place *p)
{
	signkey_unref(&p->key);
	free(p->from_domain);
	p->from_domain = NULL;
}

void keyring_unref(struct keyring **ring)
{
	struct keyring *r;

	if (ring == NULL || *ring == NULL)
		return;
	r = *ring;
	*ring = NULL;
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	for (size_t i = 0; r->places != NULL && i < PLACES; i++)
		empty(&r->places[i]);
	for (size_t i = 0; i < r->token_count; i++)
		tokenlane_unref(&r->tokens[i]);
	free(r->places);
	free(r->tokens);
	keytable_free(&r->table);
	settings_free(&r->settings);
	files_free(&r->files);
	free(r);
}

uint32_t keyring_number(const struct keyring *ring)
{
	return ring->number;
}

const struct settings *keyring_settings(const struct keyring *ring)
{
	return ring->settings;
}

const struct signkey_policy *keyring_policy(const struct keyring *ring)
{
	return &ring->policy;
}

size_t keyring_key_count(const struct keyring *ring)
{
	return ring->table != NULL ? keytable_count(ring->table) : 0;
}

size_t keyring_token_count(const struct keyring *ring)
{
	return ring->token_count;
}

struct tokenlane *keyring_token(const struct keyring *ring, size_t i)
{
	return ring->tokens[i];
}

/* ---- keys ---- */

/* Does "%" in the row make another key for each From domain? */
static bool follows_from(const struct keytable_row *row)
{
	return slice_eq(row->domain, SLICE_LIT("%")) ||
	       (row->kind == KEYREF_FILE && slice_find(row->ref, '%') != row->ref.len);
}

static enum err make_key(struct keyring *r, struct slice name, struct slice from_domain,
			 struct signkey **ret_key, bool *ret_follows, struct err_detail *detail)
{
	struct keytable_row row;
	char *domain = NULL;
	char *ref = NULL;
	char shown[128];
	enum err e = ERR_KEY_UNKNOWN;

	if (r->table != NULL)
		e = keytable_find(r->table, name, from_domain, &row, &domain, &ref);
	if (e == ERR_OK)
		*ret_follows = follows_from(&row);
	if (e == ERR_OK)
		e = signkey_new(&row, domain, ref, r->token_count, ret_key, detail);
	else
		err_detail_set(detail, "key '%s': %s", text_sanitize(name, shown, sizeof(shown)),
			       err_text(e));
	free(domain);
	free(ref);
	return e;
}

static struct place *place_of(const struct keyring *ring, struct slice name,
			      struct slice from_domain)
{
	return &ring->places[(hash_bytes(name) * 31 + hash_bytes(from_domain)) % PLACES];
}

static bool is_of(const struct place *p, struct slice name, struct slice from_domain)
{
	return p->key != NULL && slice_eq(slice_str(p->key->name), name) &&
	       slice_eq(slice_str(p->from_domain), from_domain);
}

static bool holds(const struct place *p, struct slice name, struct slice from_domain)
{
	return is_of(p, name, from_domain) && !atomic_load(&p->key->stale);
}

enum err keyring_find(struct keyring *ring, struct slice name, struct slice from_domain,
		      struct signkey **ret_key, struct err_detail *detail)
{
	static const struct slice any = SLICE_INIT(""); /* a row without "%" is one key for all */
	struct idn_spellings names;
	struct idn_name wire;
	struct signkey *key = NULL;
	bool follows = false;
	struct place *p;
	enum err e;

	/* One key for all spellings of its name and of the domain that it follows. */
	if (ring->table != NULL)
		name = keytable_spelling(ring->table, name, &names);
	if (idn_for_wire(from_domain, &wire, &from_domain) == ERR_NOMEM)
		return ERR_NOMEM;
	p = place_of(ring, name, any);
	if (!holds(p, name, any))
		p = place_of(ring, name, from_domain);
	if (holds(p, name, any) || holds(p, name, from_domain)) {
		*ret_key = signkey_ref(p->key);
		return ERR_OK;
	}
	e = make_key(ring, name, from_domain, &key, &follows, detail);
	if (e != ERR_OK)
		return e;
	if (follows &&
	    from_domain.len == 0) { /* its place would be the one of rows that fit every domain */
		*ret_key = key;
		return ERR_OK;
	}
	p = place_of(ring, name, follows ? from_domain : any);
	empty(p);
	p->from_domain = slice_dup(follows ? from_domain : any);
	if (p->from_domain != NULL)
		p->key = signkey_ref(key);
	*ret_key = key;
	return ERR_OK;
}

struct collecting {
	struct slice *names;
	size_t max;
	size_t count;
};

static bool collect_name(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct collecting *c = ctx;

	(void)origin;
	if (!follows_from(row))
		c->names[c->count++] = row->name;
	return c->count < c->max;
}

size_t keyring_fixed_names(const struct keyring *ring, struct slice *names, size_t max)
{
	struct collecting c = { names, max, 0 };

	/* The names of a live table do not last, and its keys may be very many. */
	if (ring->table == NULL || max == 0 || keytable_is_live(ring->table) ||
	    keytable_each(ring->table, collect_name, &c) != ERR_OK)
		return 0;
	return c.count;
}

struct looking {
	const struct keyring *ring;
	bool (*fn)(void *ctx, const struct keyring_view *view);
	void *ctx;
	bool stopped;
};

static bool look_at_row(void *ctx, const struct keytable_row *row, const char *origin)
{
	static const struct slice any = SLICE_INIT("");
	struct looking *l = ctx;
	const struct place *p = place_of(l->ring, row->name, any);
	const struct keyring_view view = {
		.name = row->name,
		.domain = row->domain,
		.selector = row->selector,
		.kind = row->kind,
		.ref = row->kind == KEYREF_PEM ? any : row->ref,
		.key = is_of(p, row->name, any) ? p->key : NULL, /* stale: with what it failed */
	};

	(void)origin;
	l->stopped = !l->fn(l->ctx, &view);
	return !l->stopped;
}

static void look_at_row_named(struct looking *l, struct slice name)
{
	struct keytable_row row;
	char *domain = NULL;
	char *ref = NULL;

	if (keytable_find(l->ring->table, name, SLICE_LIT("example.com"), &row, &domain, &ref) ==
	    ERR_OK)
		(void)look_at_row(l, &row, "");
	free(domain);
	free(ref);
}

/* The keys that the rows which follow the From domain were so far. */
static void look_at_places(struct looking *l, struct slice name)
{
	for (size_t i = 0; i < PLACES && !l->stopped; i++) {
		const struct place *p = &l->ring->places[i];
		struct keyring_view view;

		if (p->key == NULL || p->from_domain[0] == '\0' ||
		    (name.len > 0 && !slice_eq(slice_str(p->key->name), name)))
			continue;
		view = (struct keyring_view){ .name = slice_str(p->key->name),
					      .domain = slice_str(p->key->domain),
					      .selector = slice_str(p->key->selector),
					      .kind = p->key->kind,
					      .ref = slice_str(p->key->ref),
					      .key = p->key };
		l->stopped = !l->fn(l->ctx, &view);
	}
}

void keyring_each(const struct keyring *ring, struct slice name,
		  bool (*fn)(void *ctx, const struct keyring_view *view), void *ctx)
{
	struct looking l = { .ring = ring, .fn = fn, .ctx = ctx };
	struct idn_spellings names;

	if (ring->table == NULL)
		return;
	if (name.len > 0)
		name = keytable_spelling(ring->table, name, &names);
	if (name.len > 0)
		look_at_row_named(&l, name);
	else if (keytable_each(ring->table, look_at_row, &l) != ERR_OK)
		return;
	look_at_places(&l, name);
}

static struct slice pem_of_row(const struct keyring *ring, struct slice name)
{
	struct keytable_row row;
	struct slice text = SLICE_LIT("");
	char *domain = NULL;
	char *ref = NULL;

	if (keytable_find(ring->table, name, SLICE_LIT("example.com"), &row, &domain, &ref) ==
	    ERR_OK)
		text = row.ref;
	free(domain);
	free(ref);
	return text;
}

struct slice keyring_key_text(const struct keyring *ring, const struct signkey *key)
{
	static const struct slice none = { NULL, 0 };
	struct slice text = none;

	if (key->kind == KEYREF_PEM)
		return pem_of_row(ring, slice_str(key->name));
	if (key->kind == KEYREF_FILE &&
	    files_map_secret(ring->files, key->ref, &text, NULL) != ERR_OK)
		return none;
	return text;
}
