/* Where each setting was written, for errors that no single line shows. */
#include "config/settings_priv.h"

#include <stdlib.h>

void settings_origin_done(struct settings_origin *origin)
{
	free(origin->source);
	*origin = (struct settings_origin){ .source = NULL };
}

enum err settings_remember(struct settings *s, struct slice name, const char *source,
			   unsigned long line)
{
	const struct setting_row *row = settings_find_row(name);
	struct settings_origin *origin = row != NULL ? &s->origin[row - settings_rows] : NULL;
	char *copy = origin != NULL ? slice_dup(slice_str(source)) : NULL;

	if (origin == NULL)
		return ERR_OK;
	if (copy == NULL)
		return ERR_NOMEM;
	settings_origin_done(origin);
	*origin = (struct settings_origin){ .source = copy, .line = line };
	return ERR_OK;
}

enum err settings_copy_origins(struct settings *to, const struct settings *from)
{
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		const struct settings_origin *origin = &from->origin[i];

		settings_origin_done(&to->origin[i]);
		if (origin->source != NULL &&
		    settings_remember(to, slice_str(settings_rows[i].name), origin->source,
				      origin->line) != ERR_OK)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

/* The origin of the first setting that the words up to the first ':' name, NULL: there is none. */
static const struct settings_origin *find_origin(const struct settings *s, const char *text)
{
	struct slice rest = slice_str(text);
	struct slice word;

	rest.len = slice_find(rest, ':');
	while (slice_next(&rest, ' ', &word)) {
		const struct setting_row *row = settings_find_row(word);

		if (row != NULL && s->origin[row - settings_rows].source != NULL)
			return &s->origin[row - settings_rows];
	}
	return NULL;
}

void settings_place_error(const struct settings *s, struct err_detail *detail)
{
	const struct settings_origin *origin =
		s != NULL && detail != NULL ? find_origin(s, detail->text) : NULL;

	if (origin != NULL && origin->line != 0)
		err_detail_prefix(detail, "%s:%lu: ", origin->source, origin->line);
	else if (origin != NULL)
		err_detail_prefix(detail, "%s: ", origin->source);
}
