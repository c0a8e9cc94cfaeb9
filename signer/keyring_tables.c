/* The tables of a generation, and what is checked of them when they are loaded. */
#include "base/text.h"
#include "keytable/signtable.h"
#include "pkcs11/uri.h"
#include "signer/keyring_priv.h"

#include <stdlib.h>

struct row_check {
	const struct keyring *ring;
	struct err_detail *detail;
	enum err err;
};

/* A URI that can match no key, or any, is found at load, not by the first message. */
static bool check_uri(void *ctx, const struct keytable_row *row, const char *origin)
{
	AUTO(p11_uri_free) struct p11_uri *uri = NULL;
	struct row_check *check = ctx;
	const struct settings *s = check->ring->settings;
	char name[80];

	if (row->kind != KEYREF_URI)
		return true;
	(void)text_sanitize(row->name, name, sizeof(name));
	check->err = p11_uri_parse(row->ref, P11_URI_KEY, &uri, check->detail);
	if (check->err != ERR_OK) {
		err_detail_prefix(check->detail, "key '%s': ", name);
	} else if (s->pkcs11_module == NULL && s->token_table == NULL) {
		err_detail_set(check->detail,
			       "key '%s' is on a token, and there is none: set PKCS11Module and "
			       "PKCS11PinSource, or TokenTable",
			       name);
		check->err = ERR_CONFIG;
	}
	if (check->err == ERR_OK)
		return true;
	err_detail_prefix(check->detail, "%s: ", origin);
	check->err = files_fault(check->ring->files, "KeyTable", check->err, check->detail);
	return check->err == ERR_OK;
}

enum err keyring_check_uris(const struct keyring *r, struct err_detail *detail)
{
	struct row_check check = { .ring = r, .detail = detail, .err = ERR_OK };
	enum err e = keytable_each(r->table, check_uri, &check);

	return e != ERR_OK ? e : check.err;
}

/* KeyFile is the one key that there is: without it nothing would be signed. The supervisor has read
 * it, so it is judged as a message would meet it. */
static bool check_key_file(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct row_check *check = ctx;
	struct slice text = { NULL, 0 };
	char *path;

	if (row->kind != KEYREF_FILE)
		return true;
	path = slice_dup(row->ref);
	if (path == NULL) {
		check->err = ERR_NOMEM;
		return false;
	}
	check->err = files_map_secret(check->ring->files, path, &text, check->detail);
	if (check->err == ERR_OK)
		check->err = signkey_check_file(path, &check->ring->policy, text, check->detail);
	if (check->err != ERR_OK)
		err_detail_prefix(check->detail, "%s: ", origin);
	free(path);
	return check->err == ERR_OK;
}

static enum err open_single(struct keyring *r, struct err_detail *detail)
{
	const struct settings *s = r->settings;
	struct row_check check = { .ring = r, .detail = detail, .err = ERR_OK };
	enum err e = keytable_open_single("%", s->selector, s->key_file, &r->table, detail);

	if (e == ERR_OK)
		e = keyring_check_uris(r, detail);
	if (e == ERR_OK && (s->mode & MODE_SIGN) != 0)
		e = keytable_each(r->table, check_key_file, &check);
	return e != ERR_OK ? e : check.err;
}

static enum err open_table(struct keyring *r, struct err_detail *detail)
{
	const struct settings *s = r->settings;
	struct row_check check = { .ring = r, .detail = detail, .err = ERR_OK };
	enum err e = ERR_OK;

	if (s->key_table != NULL)
		e = keytable_open_each(s->key_table, r->files, check_uri, &check, &r->table,
				       detail);
	else if (s->key_file != NULL && s->selector != NULL)
		e = open_single(r, detail);
	return files_fault(r->files, "KeyTable", e != ERR_OK ? e : check.err, detail);
}

bool keyring_row_exists(void *ctx, struct slice name)
{
	const struct keyring *r = ctx;
	struct idn_spellings names;

	return keytable_has(r->table, keytable_spelling(r->table, name, &names));
}

static enum err check_signing_table(struct keyring *r, struct err_detail *detail)
{
	if (r->settings->signing_table == NULL || r->table == NULL ||
	    !r->settings->check_signing_table || files_spec_is_live(r->settings->signing_table))
		return ERR_OK;
	return signtable_check_spec(r->settings->signing_table, r->files, keyring_row_exists, r,
				    detail);
}

enum err keyring_open_tables(struct keyring *r, struct err_detail *detail)
{
	enum err e = open_table(r, detail);

	return e == ERR_OK ? check_signing_table(r, detail) : e;
}

static enum err check_token_uri(const struct tokentable_row *row, struct err_detail *detail)
{
	AUTO(p11_uri_free) struct p11_uri *uri = NULL;
	enum err e = ERR_OK;

	if (row->uri != NULL)
		e = p11_uri_parse(slice_str(row->uri), P11_URI_TOKEN, &uri, detail);
	if (e != ERR_OK)
		tokentable_place(row, "PKCS11Module", detail);
	return e;
}

enum err keyring_read_tokens(const struct keyring *r, struct tokentable **ret_table,
			     struct err_detail *detail)
{
	static const char name[] = "TokenTable";
	enum err e = tokentable_load(r->settings, r->files, ret_table, detail);

	if (e == ERR_OK && (*ret_table)->count > KEYRING_TOKENS_MAX) {
		err_detail_set(detail, "TokenTable: at most %u tokens", KEYRING_TOKENS_MAX);
		e = ERR_LIMIT;
	}
	e = files_fault(r->files, name, e, detail);
	for (size_t i = 0; e == ERR_OK && *ret_table != NULL && i < (*ret_table)->count; i++)
		e = files_fault(r->files, name, check_token_uri(&(*ret_table)->rows[i], detail),
				detail);
	return e;
}
