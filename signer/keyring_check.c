/* What -n looks at: a generation without a key of a token or of the KeyTable. */
#include "base/safefile.h"
#include "base/text.h"
#include "keytable/signtable.h"
#include "signer/keyring_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* The files of so many rows are looked at. */
#define ACCESS_CHECK_MAX 10000u
/* And so many that cannot be read are named. */
#define FAULTY_LISTED_MAX 20u

static enum err check_tokens(const struct keyring *r, struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *table = NULL;

	return keyring_read_tokens(r, &table, detail);
}

/* What a start leaves to the look-ups. */
static enum err check_live_tables(struct keyring *r, struct err_detail *detail)
{
	AUTO(signtable_free) struct signtable *signers = NULL;
	const char *spec = r->settings->signing_table;
	enum err e = ERR_OK;

	if (r->table != NULL && keytable_is_live(r->table)) {
		e = keytable_check(r->table, detail);
		if (e == ERR_OK)
			e = keyring_check_uris(r, detail);
	}
	if (e == ERR_OK && spec != NULL && files_spec_is_live(spec))
		e = files_fault(r->files, "SigningTable",
				signtable_open(spec, r->files, &signers, detail), detail);
	if (e == ERR_OK && signers != NULL)
		e = signtable_check(signers,
				    r->table != NULL && r->settings->check_signing_table
					    ? keyring_row_exists
					    : NULL,
				    r, detail);
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
	struct keyring r = { .settings = (struct settings *)settings,
			     .files = files,
			     .policy = signkey_policy_of(settings) };
	enum err e = keyring_open_tables(&r, detail);

	if (e == ERR_OK)
		e = check_live_tables(&r, detail);
	if (e == ERR_OK)
		e = check_tokens(&r, detail);
	if (e == ERR_OK)
		e = check_key_files(&r, warn);
	keytable_free(&r.table);
	return e;
}
