/*
 * Where a PIN comes from: "file:/path", "credential:NAME" (a systemd credential) or "prompt" (the
 * terminal, at start). The supervisor reads it with the rights it was started with and hands the
 * bytes to the signer process among the files of a generation (config/files.h), under the name that
 * pinsource_name() gives.
 */
#ifndef CONFIG_PINSOURCE_H
#define CONFIG_PINSOURCE_H

#include "base/err.h"
#include "base/slice.h"
#include "config/files.h"

#include <sys/types.h>

/** The name under which files_map() finds the PIN of a token: the path of file:, "prompt:TOKEN",
 * else the source as written. @return the caller frees it; NULL when memory is short */
char *pinsource_name(struct slice source, struct slice token);

struct pinsource_rules {
	bool safe_only; /**< RequireSafeKeys: a file that others can read or write is refused */
	uid_t owner;	/**< whom a PIN file may belong to besides root: the user of the signer */
	bool may_ask;	/**< false: a prompt is passed over */
	const struct files *old; /**< of the generation in force: a prompt is answered from it, and
				    the terminal is not asked any more; NULL: none */
};

/**
 * Read the PIN of a source now, under its name; nothing happens when it is there already.
 * @param token its name: each token is asked for, two never share what was typed for one
 * @return ERR_CONFIG (a form that is none of the three, an unset $CREDENTIALS_DIRECTORY, no
 * terminal, a prompt of a token that is new in a reload), ERR_IO, ERR_FILE_UNSAFE, ERR_NOMEM with a
 * detail
 */
NODISCARD enum err pinsource_read(struct slice source, struct slice token,
				  const struct pinsource_rules *rules, struct files *files,
				  struct err_detail *detail);

#endif
