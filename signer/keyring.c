/* One generation in the signer process. */
#include "signer/keyring.h"

#include "base/hash.h"
#include "base/safefile.h"
#include "base/text.h"
#include "keytable/signtable.h"
#include "pkcs11/uri.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Opened keys that are kept: a newcomer takes the place of what hashes to the same one. */
#define PLACES 65536u
/* -n looks at the files of so many rows. */
#define ACCESS_CHECK_MAX 10000u
/* And names so many that cannot be read. */
#define FAULTY_LISTED_MAX 20u

struct place {
	struct signkey *key;
	char *from_domain;
};

struct keyring {
	atomic_uint refs;
	uint32_t number;
	struct settings *settings;
	struct files *files;
	struct keytable *table; /* NULL: this host signs nothing */
	struct signkey_policy policy;
	struct tokenlane **tokens;
	size_t token_count;
	struct place *places;
};

/* ---- tables ---- */

struct uri_check {
	const struct settings *settings;
	struct err_detail *detail;
	enum err err;
};

/* A URI that can match no key, or any, is found at load, not by the first message. */
static bool check_uri(void *ctx, const struct keytable_row *row, const char *origin)
{
	AUTO(p11_uri_free) struct p11_uri *uri = NULL;
	struct uri_check *check = ctx;

	if (row->kind != KEYREF_URI)
		return true;
	check->err = p11_uri_parse(row->ref, P11_URI_KEY, &uri, check->detail);
	if (check->err == ERR_OK && check->settings->pkcs11_module == NULL &&
	    check->settings->token_table == NULL) {
		char name[80];

		err_detail_set(check->detail,
			       "key '%s' is on a token, and there is none: set PKCS11Module and "
			       "PKCS11PinSource, or TokenTable",
			       text_sanitize(row->name, name, sizeof(name)));
		check->err = ERR_CONFIG;
	}
	if (check->err != ERR_OK)
		err_detail_prefix(check->detail, "%s: ", origin);
	return check->err == ERR_OK;
}

static enum err open_table(struct keyring *r, struct err_detail *detail)
{
	const struct settings *s = r->settings;
	struct uri_check check = { .settings = s, .detail = detail, .err = ERR_OK };
	enum err e = ERR_OK;

	if (s->key_table != NULL) {
		e = keytable_open_each(s->key_table, r->files, check_uri, &check, &r->table,
				       detail);
	} else if (s->key_file != NULL && s->selector != NULL) {
		e = keytable_open_single("%", s->selector, s->key_file, &r->table, detail);
		if (e == ERR_OK)
			e = keytable_each(r->table, check_uri, &check);
	}
	return e != ERR_OK ? e : check.err;
}

static bool row_exists(void *ctx, struct slice name)
{
	const struct keyring *r = ctx;

	return keytable_has(r->table, name);
}

static enum err check_signing_table(struct keyring *r, struct err_detail *detail)
{
	if (r->settings->signing_table == NULL || r->table == NULL ||
	    !r->settings->check_signing_table)
		return ERR_OK;
	return signtable_check_spec(r->settings->signing_table, r->files, row_exists, r, detail);
}

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
	enum err e = tokentable_load(r->settings, r->files, &table, detail);

	if (e != ERR_OK)
		return e;
	if (table->count > KEYRING_TOKENS_MAX) {
		err_detail_set(detail, "TokenTable: at most %u tokens", KEYRING_TOKENS_MAX);
		return ERR_LIMIT;
	}
	r->tokens = calloc(table->count + 1, sizeof(struct tokenlane *));
	if (r->tokens == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < table->count && e == ERR_OK; i++) {
		r->tokens[i] = same_token(before, &table->rows[i], r->files);
		if (r->tokens[i] == NULL)
			e = tokenlane_new(&table->rows[i], r->files, memory, &r->tokens[i], detail);
		if (e == ERR_OK)
			r->token_count++;
	}
	return e;
}

/* ---- without a key or a token: -n ---- */

static enum err check_token_uris(const struct keyring *r, struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *table = NULL;
	enum err e = tokentable_load(r->settings, r->files, &table, detail);

	for (size_t i = 0; e == ERR_OK && i < table->count; i++) {
		AUTO(p11_uri_free) struct p11_uri *uri = NULL;

		if (table->rows[i].uri == NULL)
			continue;
		e = p11_uri_parse(slice_str(table->rows[i].uri), P11_URI_TOKEN, &uri, detail);
		if (e != ERR_OK)
			err_detail_prefix(detail, "token %s: ", table->rows[i].name);
	}
	return e;
}

/* What a start leaves to the look-ups. */
static enum err check_live_tables(struct keyring *r, struct err_detail *detail)
{
	AUTO(signtable_free) struct signtable *signers = NULL;
	struct uri_check check = { .settings = r->settings, .detail = detail, .err = ERR_OK };
	enum err e = ERR_OK;

