/* The users that the settings name: UserID, SignerUserID, ControlUserID. */
#ifndef CONFIG_USERID_H
#define CONFIG_USERID_H

#include "base/err.h"

#include <sys/types.h>

struct userid {
	bool set;
	uid_t uid;
	gid_t gid;
	char name[65]; /**< for initgroups(); empty: no supplementary groups */
};

/** "user", "user:group", "uid", "uid:gid"; an id is less than 2^32-1, which no one can have.
 * @return ERR_CONFIG with a detail that begins with the setting */
NODISCARD enum err userid_find(const char *setting, const char *spec, struct userid *ret_user,
			       struct err_detail *detail);

/** Take the user's supplementary groups, as root. @return false: errno says why */
NODISCARD bool userid_take_groups(const struct userid *user);

#endif
