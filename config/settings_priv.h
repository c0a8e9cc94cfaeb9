/* The table of settings as data: what settings*.c share. */
#ifndef CONFIG_SETTINGS_PRIV_H
#define CONFIG_SETTINGS_PRIV_H

#include "config/settings.h"

/** How a TYPE is read, written and named to people: one row each in settings_value.c. */
enum setting_type {
	SETTING_TYPE_BOOL,
	SETTING_TYPE_INT,
	SETTING_TYPE_OCTAL,
	SETTING_TYPE_DURATION,
	SETTING_TYPE_SECONDS,
	SETTING_TYPE_ENUM,
	SETTING_TYPE_RATE,
	SETTING_TYPE_STRING,
	SETTING_TYPE_DATASET,
	SETTING_TYPE_FILE,
	SETTING_TYPE_PATH,
};

/** A word of an ENUM. Lists end with a NULL word; the first word of a value is the one that is
 * printed. */
struct setting_word {
	const char *word;
	int value;
};

struct setting_row {
	const char *name;
	size_t offset; /**< of the field in struct settings */
	const char *def;
	const char *min; /**< NULL: no limits; written like a value */
	const char *max;
	const struct setting_word *words;
	const char *man;
	enum setting_type type;
	bool start_only;
};

/** A name that OpenDKIM has or had and we do not. */
struct setting_legacy {
	const char *name;
	bool removed; /**< OpenDKIM itself refuses it */
	const char *advice;
};

/** In the order of settings.def, that is of enum setting_id. */
extern const struct setting_row settings_rows[SETTING_ID_COUNT];

extern const struct setting_word settings_words_action[];
extern const struct setting_word settings_words_action_default[];
extern const struct setting_word settings_words_mode[];
extern const struct setting_word settings_words_canon[];
extern const struct setting_word settings_words_algorithm[];
extern const struct setting_word settings_words_dnssec[];
extern const struct setting_word settings_words_facility[];

/** By name or alias, without case. NULL: no such setting. */
const struct setting_row *settings_find_row(struct slice name);
const struct setting_legacy *settings_find_legacy(struct slice name);

/** The known name that is nearest to a mistyped one; NULL when none is near. */
const char *settings_nearest_name(struct slice name);

/** The field of row in s. */
void *setting_field(struct settings *s, const struct setting_row *row);
const void *setting_field_const(const struct settings *s, const struct setting_row *row);

/** Bytes of the field of a type that is no text. */
size_t setting_size(const struct setting_row *row);

/** True for types whose field is a malloc'ed text. */
bool setting_is_text(const struct setting_row *row);

/**
 * Read value into a field of row's type; a text that was there is freed.
 * @return ERR_CONFIG with a detail that lists what is allowed, ERR_NOMEM
 */
NODISCARD enum err setting_parse(const struct setting_row *row, struct slice value, void *field,
				 struct err_detail *detail);

/** Write a field as setting_parse() reads it; an unset text or rate writes nothing. */
void setting_write(const struct setting_row *row, const void *field, FILE *out);

/** What values row takes, for messages and the manual: "10ms to 120s", "accept, discard, ...". */
const char *setting_expects(const struct setting_row *row, char *out, size_t out_size);

/** The type's name in the manual. */
const char *setting_type_name(const struct setting_row *row);

/** Forget it. */
void settings_origin_done(struct settings_origin *origin);

bool setting_is_default(const struct setting_row *row, const void *field);

#endif
