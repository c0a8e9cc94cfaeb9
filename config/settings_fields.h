/*
 * struct settings, made from settings.def; included by settings.h, where the words of ENUM settings
 * have their constants. What each field means stands in its row of settings.def.
 */
#ifndef CONFIG_SETTINGS_FIELDS_H
#define CONFIG_SETTINGS_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

/** "n/t[smhd]": at most count events in period_ms. count 0: unset, no limit. */
struct settings_rate {
	int64_t count;
	int64_t period_ms;
};

/* What a TYPE of settings.def is in C. Text is malloc'ed and owned by the settings; NULL: unset. */
#define SETTING_C_BOOL bool
#define SETTING_C_INT int64_t	/* OpenDKIM's integer: decimal, 0octal, 0xhex */
#define SETTING_C_OCTAL int64_t /* the same, printed in octal */
#define SETTING_C_DURATION                                                                         \
	int64_t /* milliseconds; written with ms s m h d, a bare number is seconds */
#define SETTING_C_SECONDS int64_t /* seconds; written like DURATION */
#define SETTING_C_ENUM int	  /* a constant of settings.h */
#define SETTING_C_RATE struct settings_rate
#define SETTING_C_STRING char *
#define SETTING_C_DATASET char * /* a data set's spec as written */
#define SETTING_C_FILE char *	 /* a file that the supervisor reads for its children */
#define SETTING_C_PATH char *	 /* another file, directory or program */

/** One number a setting: SETTING_ID_field. */
enum setting_id {
#define SETTING(name, type, field, ...) SETTING_ID_##field,
#include "config/settings.def"
	SETTING_ID_COUNT
};

/** Where a setting was written. */
struct settings_origin {
	char *source;	    /**< a file, or "command line"; malloc'ed; NULL: not known */
	unsigned long line; /**< from 1; 0: there are none */
};

/* One object: what the holes between the fields cost is no matter. */
struct settings { /* NOLINT(clang-analyzer-optin.performance.Padding): see above */
#define SETTING(name, type, field, ...) SETTING_C_##type field;
#include "config/settings.def"
	struct settings_origin origin[SETTING_ID_COUNT];
	bool is_set[SETTING_ID_COUNT]; /**< by a file or the command line, also when to its default
					*/
};

#endif
