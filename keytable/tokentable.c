/* The TokenTable: "name  pkcs11:token=...?module-path=...&pin-source=...  sessions=8". */
#include "keytable/tokentable.h"

#include "base/text.h"

#include <stdlib.h>

#define SESSIONS_MAX 256u

struct loading {
	struct tokentable *table;
	const struct dataset *set;
	const struct settings *settings;
	enum err error;
	struct err_detail *detail;
};

static void row_done(struct tokentable_row *row)
{
	free(row->name);
	free(row->origin);
	free(row->uri);
	free(row->module_path);
	free(row->pin_source);
}

void tokentable_free(struct tokentable **table)
{
	if (table == NULL || *table == NULL)
		return;
	for (size_t i = 0; i < (*table)->count; i++)
		row_done(&(*table)->rows[i]);
	free((*table)->rows);
	free(*table);
	*table = NULL;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, ch_lower(c)) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Percent-decoded copy (RFC 3986). @return NULL without memory or for a broken escape */
static char *decode(struct slice s)
{
	char *out = malloc(s.len + 1);
	size_t len = 0;

	for (size_t i = 0; out != NULL && i < s.len; i++) {
		int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.ptr[i + 2]) : -1;

		if (s.ptr[i] == '%' && (low < 0 || high * 16 + low == 0)) {
			free(out);
			return NULL;
		}
		if (s.ptr[i] == '%') {
			out[len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[len++] = s.ptr[i];
		}
	}
	if (out != NULL)
		out[len] = '\0';
	return out;
}

static enum err take_query(struct tokentable_row *row, struct slice query,
			   struct err_detail *detail)
{
	struct slice part;

	while (slice_next(&query, '&', &part)) {
		size_t eq = slice_find(part, '=');
		struct slice name = slice_sub(part, 0, eq);
		char **to = slice_eq(name, SLICE_LIT("module-path"))  ? &row->module_path
			    : slice_eq(name, SLICE_LIT("pin-source")) ? &row->pin_source
								      : NULL;

		if (to == NULL || *to != NULL) {
			err_detail_set(detail, "%.*s: %s", SLICE_FMT(name),
				       to != NULL ? "given twice"
						  : "only module-path and pin-source may stand "
						    "behind the '?'");
			return ERR_CONFIG;
		}
		*to = decode(slice_sub(part, eq + 1, part.len));
		if (*to == NULL) {
			err_detail_set(detail, "%.*s: broken %%-escape", SLICE_FMT(name));
			return ERR_CONFIG;
		}
	}
	if (row->module_path == NULL || row->module_path[0] != '/') {
		err_detail_set(detail, "the URI needs ?module-path=/path/of/the/module.so");
		return ERR_CONFIG;
	}
	if (row->pin_source != NULL && row->pin_source[0] == '|') {
		err_detail_set(detail, "pin-source=|command is not allowed: write file:/path");
		return ERR_DENIED;
	}
	return ERR_OK;
}

static enum err take_uri(struct tokentable_row *row, struct slice uri, struct err_detail *detail)
{
	size_t mark = slice_find(uri, '?');
	struct slice path = slice_sub(uri, 0, mark);

	if (!slice_starts(uri, SLICE_LIT("pkcs11:"))) {
		err_detail_set(detail,
			       "a line is: name pkcs11:token=LABEL?module-path=/path/module.so"
			       "&pin-source=file:/path sessions=8");
		return ERR_CONFIG;
	}
	if (path.len > strlen("pkcs11:")) {
		row->uri = slice_dup(path);
		if (row->uri == NULL)
			return ERR_NOMEM;
	}
	return take_query(row, slice_sub(uri, mark + 1, uri.len), detail);
}

static enum err take_option(struct tokentable_row *row, struct slice option,
			    struct err_detail *detail)
{
	static const struct slice sessions = SLICE_INIT("sessions=");
	unsigned long long n;

	if (slice_starts(option, sessions) &&
	    slice_u64(slice_sub(option, sessions.len, option.len), &n) && n >= 1 &&
	    n <= SESSIONS_MAX) {
		row->sessions = (unsigned)n;
		return ERR_OK;
	}
	err_detail_set(detail, "option \"%.*s\": sessions=1 to sessions=%u is what there is",
		       SLICE_FMT(option), SESSIONS_MAX);
	return ERR_CONFIG;
}

static bool next_word(struct slice *rest, struct slice *ret_word)
{
	size_t len = 0;

	*rest = slice_trim(*rest);
	while (len < rest->len && !ch_is_fws(rest->ptr[len]))
		len++;
	*ret_word = slice_sub(*rest, 0, len);
	*rest = slice_sub(*rest, len, rest->len);
	return len > 0;
}

