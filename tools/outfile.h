/* Files that are written whole or not at all. */
#ifndef TOOLS_OUTFILE_H
#define TOOLS_OUTFILE_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/types.h>

/**
 * Create a file that must not exist: written beside it under another name, synced, then linked to
 * its name. A kill at any moment leaves no part of it.
 * @return ERR_DENIED (a file of that name exists), ERR_IO, with a detail that names the path
 */
NODISCARD enum err outfile_create(const char *path, struct slice content, mode_t mode,
				  struct err_detail *detail);

/**
 * The same, in the place of a file that may exist; its mode and owner are kept when it does. A link
 * stays one: what it leads to is replaced. @return as outfile_target()
 */
NODISCARD enum err outfile_replace(const char *path, struct slice content, mode_t mode,
				   struct err_detail *detail);

/**
 * For output that a user names: outfile_replace(), but what is no regular file (a device, a FIFO)
 * is opened and written, and standard output's own file is written through it.
 */
NODISCARD enum err outfile_write(const char *path, struct slice content, mode_t mode,
				 struct err_detail *detail);

/** True when both paths lead to one regular file. */
bool outfile_same(const char *path, const char *other);

/**
 * Where links lead to that a new file's name stands for.
 * @param target PATH_MAX bytes
 * @return ERR_DENIED: something else than a regular file is there, or a link that is neither
 * root's nor ours; ERR_IO
 */
NODISCARD enum err outfile_target(const char *path, char *target, struct err_detail *detail);

/**
 * The steps of outfile_replace() behind outfile_target(), for a file that another library writes:
 * an empty file beside path, for its writer; then, when it is written, put in the place of path.
 * @param temp PATH_MAX bytes, its name @return ERR_IO
 */
NODISCARD enum err outfile_temp(const char *path, char *temp, struct err_detail *detail);
/** Removes temp when it fails. */
NODISCARD enum err outfile_adopt(const char *temp, const char *path, mode_t mode,
				 struct err_detail *detail);

/**
 * Give a new file of ours the owner, the group and at most the mode of a model, never more than
 * 0640; nothing happens when it has them. Without the right to give it away it stays ours.
 * @return ERR_IO; ERR_DENIED: it is not ours
 */
NODISCARD enum err outfile_like(const char *path, const char *model, struct err_detail *detail);

/** A directory, mode 0700, when there is none. @return ERR_IO */
NODISCARD enum err outfile_mkdir(const char *path, struct err_detail *detail);

/** True when path names anything, also a dangling link. */
bool outfile_exists(const char *path);

#endif
