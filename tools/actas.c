/* Acting as the user of the daemon's signer process. */
#define _GNU_SOURCE /* setgroups */
#include "tools/actas.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum err actas_find(const struct settings *settings, struct actas *ret_user,
		    struct err_detail *detail)
{
	bool own = settings->signer_user_id != NULL;
	const char *spec = own ? settings->signer_user_id : settings->user_id;
	enum err e;

	memset(ret_user, 0, sizeof(*ret_user));
	if (spec == NULL || geteuid() != 0)
		return ERR_OK;
	e = userid_find(own ? "SignerUserID" : "UserID", spec, &ret_user->user, detail);
	if (e == ERR_OK && ret_user->user.uid == 0)
		ret_user->user.set = false;
	ret_user->spec = spec;
	return e;
}

enum err actas_begin(struct actas *as, struct err_detail *detail)
{
	if (!as->user.set)
		return ERR_OK;
	as->own_gid = getegid();
	as->dumpable = prctl(PR_GET_DUMPABLE);
	as->group_count = getgroups(ACTAS_GROUPS_MAX, as->groups);
	if (as->group_count >= 0 && userid_take_groups(&as->user) && setegid(as->user.gid) == 0 &&
	    seteuid(as->user.uid) == 0)
		return ERR_OK;
	err_detail_set(detail, "cannot become user %s: %s", as->spec, strerror(errno));
	actas_end(as);
	return ERR_DENIED;
}

void actas_end(const struct actas *as)
{
	if (!as->user.set)
		return;
	if (seteuid(0) == 0 && setegid(as->own_gid) == 0 &&
	    (as->group_count < 0 || setgroups((size_t)as->group_count, as->groups) == 0)) {
		if (as->dumpable == 1)
			(void)prctl(PR_SET_DUMPABLE, 1);
		return;
	}
	(void)fprintf(stderr, "cannot become root again: %s\n", strerror(errno));
	abort();
}

const char *actas_name(const struct actas *as)
{
	return as->user.set ? as->spec : "this user";
}
