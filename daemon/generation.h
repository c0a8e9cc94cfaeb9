/*
 * One generation of the configuration in the supervisor: the settings and every file they name,
 * read once. The children get it by config/handover.h, again after each crash.
 */
#ifndef DAEMON_GENERATION_H
#define DAEMON_GENERATION_H

#include "config/files.h"
#include "config/settings.h"
#include "daemon/child.h"

#include <stdint.h>
#include <sys/types.h>

/** A setting given on the command line: it beats the file, on reload, too. */
struct generation_override {
	const char *name;
	const char *value;
};

#define GENERATION_OVERRIDES_MAX 32u

struct generation_source {
	const char *path; /**< configuration file; NULL: command line only */
	struct generation_override overrides[GENERATION_OVERRIDES_MAX];
	size_t overrides_count;
	bool never_ask;	  /**< -n: a PIN that comes from the terminal is left out */
	const char *mode; /**< Mode when nothing sets it; NULL: as the table of settings says */
};

/** Warnings that are kept for who asked for a reload; the log has all. */
#define GENERATION_WARNINGS_MAX 64u

struct generation {
	uint32_t number;
	struct settings *settings;
	struct files *milter; /**< what each process needs, no more */
	struct files *signer;
	struct settings_warnings warnings; /**< see generation_warn() */
	size_t warnings_more;		   /**< that have no room there */
};

/**
 * Settings only: file, command line, cross checks.
 * @return as settings_load_file() and settings_finish()
 */
NODISCARD enum err generation_settings(const struct generation_source *source,
				       struct settings **ret_settings,
				       struct settings_warnings *warnings,
				       struct err_detail *detail);

/** Change to BaseDirectory, where relative paths start: once, before the first generation_read().
 */
NODISCARD enum err generation_enter_base(const struct generation_source *source,
					 struct settings_warnings *warnings,
					 struct err_detail *detail);

/**
 * Settings, the bytes of every file they name, and the PINs.
 * @param old the generation in force, NULL: none; what was asked at the terminal comes from it
 * @return as settings_load_file(), settings_finish(), files_read(), pins_read()
 */
NODISCARD enum err generation_read(const struct generation_source *source,
				   const struct generation *old, uint32_t number,
				   struct generation **ret_generation,
				   struct settings_warnings *warnings, struct err_detail *detail);
/**
 * The generation in force with the PIN of one token read anew; settings and tables stay as they
 * are, whatever is on disk now.
 * @return ERR_NOT_FOUND: no such token; as tokentable_load() and pinsource_read(), with a detail
 */
NODISCARD enum err generation_relogin(const struct generation_source *source,
				      const struct generation *now, const char *token,
				      uint32_t number, struct generation **ret_generation,
				      struct err_detail *detail);
void generation_free(struct generation **generation);

/** Keep a warning about it. @param text copied */
void generation_warn(struct generation *g, const char *text);

/** Hand it to a child. The milter's settings leave out where keys and PINs are. */
NODISCARD enum err generation_send_signer(const struct generation *g, int sock);
NODISCARD enum err generation_send_milter(const struct generation *g, int sock);

/** The user that the signer process becomes; not set: none is named. @return ERR_CONFIG */
NODISCARD enum err generation_signer_user(const struct settings *s, struct userid *ret_user,
					  struct err_detail *detail);

/** Whom key and PIN files may belong to besides root: the user who signs with them. @return
 * ERR_CONFIG */
NODISCARD enum err generation_key_owner(const struct settings *s, uid_t *ret_owner,
					struct err_detail *detail);

#endif