/* It is a word of what is noted for the next process (signer/pinnote.h). */
static enum err check_name(struct slice name, struct err_detail *detail)
{
	bool blank = false;

	for (size_t i = 0; i < name.len; i++)
		blank |= ch_is_fws(name.ptr[i]);
	if (!blank && name.len <= TOKENTABLE_NAME_BYTES_MAX)
		return ERR_OK;
	err_detail_set(detail, "a name is one word of at most %u bytes", TOKENTABLE_NAME_BYTES_MAX);
	return ERR_CONFIG;
}

static enum err take_row(struct loading *l, struct slice name, struct slice value,
			 const char *origin)
{
	struct tokentable *t = l->table;
	struct tokentable_row *rows = realloc(t->rows, (t->count + 1) * sizeof(*rows));
	struct tokentable_row *row;
	struct slice word;
	enum err e;

	if (rows == NULL)
		return ERR_NOMEM;
	t->rows = rows;
	row = &rows[t->count++];
	*row = (struct tokentable_row){ .name = slice_dup(name),
					.origin = slice_dup(slice_str(origin)),
					.sessions = (unsigned)l->settings->token_sessions };
	if (row->name == NULL || row->origin == NULL)
		return ERR_NOMEM;
	e = check_name(name, l->detail);
	if (e == ERR_OK)
		e = next_word(&value, &word) ? take_uri(row, word, l->detail) : ERR_CONFIG;
	while (e == ERR_OK && next_word(&value, &word))
		e = take_option(row, word, l->detail);
	return e;
}

static bool load_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct loading *l = ctx;
	size_t before = l->table->count;
	char name[80];

	l->error = take_row(l, key, value, origin);
	if (l->error == ERR_OK)
		return true;
	while (l->table->count > before)
		row_done(&l->table->rows[--l->table->count]);
	err_detail_prefix(l->detail, "%s: token '%s': ", origin,
			  text_sanitize(key, name, sizeof(name)));
	l->error = dataset_fault(l->set, l->error, l->detail);
	return l->error == ERR_OK;
}

void tokentable_place(const struct tokentable_row *row, const char *setting,
		      struct err_detail *detail)
{
	char name[80];

	if (row->origin != NULL)
		err_detail_prefix(detail, "%s: token '%s': ", row->origin,
				  text_sanitize(slice_str(row->name), name, sizeof(name)));
	else
		err_detail_prefix(detail, "%s: ", setting);
}

static enum err load_table(struct loading *l, struct files *files)
{
	AUTO(dataset_free) struct dataset *set = NULL;
	enum err e = dataset_open("TokenTable", l->settings->token_table,
				  DATASET_NEED_VALUE | DATASET_UNIQUE, files, &set, l->detail);

	l->set = set;
	if (e == ERR_OK)
		e = dataset_each(set, load_row, l);
	return e != ERR_OK ? e : l->error;
}

static enum err load_single(struct tokentable *t, const struct settings *s)
{
	t->rows = calloc(1, sizeof(*t->rows));
	if (t->rows == NULL)
		return ERR_NOMEM;
	t->count = 1;
	t->rows[0].name = slice_dup(SLICE_LIT(TOKENTABLE_SINGLE_NAME));
	t->rows[0].module_path = slice_dup(slice_str(s->pkcs11_module));
	t->rows[0].sessions = (unsigned)s->token_sessions;
	if (s->pkcs11_pin_source != NULL)
		t->rows[0].pin_source = slice_dup(slice_str(s->pkcs11_pin_source));
	if (t->rows[0].name == NULL || t->rows[0].module_path == NULL ||
	    (s->pkcs11_pin_source != NULL && t->rows[0].pin_source == NULL))
		return ERR_NOMEM;
	return ERR_OK;
}

enum err tokentable_load(const struct settings *settings, struct files *files,
			 struct tokentable **ret_table, struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *table = calloc(1, sizeof(*table));
	struct loading loading = { .table = table, .settings = settings, .detail = detail };
	enum err e = ERR_OK;

	if (table == NULL)
		return ERR_NOMEM;
	if (settings->token_table != NULL)
		e = load_table(&loading, files);
	else if (settings->pkcs11_module != NULL)
		e = load_single(table, settings);
	if (e != ERR_OK)
		return e;
	*ret_table = table;
	table = NULL; /* handed over */
	return ERR_OK;
}
