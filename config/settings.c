/* The life of struct settings: defaults, one value at a time, what crosses to another process. */
#include "config/settings_priv.h"

#include "base/text.h"

#include <stdlib.h>

void *setting_field(struct settings *s, const struct setting_row *row)
{
	return (char *)s + row->offset;
}

const void *setting_field_const(const struct settings *s, const struct setting_row *row)
{
	return (const char *)s + row->offset;
}

struct settings *settings_new(void)
{
	struct settings *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		const struct setting_row *row = &settings_rows[i];

		if (row->def != NULL && setting_parse(row, slice_str(row->def),
						      setting_field(s, row), NULL) != ERR_OK) {
			settings_free(&s);
			return NULL;
		}
	}
	return s;
}

void settings_free(struct settings **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		if (setting_is_text(&settings_rows[i]))
			free(*(char **)setting_field(*s, &settings_rows[i]));
		settings_origin_done(&(*s)->origin[i]);
	}
	free(*s);
	*s = NULL;
}

static enum err unknown_name(struct slice name, struct err_detail *detail)
{
	char shown[64];
	const char *nearest = settings_nearest_name(name);
	size_t equals = slice_find(name, '=');
	const struct setting_row *before = settings_find_row(slice_sub(name, 0, equals));

	(void)text_sanitize(name, shown, sizeof(shown));
	if (equals < name.len && before != NULL)
		err_detail_set(detail,
			       "unrecognized parameter '%s'; write '%s', a blank and the value, "
			       "without '='",
			       shown, before->name);
	else if (nearest != NULL)
		err_detail_set(detail, "unrecognized parameter '%s'; did you mean '%s'?", shown,
			       nearest);
	else
		err_detail_set(detail, "unrecognized parameter '%s'; remove the line", shown);
	return ERR_CONFIG;
}

/* What a value may not hold could not be written into a file and read back. */
static enum err check_text(struct slice name, struct slice value, struct err_detail *detail)
{
	char shown[64];

	(void)text_sanitize(name, shown, sizeof(shown));
	if (value.len == 0) {
		err_detail_set(detail, "%s: missing value", shown);
		return ERR_CONFIG;
	}
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("#\r\n", value.ptr[i]) != NULL) { /* finds NUL, too */
			err_detail_set(detail,
				       "%s: the value holds a '#', a line end or a NUL byte; "
				       "write '#' in a URI as %%23",
				       shown);
			return ERR_CONFIG;
		}
	}
	return ERR_OK;
}

static void warn_legacy(const struct setting_legacy *legacy, struct settings_warnings *warnings)
{
	struct err_detail text;

	err_detail_set(&text, "%s to OpenDKIM, ignored here: %s (%s)",
		       legacy->removed ? "formerly known" : "known", legacy->name, legacy->advice);
	settings_warn(warnings, text.text);
}

enum err settings_set(struct settings *s, struct slice name, struct slice value,
		      struct settings_warnings *warnings, struct err_detail *detail)
{
	const struct setting_row *row = settings_find_row(name);
	const struct setting_legacy *legacy = row == NULL ? settings_find_legacy(name) : NULL;
	enum err e;

	if (row == NULL && legacy == NULL)
		return unknown_name(name, detail);
	value = slice_trim(value);
	e = check_text(name, value, detail);
	if (e != ERR_OK)
		return e;
	if (legacy != NULL) {
		warn_legacy(legacy, warnings);
		return ERR_OK;
	}
	e = setting_parse(row, value, setting_field(s, row), detail);
	if (e != ERR_OK)
		return e;
	s->is_set[row - settings_rows] = true;
	settings_origin_done(&s->origin[row - settings_rows]);
	return ERR_OK;
}

static bool same_value(const struct setting_row *row, const struct settings *a,
		       const struct settings *b)
{
	const void *fa = setting_field_const(a, row);
	const void *fb = setting_field_const(b, row);

	if (setting_is_text(row))
		return slice_eq(slice_str(*(char *const *)fa), slice_str(*(char *const *)fb));
	return memcmp(fa, fb, setting_size(row)) == 0;
}

static enum err copy_value(const struct setting_row *row, struct settings *to,
			   const struct settings *from)
{
	const char *text;
	char *copy = NULL;

	if (!setting_is_text(row)) {
		memcpy(setting_field(to, row), setting_field_const(from, row), setting_size(row));
		return ERR_OK;
	}
	text = *(char *const *)setting_field_const(from, row);
	if (text != NULL) {
		copy = slice_dup(slice_str(text));
		if (copy == NULL)
			return ERR_NOMEM;
	}
	free(*(char **)setting_field(to, row));
	*(char **)setting_field(to, row) = copy;
	return ERR_OK;
}

enum err settings_keep_start(struct settings *next, const struct settings *running,
			     struct settings_warnings *warnings)
{
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		const struct setting_row *row = &settings_rows[i];
		struct err_detail text;

		if (!row->start_only || same_value(row, next, running))
			continue;
		err_detail_set(&text, "%s: the change takes effect at the next start", row->name);
		settings_place_error(next, &text);
		settings_warn(warnings, text.text);
		if (copy_value(row, next, running) != ERR_OK)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

/* When On-Default is set the children, who do not see what set a value, must not apply it again. */
static bool must_print(const struct settings *s, const struct setting_row *row)
{
	return !setting_is_default(row, setting_field_const(s, row)) ||
	       (s->on_default != ACTION_UNSET && row->words == settings_words_action);
}

static bool has_value(const struct setting_row *row, const void *field)
{
	if (setting_is_text(row))
		return *(char *const *)field != NULL;
	return row->type != SETTING_TYPE_RATE || ((const struct settings_rate *)field)->count != 0;
}

enum err settings_print_one(const struct settings *s, struct slice name, FILE *out)
{
	const struct setting_row *row = settings_find_row(name);
	const void *field;

	if (row == NULL)
		return ERR_SYNTAX;
	field = setting_field_const(s, row);
	if (!has_value(row, field))
		return ERR_NOT_FOUND;
	setting_write(row, field, out);
	(void)fputc('\n', out);
	return fflush(out) == 0 && !ferror(out) ? ERR_OK : ERR_IO;
}

enum err settings_print(const struct settings *s, bool all, FILE *out)
{
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		const struct setting_row *row = &settings_rows[i];
		const void *field = setting_field_const(s, row);

		if (!all && !must_print(s, row))
			continue;
		if (!has_value(row, field)) {
			(void)fprintf(out, "# %s is not set\n", row->name);
			continue;
		}
		(void)fprintf(out, "%s\t", row->name);
		setting_write(row, field, out);
		(void)fputc('\n', out);
	}
	return fflush(out) == 0 && !ferror(out) ? ERR_OK : ERR_IO;
}
