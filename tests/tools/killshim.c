/*
 * Preloaded into hsmdkim-rotate by its tests: the process kills itself when it renames something to
 * the path of KILLSHIM_PATH, before it is done or right after (KILLSHIM_WHEN=before, after). That
 * is between what a step did and the note of it, and between the note and the next step; at no
 * other moment is it decided which of the two a reader of the state file sees.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int rename_fn(const char *from, const char *to);

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
