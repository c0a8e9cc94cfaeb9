/*
 * Acting as the user that the daemon's signer process runs as: what a tool makes then belongs to
 * that user, and what the tool can read the daemon can read, too.
 */
#ifndef TOOLS_ACTAS_H
#define TOOLS_ACTAS_H

#include "config/settings.h"
#include "config/userid.h"

#include <sys/types.h>

#define ACTAS_GROUPS_MAX 256

struct actas {
	struct userid user; /**< not set: we stay who we are */
	const char *spec;   /**< the setting, for messages; the settings' */
	/* who we were */
	gid_t own_gid;
	int dumpable; /* the kernel takes it away with a change of ids; leak checkers need it */
	int group_count;
	gid_t groups[ACTAS_GROUPS_MAX];
};

/**
 * SignerUserID, else UserID; nobody else when neither is set or we are not root.
 * @param settings must outlive the user
 * @return ERR_CONFIG: there is no such user
 */
NODISCARD enum err actas_find(const struct settings *settings, struct actas *ret_user,
			      struct err_detail *detail);

/** The whole process has the user's effective ids until actas_end(). @return ERR_DENIED */
NODISCARD enum err actas_begin(struct actas *as, struct err_detail *detail);
/** Root again. Ends the process when that fails: nothing must go on half-way. */
void actas_end(const struct actas *as);

/** For messages: who it is, or "this user". */
const char *actas_name(const struct actas *as);

#endif
