/* settings.def as arrays, and the look-up of a name in them. */
#include "config/settings_priv.h"

#include <strings.h>

/* clang-format off */
#define RANGE(lo, hi) .min = (lo), .max = (hi)
#define WORDS(list) .words = (list)
#define NO_LIMITS .words = NULL
#define WHEN_START true
#define WHEN_RELOAD false
/* clang-format on */

const struct setting_row settings_rows[SETTING_ID_COUNT] = {
#define SETTING(setting, kind, field, dflt, limits, when, text)                                    \
	{ .name = #setting,                                                                        \
	  .type = SETTING_TYPE_##kind,                                                             \
	  .offset = offsetof(struct settings, field),                                              \
	  .def = (dflt),                                                                           \
	  limits,                                                                                  \
	  .start_only = WHEN_##when,                                                               \
	  .man = (text) },
#include "config/settings.def"
};

static const struct {
	const char *name;
	const char *target;
} aliases[] = {
#define SETTING(name, ...)
#define ALIAS(old, current) { #old, #current },
#include "config/settings.def"
};

#define IS_RARE false
#define IS_OBSOLETE false
#define IS_REMOVED true

static const struct setting_legacy legacies[] = {
#define SETTING(name, ...)
#define LEGACY(old, class, text) { #old, IS_##class, text },
#include "config/settings.def"
};

static bool names_equal(struct slice name, const char *known)
{
	return slice_ieq(name, slice_str(known));
}

const struct setting_row *settings_find_row(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (names_equal(name, aliases[i].name))
			name = slice_str(aliases[i].target);
	for (size_t i = 0; i < SETTING_ID_COUNT; i++)
		if (names_equal(name, settings_rows[i].name))
			return &settings_rows[i];
	return NULL;
}

const struct setting_legacy *settings_find_legacy(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(legacies); i++)
		if (names_equal(name, legacies[i].name))
			return &legacies[i];
	return NULL;
}

#define NAME_MAX_COMPARED 40

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits (insert, delete, replace; without case) that make b of a; both at most NAME_MAX_COMPARED
 * long. */
static size_t edit_distance(struct slice a, struct slice b)
{
	size_t row[NAME_MAX_COMPARED + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = ch_lower(a.ptr[i - 1]) != ch_lower(b.ptr[j - 1]);
			size_t best = smaller(diagonal + change, smaller(row[j], row[j - 1]) + 1);

			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b.len];
}

const char *settings_nearest_name(struct slice name)
{
	const char *nearest = NULL;
	size_t best = name.len / 3 + 1; /* more edits than that is another word */

	if (name.len > NAME_MAX_COMPARED)
		return NULL;
	if (best > 3)
		best = 3;
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		struct slice known = slice_str(settings_rows[i].name);
		size_t distance =
			known.len <= NAME_MAX_COMPARED ? edit_distance(name, known) : best + 1;

		if (distance < best || (distance == best && nearest == NULL)) {
			best = distance;
			nearest = settings_rows[i].name;
		}
	}
	return nearest;
}
