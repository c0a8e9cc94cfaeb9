/* Acting as the user of the daemon's signer process. */
#define _GNU_SOURCE /* initgroups, setgroups */
#include "tools/actas.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool numeric(const char *text, unsigned long long max, unsigned long long *ret_id)
{
	return slice_u64(slice_str(text), ret_id) && *ret_id < max;
}

static bool find_user(const char *name, struct actas *user)
{
	const struct passwd *entry = getpwnam(name);
	unsigned long long id = 0;

	if (entry == NULL && numeric(name, (uid_t)-1, &id))
		entry = getpwuid((uid_t)id);
	if (entry == NULL && id == 0)
		return false;
	user->uid = entry != NULL ? entry->pw_uid : (uid_t)id;
	user->gid = entry != NULL ? entry->pw_gid : (gid_t)id;
	return true;
}

static bool find_group(const char *name, gid_t *ret_gid)
{
	const struct group *entry = getgrnam(name);
	unsigned long long id = 0;

	if (entry == NULL && !numeric(name, (gid_t)-1, &id))
		return false;
	*ret_gid = entry != NULL ? entry->gr_gid : (gid_t)id;
	return true;
}

enum err actas_find(const struct settings *settings, struct actas *ret_user,
		    struct err_detail *detail)
{
	bool own = settings->signer_user_id != NULL;
	const char *spec = own ? settings->signer_user_id : settings->user_id;
	char *colon;
	enum err e = ERR_OK;

	memset(ret_user, 0, sizeof(*ret_user));
	if (spec == NULL || geteuid() != 0)
		return ERR_OK;
	ret_user->name = slice_dup(slice_str(spec));
	if (ret_user->name == NULL)
		return ERR_NOMEM;
	colon = strchr(ret_user->name, ':');
	if (colon != NULL)
		*colon = '\0';
	if (!find_user(ret_user->name, ret_user) ||
	    (colon != NULL && !find_group(colon + 1, &ret_user->gid))) {
		err_detail_set(detail, "%s %s: no such user or group",
			       own ? "SignerUserID" : "UserID", spec);
		e = ERR_CONFIG;
	}
	if (e != ERR_OK || ret_user->uid == 0)
		actas_done(ret_user);
	return e;
}

void actas_done(struct actas *user)
{
	free(user->name);
	user->name = NULL;
}

enum err actas_begin(struct actas *user, struct err_detail *detail)
{
	if (user->name == NULL)
		return ERR_OK;
	user->own_gid = getegid();
	user->dumpable = prctl(PR_GET_DUMPABLE);
	user->group_count = getgroups(ACTAS_GROUPS_MAX, user->groups);
	if (user->group_count >= 0 && initgroups(user->name, user->gid) == 0 &&
	    setegid(user->gid) == 0 && seteuid(user->uid) == 0)
		return ERR_OK;
	err_detail_set(detail, "cannot become user %s: %s", user->name, strerror(errno));
	actas_end(user);
	return ERR_DENIED;
}

void actas_end(const struct actas *user)
{
	if (user->name == NULL)
		return;
	if (seteuid(0) == 0 && setegid(user->own_gid) == 0 &&
	    (user->group_count < 0 || setgroups((size_t)user->group_count, user->groups) == 0)) {
		if (user->dumpable == 1)
			(void)prctl(PR_SET_DUMPABLE, 1);
		return;
	}
	(void)fprintf(stderr, "cannot become root again: %s\n", strerror(errno));
	abort();
}

const char *actas_name(const struct actas *user)
{
	return user->name != NULL ? user->name : "this user";
}
