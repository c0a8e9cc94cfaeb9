/* Files that are written whole or not at all. */
#include "tools/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40u /* the kernel's own limit */

static enum err fail(const char *path, const char *what, struct err_detail *detail)
{
	err_detail_set(detail, "%s: %s: %s", path, what, strerror(errno));
	return ERR_IO;
}

static bool write_all(int fd, struct slice content)
{
	while (content.len != 0) {
		ssize_t n = write(fd, content.ptr, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		content = slice_sub(content, (size_t)n, content.len);
	}
	return true;
}

/* The folder's entry of a new file is as much worth as its bytes. */
static void sync_folder(const char *path)
{
	char *copy = strdup(path);
	char *slash = copy != NULL ? strrchr(copy, '/') : NULL;
	int fd;

	if (slash != NULL)
		*(slash == copy ? slash + 1 : slash) = '\0';
	fd = open(slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(copy);
}

/* @return its descriptor; -1: detail says why */
static int make_temp(const char *path, char *temp, struct err_detail *detail)
{
	int fd = -1;

	if (snprintf(temp, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX)
		errno = ENAMETOOLONG;
	else
		fd = mkstemp(temp); /* O_EXCL, 0600 */
	if (fd < 0)
		(void)fail(path, "cannot be created", detail);
	return fd;
}

/* One hop of a link. In a folder of another user a link may have been put there for us to fall
 * over: only root's and our own lead on. */
static enum err hop(char *target, const struct stat *st, struct err_detail *detail)
{
	char link[PATH_MAX];
	char *slash = strrchr(target, '/');
	int base = slash != NULL ? (int)(slash - target) + 1 : 0;
	char folder[PATH_MAX];
	ssize_t len;

	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		err_detail_set(detail,
			       "%s: is a link of another user and is not followed; name the file "
			       "that it leads to",
			       target);
		return ERR_DENIED;
	}
	len = readlink(target, link, sizeof(link));
	if (len <= 0)
		return fail(target, "cannot be followed", detail);
	(void)snprintf(folder, sizeof(folder), "%.*s", link[0] == '/' ? 0 : base, target);
	if (snprintf(target, PATH_MAX, "%s%.*s", folder, (int)len, link) < PATH_MAX)
		return ERR_OK;
	errno = ENAMETOOLONG;
	return fail(folder, "cannot be followed", detail);
}

enum err outfile_target(const char *path, char *target, struct err_detail *detail)
{
	struct stat st;
	enum err e = ERR_OK;

	if (snprintf(target, PATH_MAX, "%s", path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return fail(path, "cannot be created", detail);
	}
	for (unsigned i = 0; e == ERR_OK; i++) {
		if (lstat(target, &st) != 0 || S_ISREG(st.st_mode))
			return ERR_OK;
		if (!S_ISLNK(st.st_mode)) {
			err_detail_set(detail, "%s: is not a regular file and is not replaced",
				       target);
			return ERR_DENIED;
		}
		errno = ELOOP;
		e = i < LINKS_MAX ? hop(target, &st, detail)
				  : fail(path, "cannot be followed", detail);
	}
	return e;
}

bool outfile_same(const char *path, const char *other)
{
	struct stat a;
	struct stat b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && S_ISREG(a.st_mode) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

enum err outfile_temp(const char *path, char *temp, struct err_detail *detail)
{
	int fd = make_temp(path, temp, detail);

	if (fd < 0)
		return ERR_IO;
	(void)close(fd);
	return ERR_OK;
}

/* A temporary file beside path with the content, synced. @param temp PATH_MAX bytes, its name */
static enum err write_temp(const char *path, struct slice content, mode_t mode, char *temp,
			   struct err_detail *detail)
{
	int fd = make_temp(path, temp, detail);
	bool good;

	if (fd < 0)
		return ERR_IO;
	good = write_all(fd, content) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	if (close(fd) != 0 || !good) {
		enum err e = fail(path, "cannot be written", detail);

		(void)unlink(temp);
		return e;
	}
	return ERR_OK;
}

enum err outfile_create(const char *path, struct slice content, mode_t mode,
			struct err_detail *detail)
{
	char temp[PATH_MAX];
	enum err e = write_temp(path, content, mode, temp, detail);

	if (e != ERR_OK)
		return e;
	if (link(temp, path) != 0) {
		e = fail(path, "cannot be created", detail);
		if (errno == EEXIST) {
			err_detail_set(detail, "%s: exists already and is not overwritten", path);
			e = ERR_DENIED;
		}
	}
	(void)unlink(temp);
	if (e == ERR_OK)
		sync_folder(path);
	return e;
}

enum err outfile_replace(const char *path, struct slice content, mode_t mode,
			 struct err_detail *detail)
{
	char target[PATH_MAX];
	char temp[PATH_MAX];
	enum err e = outfile_target(path, target, detail);

	if (e == ERR_OK)
		e = write_temp(target, content, mode, temp, detail);
	return e == ERR_OK ? outfile_adopt(temp, target, mode, detail) : e;
}

/* As it is: a device, a FIFO. */
static enum err write_into(const char *path, struct slice content, struct err_detail *detail)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	bool good = fd >= 0 && write_all(fd, content);

	if (fd >= 0 && close(fd) != 0)
		good = false;
	return good ? ERR_OK : fail(path, "cannot be written", detail);
}

enum err outfile_write(const char *path, struct slice content, mode_t mode,
		       struct err_detail *detail)
{
	struct stat st;
	struct stat out;

	if (stat(path, &st) != 0)
		return outfile_replace(path, content, mode, detail);
	/* also when that is a file: the shell has it open, and maybe to append */
	if (fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == st.st_dev && out.st_ino == st.st_ino)
		return write_all(STDOUT_FILENO, content) ? ERR_OK
							 : fail(path, "cannot be written", detail);
	return S_ISREG(st.st_mode) ? outfile_replace(path, content, mode, detail)
				   : write_into(path, content, detail);
}

/* By a descriptor, and only what is ours and nobody else's: in a folder of another user the name
 * may by now mean another file. */
static enum err give(const char *temp, const char *path, mode_t mode, const struct stat *old,
		     struct err_detail *detail)
{
	int fd = open(temp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	enum err e = ERR_OK;

	if (fd < 0)
		return fail(path, "cannot be written", detail);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_uid != geteuid()) {
		err_detail_set(detail, "%s: somebody changed the folder meanwhile", path);
		e = ERR_DENIED;
	} else if (fchmod(fd, mode) != 0) {
		e = fail(path, "cannot be given its mode", detail);
	}
	/* Without the right to give it away the new file stays ours, as with any editor. */
	if (e == ERR_OK && old != NULL && fchown(fd, old->st_uid, old->st_gid) != 0)
		errno = 0;
	(void)close(fd);
	return e;
}

enum err outfile_adopt(const char *temp, const char *path, mode_t mode, struct err_detail *detail)
{
	struct stat old;
	bool existed = lstat(path, &old) == 0;
	enum err e = give(temp, path, existed ? old.st_mode & 0777 : mode, existed ? &old : NULL,
			  detail);

	if (e == ERR_OK && rename(temp, path) != 0)
		e = fail(path, "cannot be replaced", detail);
	if (e == ERR_OK)
		sync_folder(path);
	else
		(void)unlink(temp);
	return e;
}

enum err outfile_like(const char *path, const char *model, struct err_detail *detail)
{
	struct stat want;
	struct stat st;

	if (stat(model, &want) != 0)
		return fail(model, "cannot be looked at", detail);
	if (lstat(path, &st) != 0)
		return fail(path, "cannot be looked at", detail);
	if (S_ISREG(st.st_mode) && st.st_uid == want.st_uid && st.st_gid == want.st_gid &&
	    (st.st_mode & 0777) == (want.st_mode & 0640))
		return ERR_OK;
	return give(path, path, want.st_mode & 0640, &want, detail);
}

enum err outfile_mkdir(const char *path, struct err_detail *detail)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return ERR_OK;
	return fail(path, "cannot be created", detail);
}

bool outfile_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}
