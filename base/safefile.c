/* Permissions of key and PIN files: see safefile.h. */
#define _XOPEN_SOURCE 700 /* realpath, S_ISVTX */
#include "base/safefile.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who cannot read it, and the command that mends it. */
static void explain_denied(const char *path, struct err_detail *detail)
{
	char room[4096];
	char number[24];
	struct passwd entry;
	struct passwd *found = NULL;
	const char *name = number;

	(void)snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
	if (getpwuid_r(geteuid(), &entry, room, sizeof(room), &found) == 0 && found != NULL)
		name = entry.pw_name;
	err_detail_set(
		detail,
		"%s: cannot be read by user %s: chown %s %s, and let it enter the folders above",
		path, name, name, path);
}

void safefile_explain(const char *path, int error, struct err_detail *detail)
{
	if (error == EACCES)
		explain_denied(path, detail);
	else
		err_detail_set(detail, "%s: %s", path, strerror(error));
}

static enum err owned_by_another(const char *path, const struct stat *st, uid_t owner,
				 struct err_detail *detail)
{
	if (st->st_uid == 0 || st->st_uid == owner)
		return ERR_OK;
	err_detail_set(
		detail,
		"%s belongs to user %u, who could change it: give it to root (chown root %s)", path,
		(unsigned)st->st_uid, path);
	return ERR_FILE_UNSAFE;
}

static enum err check_file(const char *path, uid_t owner, struct err_detail *detail)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		safefile_explain(path, errno, detail);
		return ERR_IO;
	}
	if ((st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
		err_detail_set(detail,
			       "%s can be read or written by others (mode %04o): chmod 0600 %s",
			       path, (unsigned)(st.st_mode & 07777), path);
		return ERR_FILE_UNSAFE;
	}
	return owned_by_another(path, &st, owner, detail);
}

static enum err check_directory(const char *path, uid_t owner, struct err_detail *detail)
{
	struct stat st;
	mode_t loose = S_IWOTH;

	if (stat(path, &st) != 0) {
		safefile_explain(path, errno, detail);
		return ERR_IO;
	}
	if (st.st_gid != 0)
		loose |= S_IWGRP;
	if ((st.st_mode & loose) != 0 && (st.st_mode & S_ISVTX) == 0) {
		err_detail_set(detail,
			       "directory %s can be written by others (mode %04o): "
			       "chmod go-w %s",
			       path, (unsigned)(st.st_mode & 07777), path);
		return ERR_FILE_UNSAFE;
	}
	return owned_by_another(path, &st, owner, detail);
}

enum err safefile_check(const char *path, uid_t owner, struct err_detail *detail)
{
	char *real = realpath(path, NULL);
	char *slash;
	enum err err;

	if (real == NULL) {
		safefile_explain(path, errno, detail);
		return ERR_IO;
	}
	err = check_file(real, owner, detail);
	while (err == ERR_OK && (slash = strrchr(real, '/')) != NULL) {
		bool root = slash == real;

		slash[root ? 1 : 0] = '\0';
		err = check_directory(real, owner, detail);
		if (root)
			break;
	}
	free(real);
	return err;
}
