/* The migration report of -n: see migration.h. */
#include "daemon/migration.h"

#include "base/safefile.h"
#include "base/text.h"
#include "keytable/tokentable.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Keys that are listed one by one; the others are counted. */
#define KEYS_LISTED 40u
#define WIDTH 100u

/* --- settings -----------------------------------------------------------------------------------
 */

struct names {
	const char *title;
	size_t column;
	size_t count;
};

static void print_name(void *ctx, const char *name)
{
	struct names *n = ctx;

	if (n->count++ == 0)
		n->column = (size_t)printf("%s:", n->title);
	else if (n->column + strlen(name) + 2 > WIDTH)
		n->column = (size_t)printf("\n   ") - 1;
	n->column += (size_t)printf(" %s", name);
}

static void print_names(const struct settings *s, const char *title)
{
	struct names names = { .title = title };

	settings_each_set(s, print_name, &names);
	if (names.count > 0)
		(void)putchar('\n');
}

static void print_differences(const struct settings *s)
{
	bool signs = (s->mode & MODE_SIGN) != 0 && (s->key_table != NULL || s->key_file != NULL);
	const struct {
		bool applies;
		const char *text;
	} rules[] = {
		{ signs,
		  "a message with several From fields, or several authors in one, is answered by "
		  "On-SignatureError; OpenDKIM signs for the first" },
		{ signs && slice_ieq(slice_str(s->oversign_headers), SLICE_LIT("From")),
		  "From is in h= once more than in the message; 'OversignHeaders .' switches that "
		  "off" },
		{ signs && s->multiple_signatures, "MultipleSignatures: all rows that match sign; "
						   "OpenDKIM leaves out those between the "
						   "first and the last" },
		{ signs && s->signing_table != NULL, "SigningTable: a key name that is not in the "
						     "KeyTable is found at start, not by the "
						     "first message" },
		{ signs && s->signature_algorithm != ALGORITHM_AUTO,
		  "SignatureAlgorithm: each key's own type decides" },
		{ s->auto_restart,
		  "AutoRestart: on unless switched off; the socket stays open meanwhile" },
		{ true, "SIGHUP reloads as SIGUSR1 does; OpenDKIM ends" },
	};

	(void)printf("different from OpenDKIM (all differences: OPENDKIM.md):\n");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].applies)
			(void)printf("    - %s\n", rules[i].text);
}

/* --- keys
 * ----------------------------------------------------------------------------------------- */

struct keys {
	const struct migration_input *in;
	char *token; /* URI for --token */
	uid_t owner;
	bool owner_known;
	size_t tokens;
	size_t files;
	size_t texts;
	size_t unsafe;
};

