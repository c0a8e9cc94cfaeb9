/* Tag lists. */
#include "dkim/taglist.h"

#include "base/text.h"

#include <stdint.h>

static bool name_valid(struct slice name)
{
	if (name.len == 0 || !ch_is_alpha(name.ptr[0]))
		return false;
	for (size_t i = 1; i < name.len; i++)
		if (!ch_is_alpha(name.ptr[i]) && !ch_is_digit(name.ptr[i]) && name.ptr[i] != '_')
			return false;
	return true;
}

/* Printing characters, blanks, folds and UTF-8. */
static bool value_valid(struct slice value)
{
	size_t i = 0;

	while (i < value.len) {
		char c = value.ptr[i];
		size_t n = text_utf8_len(slice_sub(value, i, value.len));

		if (n == 0 || (n == 1 && !ch_is_fws(c) && (c < 0x20 || c == 0x7f)))
			return false;
		i += n;
	}
	return true;
}

static bool is_duplicate(const struct taglist *list, struct slice name)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice_eq(list->tags[i].name, name))
			return true;
	return false;
}

static enum err add_tag(struct taglist *list, struct slice spec)
{
	size_t equals = slice_find(spec, '=');
	struct tag tag = { .name = slice_trim(slice_sub(spec, 0, equals)) };

	if (equals == spec.len || !name_valid(tag.name))
		return ERR_SYNTAX;
	tag.raw = slice_sub(spec, equals + 1, spec.len);
	tag.value = slice_trim(tag.raw);
	if (!value_valid(tag.value))
		return ERR_SYNTAX;
	if (is_duplicate(list, tag.name))
		return ERR_AMBIGUOUS;
	if (list->count == LIMIT_TAGS)
		return ERR_LIMIT;
	list->tags[list->count++] = tag;
	return ERR_OK;
}

enum err taglist_parse(struct slice text, struct taglist *ret_list)
{
	struct slice spec;
	enum err e = ERR_OK;

	ret_list->count = 0;
	while (e == ERR_OK && slice_next(&text, ';', &spec)) {
		/* Nothing but blanks may follow the last ";". */
		if (text.ptr == NULL && slice_trim(spec).len == 0)
			return ERR_OK;
		e = add_tag(ret_list, spec);
	}
	return e;
}

const struct tag *taglist_find(const struct taglist *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice_eq(list->tags[i].name, slice_str(name)))
			return &list->tags[i];
	return NULL;
}
