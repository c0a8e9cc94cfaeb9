/*
 * Preloaded into tools by their tests.
 *
 * KILLSHIM_TRUNCATE=PATTERN: SIGTERM comes when a file with a name like this was first emptied, as
 * SoftHSM does before it writes one anew. With KILLSHIM_HANG the module hangs there instead, and
 * says so on standard error each time that a signal wakes it. KILLSHIM_LINK=fail: link() fails, so
 * no file is created whole.
 *
 * The process kills itself when it renames something to
 * the path of KILLSHIM_PATH, before it is done or right after (KILLSHIM_WHEN=before, after). That
 * is between what a step did and the note of it, and between the note and the next step; at no
 * other moment is it decided which of the two a reader of the state file sees.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int rename_fn(const char *from, const char *to);
typedef int ftruncate_fn(int fd, off_t length);

static void die_if(const char *when, const char *path)
{
	const char *wanted_path = getenv("KILLSHIM_PATH");
	const char *wanted = getenv("KILLSHIM_WHEN");

	if (wanted_path != NULL && wanted != NULL && strcmp(path, wanted_path) == 0 &&
	    strcmp(when, wanted) == 0)
		(void)raise(SIGKILL);
}

int rename(const char *from, const char *to)
{
	rename_fn *real;
	int status;

	*(void **)&real = dlsym(RTLD_NEXT, "rename");
	die_if("before", to);
	status = real(from, to);
	die_if("after", to);
	return status;
}

int link(const char *from, const char *to)
{
	rename_fn *real;

	*(void **)&real = dlsym(RTLD_NEXT, "link");
	if (getenv("KILLSHIM_LINK") == NULL)
		return real(from, to);
	errno = ENOSPC;
	return -1;
}

static void hang(void)
{
	static const char line[] = "hangs\n";
	sigset_t all;
	sigset_t before;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before); /* none is lost between the two */
	while (write(STDERR_FILENO, line, sizeof(line) - 1) > 0)
		(void)sigsuspend(&before);
}

int ftruncate(int fd, off_t length)
{
	static bool came;
	const char *pattern = getenv("KILLSHIM_TRUNCATE");
	char path[PATH_MAX];
	char link_path[64];
	ftruncate_fn *real;
	ssize_t len;
	int status;

	*(void **)&real = dlsym(RTLD_NEXT, "ftruncate");
	status = real(fd, length);
	(void)snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", fd);
	len = readlink(link_path, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	if (came || pattern == NULL || strrchr(path, '/') == NULL ||
	    fnmatch(pattern, strrchr(path, '/') + 1, 0) != 0)
		return status;
	came = true;
	if (getenv("KILLSHIM_HANG") != NULL)
		hang();
	(void)raise(SIGTERM);
	return status;
}