/* For a shell: 'text' */
static void print_quoted(struct slice text)
{
	size_t n;

	(void)putchar('\'');
	for (size_t i = 0; i<text.len; i += n> 0 ? n : 1) {
		n = text_utf8_len(slice_sub(text, i, text.len));
		if (text.ptr[i] == '\'')
			(void)fputs("'\\''", stdout);
		else if (n == 0 || (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			(void)putchar('?');
		else
			(void)fwrite(text.ptr + i, 1, n, stdout);
	}
	(void)putchar('\'');
}

static void print_import(const struct keys *k, const struct keytable_row *row)
{
	(void)printf("        hsmdkim-genkey ");
	if (k->in->config != NULL) {
		(void)printf("-x ");
		print_quoted(slice_str(k->in->config));
		(void)putchar(' ');
	}
	(void)printf("--token ");
	print_quoted(slice_str(k->token));
	(void)printf(" -d ");
	print_quoted(slice_eq(row->domain, SLICE_LIT("%")) ? SLICE_LIT("DOMAIN") : row->domain);
	(void)printf(" -s ");
	print_quoted(row->selector);
	(void)printf(" --import ");
	print_quoted(row->kind == KEYREF_FILE ? row->ref : SLICE_LIT("FILE"));
	(void)putchar('\n');
}

static void check_permissions(struct keys *k, const struct keytable_row *row)
{
	struct err_detail detail = { "" };
	char *path;

	if (!k->owner_known || slice_find(row->ref, '%') != row->ref.len)
		return;
	path = slice_dup(row->ref);
	if (path != NULL && safefile_check(path, k->owner, &detail) != ERR_OK) {
		(void)printf("        permissions: %s\n", detail.text);
		k->unsafe++;
	}
	free(path);
}

static bool print_key(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct keys *k = ctx;
	static const struct slice in_the_table =
		SLICE_INIT("the key itself stands in the table: write it to a file first");
	char name[80];
	char domain[260];
	char ref[200];

	if (row->kind == KEYREF_URI) {
		k->tokens++;
		return true;
	}
	if (k->files + k->texts == 0)
		(void)printf(
			"keys that are not on a token yet, and the command that moves each:\n");
	*(row->kind == KEYREF_FILE ? &k->files : &k->texts) += 1;
	if (k->files + k->texts > KEYS_LISTED)
		return true;
	(void)text_sanitize(row->domain, domain, sizeof(domain));
	(void)text_sanitize(row->kind == KEYREF_FILE ? row->ref : in_the_table, ref, sizeof(ref));
	(void)text_sanitize(row->name, name, sizeof(name));
	if (slice_empty(row->name)) /* KeyFile's, without a table */
		(void)printf("    %s %s (s=%.*s, d=%s)\n", origin, ref, SLICE_FMT(row->selector),
			     domain);
	else
		(void)printf("    %s: key '%s' of %s: %s\n", origin, name, domain, ref);
	print_import(k, row);
	if (row->kind == KEYREF_FILE)
		check_permissions(k, row);
	return true;
}

static char *first_token(const struct migration_input *in)
{
	AUTO(tokentable_free) struct tokentable *table = NULL;
	const char *uri = "pkcs11:token=LABEL";

	if (tokentable_load(in->settings, in->files, &table, NULL) == ERR_OK && table->count > 0 &&
	    table->rows[0].uri != NULL)
		uri = table->rows[0].uri;
	return slice_dup(slice_str(uri));
}

static void print_keys(const struct migration_input *in)
{
	struct keys k = { .in = in, .token = first_token(in) };
	bool has_token = in->settings->pkcs11_module != NULL || in->settings->token_table != NULL;

	if (k.token == NULL)
		return;
	k.owner_known = generation_key_owner(in->settings, &k.owner, NULL) == ERR_OK;
	if (keytable_each(in->keys, print_key, &k) != ERR_OK)
		(void)printf("    (the KeyTable cannot be read to its end)\n");
	if (k.files + k.texts > KEYS_LISTED)
		(void)printf("    ... and %zu more\n", k.files + k.texts - KEYS_LISTED);
	(void)printf("keys: %zu on tokens, %zu in files, %zu in the table itself\n", k.tokens,
		     k.files, k.texts);
	if (k.files + k.texts > 0 && !has_token)
		(void)printf("    there is no token yet: set PKCS11Module and PKCS11PinSource, or "
			     "TokenTable\n");
	if (k.files + k.texts > 0)
		(void)printf("    then put the pkcs11: URI that the command prints into the row, "
			     "and reload\n");
	if (k.unsafe > 0)
		(void)printf("    key files belong to root or to the user who signs, mode 0600 or "
			     "0640 with a "
			     "group that nobody else is in; RequireSafeKeys refuses others\n");
	free(k.token);
}

void migration_print(const struct migration_input *in)
{
	print_names(in->settings, "works");
	if (in->warnings > 0)
		(void)printf("ignored or doubtful: see the %zu warning%s\n", in->warnings,
			     in->warnings == 1 ? "" : "s");
	print_differences(in->settings);
	if (in->keys != NULL)
		print_keys(in);
}
