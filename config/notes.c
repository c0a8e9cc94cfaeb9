/* Notes that outlive a child: see notes.h. */
#include "config/notes.h"

#include "base/slice.h"

#include <stdlib.h>
#include <string.h>

#define ID_WORDS 3

/* The first three words. @return false: it has fewer; *ret_value: there is more behind them */
static bool split(const char *note, struct slice *ret_id, bool *ret_value)
{
	const char *at = note;

	for (int i = 0; i < ID_WORDS; i++) {
		size_t len = strcspn(at, " ");

		if (len == 0)
			return false;
		at += len;
		if (i < ID_WORDS - 1 && *at++ == '\0')
			return false;
	}
	*ret_id = slice_of(note, (size_t)(at - note));
	*ret_value = at[0] != '\0' && at[1] != '\0';
	return true;
}

static char **find(struct notes *n, struct slice id)
{
	for (size_t i = 0; i < n->count; i++) {
		struct slice other;
		bool value;

		if (split(n->texts[i], &other, &value) && slice_eq(other, id))
			return &n->texts[i];
	}
	return NULL;
}

void notes_put(struct notes *n, char *text)
{
	struct slice id;
	char **place;
	bool value;

	if (strlen(text) > NOTE_BYTES_MAX || !split(text, &id, &value)) {
		free(text);
		return;
	}
	place = find(n, id);
	if (!value) {
		free(text);
		if (place == NULL)
			return;
		free(*place);
		*place = n->texts[--n->count];
	} else if (place != NULL) {
		free(*place);
		*place = text;
	} else if (n->count < NOTES_MAX) {
		n->texts[n->count++] = text;
	} else {
		free(text);
	}
}

void notes_forget(struct notes *n, const char *token)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->count; i++) {
		if (token != NULL && !note_is_of(n->texts[i], token))
			n->texts[kept++] = n->texts[i];
		else
			free(n->texts[i]);
	}
	n->count = kept;
}

bool note_is_of(const char *note, const char *token)
{
	struct slice rest = slice_str(note);
	struct slice kind;
	struct slice name;

	return slice_next(&rest, ' ', &kind) && slice_next(&rest, ' ', &name) &&
	       slice_eq(name, slice_str(token));
}
