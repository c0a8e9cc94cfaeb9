/* The users that the settings name: see userid.h. */
#define _GNU_SOURCE /* initgroups, setgroups */
#include "config/userid.h"

#include "base/slice.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static bool numeric(const char *text, unsigned long long *ret_id)
{
	return slice_u64(slice_str(text), ret_id) && *ret_id < UINT_MAX;
}

static bool find_group(const char *name, gid_t *ret_gid)
{
	const struct group *group = getgrnam(name);
	unsigned long long id;

	if (group != NULL)
		*ret_gid = group->gr_gid;
	else if (numeric(name, &id))
		*ret_gid = (gid_t)id;
	else
		return false;
	return true;
}

static bool find_passwd(const char *name, struct userid *user)
{
	unsigned long long id = 0;
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL && numeric(name, &id))
		pw = getpwuid((uid_t)id);
	if (pw == NULL && !numeric(name, &id))
		return false;
	user->uid = pw != NULL ? pw->pw_uid : (uid_t)id;
	user->gid = pw != NULL ? pw->pw_gid : (gid_t)id;
	if (pw != NULL)
		(void)snprintf(user->name, sizeof(user->name), "%s", pw->pw_name);
	return true;
}

enum err userid_find(const char *setting, const char *spec, struct userid *ret_user,
		     struct err_detail *detail)
{
	struct userid user = { .set = true };
	char text[256];
	char *colon;

	if ((size_t)snprintf(text, sizeof(text), "%s", spec) >= sizeof(text)) {
		err_detail_set(detail, "%s: the name is too long", setting);
		return ERR_CONFIG;
	}
	colon = strchr(text, ':');
	if (colon != NULL)
		*colon++ = '\0';
	if (!find_passwd(text, &user)) {
		err_detail_set(detail, "%s: no user \"%s\"; make it or write another", setting,
			       text);
		return ERR_CONFIG;
	}
	if (colon != NULL && !find_group(colon, &user.gid)) {
		err_detail_set(detail, "%s: no group \"%s\"; make it or write another", setting,
			       colon);
		return ERR_CONFIG;
	}
	*ret_user = user;
	return ERR_OK;
}

bool userid_take_groups(const struct userid *user)
{
	return user->name[0] != '\0' ? initgroups(user->name, user->gid) == 0
				     : setgroups(0, NULL) == 0;
}
