/* The list of things that are worth a line but no failure. */
#include "config/settings_priv.h"

#include <stdlib.h>

void settings_warnings_done(struct settings_warnings *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->texts[i]);
	free(w->texts);
	w->texts = NULL;
	w->count = 0;
}

void settings_warn(struct settings_warnings *w, const char *text)
{
	char *copy;
	char **grown;

	if (w == NULL)
		return;
	copy = slice_dup(slice_str(text));
	grown = realloc(w->texts, (w->count + 1) * sizeof(*grown));
	if (grown != NULL)
		w->texts = grown;
	if (copy != NULL && grown != NULL)
		w->texts[w->count++] = copy;
	else
		free(copy);
}