	if (r->table != NULL && keytable_is_live(r->table)) {
		e = keytable_check(r->table, detail);
		if (e == ERR_OK)
			e = keytable_each(r->table, check_uri, &check);
		if (e == ERR_OK)
			e = check.err;
	}
	if (e == ERR_OK && r->settings->signing_table != NULL)
		e = signtable_open(r->settings->signing_table, r->files, &signers, detail);
	if (e == ERR_OK && signers != NULL && signtable_is_live(signers))
		e = signtable_check(
			signers,
			r->table != NULL && r->settings->check_signing_table ? row_exists : NULL, r,
			detail);
	return e;
}

struct access_check {
	void (*warn)(const char *text);
	size_t rows;
	size_t files;
	size_t faulty;
	bool cut; /* there are more rows */
};

static bool check_access(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct access_check *check = ctx;
	struct err_detail detail = { "" };
	char name[80];
	char *path = NULL;

	check->cut = check->rows++ == ACCESS_CHECK_MAX;
	if (check->cut)
		return false;
	if (row->kind == KEYREF_FILE && slice_find(row->ref, '%') == row->ref.len)
		path = slice_dup(row->ref);
	check->files += path != NULL;
	if (path != NULL && access(path, R_OK) != 0 && ++check->faulty <= FAULTY_LISTED_MAX) {
		safefile_explain(path, errno, &detail);
		err_detail_prefix(&detail, "%s: key '%s': ", origin,
				  text_sanitize(row->name, name, sizeof(name)));
		check->warn(detail.text);
	}
	free(path);
	return true;
}

/* KeyFile comes as a descriptor; the files of a KeyTable are opened by the user that we are. */
static enum err check_key_files(const struct keyring *r, void (*warn)(const char *text))
{
	struct access_check check = { .warn = warn };
	struct err_detail text;
	enum err e;

	if (r->settings->key_table == NULL || r->table == NULL)
		return ERR_OK;
	e = keytable_each(r->table, check_access, &check);
	if (check.faulty > FAULTY_LISTED_MAX) {
		err_detail_set(&text, "KeyTable: %zu more key files cannot be read",
			       check.faulty - FAULTY_LISTED_MAX);
		warn(text.text);
	}
	if (check.cut && check.files > 0) {
		err_detail_set(&text,
			       "KeyTable: only the key files of its first %u rows were looked for",
			       ACCESS_CHECK_MAX);
		warn(text.text);
	}
	return e;
}

enum err keyring_check(const struct settings *settings, struct files *files,
		       void (*warn)(const char *text), struct err_detail *detail)
{
	struct keyring r = { .settings = (struct settings *)settings, .files = files };
	enum err e = open_table(&r, detail);

	if (e == ERR_OK)
		e = check_signing_table(&r, detail);
	if (e == ERR_OK)
		e = check_live_tables(&r, detail);
	if (e == ERR_OK)
		e = check_token_uris(&r, detail);
	if (e == ERR_OK)
		e = check_key_files(&r, warn);
	keytable_free(&r.table);
	return e;
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
	r->policy = (struct signkey_policy){
		.minimum_bits = (unsigned)settings->minimum_key_bits,
		.hardware_only = settings->require_hardware_keys,
		.safe_files = settings->require_safe_keys,
	};
	r->places = calloc(PLACES, sizeof(*r->places));
	e = r->places != NULL ? open_table(r, detail) : ERR_NOMEM;
	if (e == ERR_OK)
		e = check_signing_table(r, detail);
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

static bool holds(const struct place *p, struct slice name, struct slice from_domain)
{
	return p->key != NULL && !atomic_load(&p->key->stale) &&
	       slice_eq(slice_str(p->key->name), name) &&
	       slice_eq(slice_str(p->from_domain), from_domain);
}

enum err keyring_find(struct keyring *ring, struct slice name, struct slice from_domain,
		      struct signkey **ret_key, struct err_detail *detail)
{
	static const struct slice any = SLICE_INIT(""); /* a row without "%" is one key for all */
	struct signkey *key = NULL;
	bool follows = false;
	struct place *p = place_of(ring, name, any);
	enum err e;

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
		.key = holds(p, row->name, any) ? p->key : NULL,
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

	if (ring->table == NULL)
		return;
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
	struct slice text = SLICE_LIT("");

	if (key->kind == KEYREF_PEM)
		return pem_of_row(ring, slice_str(key->name));
	if (key->kind == KEYREF_FILE &&
	    files_map_secret(ring->files, key->ref, &text, NULL) != ERR_OK)
		return SLICE_LIT("");
	return text;
}
