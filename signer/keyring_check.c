/* What -n looks at: a generation without a key of a token or of the KeyTable. */
#include "base/safefile.h"
#include "base/text.h"
#include "keytable/signtable.h"
#include "signer/keyring_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The files of so many rows are looked at. */
#define ACCESS_CHECK_MAX 10000u
/* And so many that cannot be read are named. */
#define FAULTY_LISTED_MAX 20u

/* ---- tokens ---- */

/* Not loaded: a module's first act may be to hang. */
static bool is_shared_object(int fd)
{
	static const char elf[4] = { 0x7f, 'E', 'L', 'F' };
	char begin[sizeof(elf)];

	return read(fd, begin, sizeof(begin)) == (ssize_t)sizeof(begin) &&
	       memcmp(begin, elf, sizeof(elf)) == 0;
}

static void doubt_module(const struct tokentable_row *row, void (*warn)(const char *text))
{
	int fd = open(row->module_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct err_detail detail = { "" };

	if (fd < 0 && errno == ENOENT)
		err_detail_set(&detail,
			       "%s: there is no such file: install the token's PKCS#11 module, or "
			       "correct the path",
			       row->module_path);
	else if (fd < 0)
		safefile_explain(row->module_path, errno, &detail);
	else if (!is_shared_object(fd))
		err_detail_set(&detail,
			       "%s is no shared object: name the .so file of the token's PKCS#11 "
			       "module",
			       row->module_path);
	if (fd >= 0)
		(void)close(fd);
	if (detail.text[0] == '\0')
		return;
	tokentable_place(row, "PKCS11Module", &detail);
	warn(detail.text);
}

static void doubt_login(const struct tokentable_row *row, void (*warn)(const char *text))
{
	struct err_detail detail;

	if (row->pin_source != NULL)
		return;
	err_detail_set(&detail,
		       "%s is not set: there will be no login, and most tokens hide their keys "
		       "then",
		       row->origin == NULL ? "PKCS11PinSource" : "pin-source=");
	tokentable_place(row, "PKCS11Module", &detail);
	warn(detail.text);
}

static enum err check_tokens(const struct keyring *r, void (*warn)(const char *text),
			     struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *table = NULL;
	enum err e = keyring_read_tokens(r, &table, detail);

	for (size_t i = 0; e == ERR_OK && table != NULL && i < table->count; i++) {
		e = files_fault(r->files, "TokenTable",
				tokenlane_check_pin(&table->rows[i], r->files, warn, detail),
				detail);
		if (e == ERR_OK && (r->settings->mode & MODE_SIGN) != 0) {
			doubt_module(&table->rows[i], warn);
			doubt_login(&table->rows[i], warn);
		}
	}
	return e == ERR_OK ? files_gathered(r->files, detail) : e;
}

/* ---- tables ---- */

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
		e = check_tokens(&r, warn, detail);
	if (e == ERR_OK)
		e = check_key_files(&r, warn);
	keytable_free(&r.table);
	return e;
}
