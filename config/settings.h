/*
 * The settings of opendkim.conf(5) and our own: one row each in config/settings.def makes the
 * parser, the default, the limits, the -n check, the printed configuration and the man page.
 *
 * Field names are the setting's name in snake_case: MinimumKeyBits is minimum_key_bits; durations
 * end in _ms or _s. BOOL is bool, INT is int64_t, STRING (and DATASET, a data set's spec as
 * written) is char *, NULL when unset, ENUM is an int with constants named beside its table.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>
#include <stdio.h>

#include "config/settings_fields.h" /* struct settings, made from settings.def */

/** Canonicalization: a sum of these; 0 is simple/simple. */
#define CANONICALIZATION_RELAXED_HEADER 1
#define CANONICALIZATION_RELAXED_BODY 2

/** Mode: a sum of these. */
#define MODE_SIGN 1
#define MODE_VERIFY 2

/** On-*. The first words of each list are in settings_words.c; UNSET is only On-Default's. */
enum settings_action {
	ACTION_ACCEPT,
	ACTION_DISCARD,
	ACTION_QUARANTINE,
	ACTION_REJECT,
	ACTION_TEMPFAIL,
	ACTION_UNSET,
};

/** BogusKey, UnprotectedKey. */
enum settings_dnssec { DNSSEC_NONE, DNSSEC_NEUTRAL, DNSSEC_FAIL };

/** SignatureAlgorithm: accepted, the key decides. */
enum settings_algorithm {
	ALGORITHM_AUTO,
	ALGORITHM_RSA_SHA256,
	ALGORITHM_ED25519_SHA256,
	ALGORITHM_RSA_SHA1
};

/* SyslogFacility holds syslog(3)'s LOG_MAIL and so on. */

/** Things that are worth a line but no failure; the caller logs them. */
struct settings_warnings {
	char **texts;
	size_t count;
};

/** Append a copy of text; out of memory loses the warning, never the load. w may be NULL. */
void settings_warn(struct settings_warnings *w, const char *text);

void settings_warnings_done(struct settings_warnings *w);

/** All defaults. @return NULL when memory is short */
NODISCARD struct settings *settings_new(void);
void settings_free(struct settings **s);

/** How a file is read; the real one opens it, tests and -n use their own. */
struct settings_reader {
	/** @param ret_text malloc'ed, NUL-terminated @return ERR_IO, ERR_LIMIT with a detail */
	enum err (*read)(void *ctx, const char *path, char **ret_text, size_t *ret_len,
			 struct err_detail *detail);
	void *ctx;
};

extern const struct settings_reader settings_reader_files;

/**
 * Read a configuration file and what it includes (5 deep) into s, OpenDKIM's syntax: '#' cuts a
 * line anywhere, names without case, the last one wins.
 * @param warnings  gets a text for each line that is known to OpenDKIM and does nothing here, and
 * "also wrong: ..." for each further error (20 at most are told); NULL: ends at the first error
 * @return ERR_CONFIG, ERR_IO with "FILE: configuration error at line N: what and how to mend"; s is
 * then not to be used
 */
NODISCARD enum err settings_load_file(struct settings *s, const char *path,
				      const struct settings_reader *reader,
				      struct settings_warnings *warnings,
				      struct err_detail *detail);

/** The same for a text that is in memory. @param origin stands in messages for the file name */
NODISCARD enum err settings_load_text(struct settings *s, struct slice text, const char *origin,
				      const struct settings_reader *reader,
				      struct settings_warnings *warnings,
				      struct err_detail *detail);

/** One setting, as from the command line. Same errors, without file and line. */
NODISCARD enum err settings_set(struct settings *s, struct slice name, struct slice value,
				struct settings_warnings *warnings, struct err_detail *detail);

/** Remember where the setting was written; a name that is no setting is left out.
 * @param line 0: the source has no lines @return ERR_NOMEM */
NODISCARD enum err settings_remember(struct settings *s, struct slice name, const char *source,
				     unsigned long line);

/** What settings_remember() was told of from. @return ERR_NOMEM */
NODISCARD enum err settings_copy_origins(struct settings *to, const struct settings *from);

/** Put "FILE:LINE: " before an error that names a setting ("Socket x: unknown form", "entry 1 of
 * InternalHosts: ..."); one that begins with another place, or names none, stays as it is. */
void settings_place_error(const struct settings *s, struct err_detail *detail);

/** What no single line can show: Domain without Selector, KeyTable without SigningTable, ... and
 * the On-Default order. Call once after the last source. @return ERR_CONFIG; errors and warnings
 * say where the setting stands, when that is known */
NODISCARD enum err settings_finish(struct settings *s, struct settings_warnings *warnings,
				   struct err_detail *detail);

/**
 * For a reload: settings that are read at start only keep the running value in next.
 * @param warnings gets a text for each that the file would have changed
 * @return ERR_NOMEM; next is then not to be used
 */
NODISCARD enum err settings_keep_start(struct settings *next, const struct settings *running,
				       struct settings_warnings *warnings);

/** Print "Name<TAB>value" for every setting that is not at its default (all: every setting).
 * settings_load_text() reads it back to the same settings: this is what crosses to the children. */
NODISCARD enum err settings_print(const struct settings *s, bool all, FILE *out);

/** Print the value of one setting, with a line end. @return ERR_SYNTAX: no such setting;
 * ERR_NOT_FOUND: it has no value; ERR_IO */
NODISCARD enum err settings_print_one(const struct settings *s, struct slice name, FILE *out);

/** Every setting that the file or the command line names, in the table's order. */
void settings_each_set(const struct settings *s, void (*fn)(void *ctx, const char *name),
		       void *ctx);

/** The hsmdkim.conf(5) part that is made from the table (mdoc). */
void settings_print_man(FILE *out);

/**
 * Call fn for every file that a setting which is set names: the path of file: and refile: data
 * sets, of PATH settings that name a table, and of KeyFile and PKCS11PinSource when they are files.
 * This is what the supervisor reads for a generation.
 * @param fn path is valid until s changes; use is a sum of enum dataset_use
 */
enum dataset_use {
	DATASET_USE_MILTER = 1, /**< SigningTable, host lists, ... */
	DATASET_USE_SIGNER = 2, /**< KeyTable, TokenTable, KeyFile, PINs */
	DATASET_USE_LIVE = 4,	/**< besides: a live file (config/files.h) */
};
void settings_each_file(const struct settings *s,
			void (*fn)(void *ctx, const char *name, const char *path, unsigned use),
			void *ctx);

#endif
