/* Files that hold keys and PINs must not be within reach of others (RequireSafeKeys). */
#ifndef BASE_SAFEFILE_H
#define BASE_SAFEFILE_H

#include "base/err.h"

#include <sys/types.h>

/**
 * Check the file and every directory above it: the file belongs to root or to owner, others cannot
 * read or write it, its group cannot write it; no directory on the way can be written by others
 * (one with the sticky bit may) or belongs to another user. Then nobody else can put another file
 * in its place either, so the check holds until the file is opened.
 * @param owner whom the file may belong to besides root: the user who uses it, who has its bytes
 * anyway
 * @param path absolute, or relative to the current directory; links are followed
 * @return ERR_FILE_UNSAFE with a detail that names the path at fault, its mode or owner and the
 * command that mends it; ERR_IO (it is not there or out of reach), as safefile_explain()
 */
NODISCARD enum err safefile_check(const char *path, uid_t owner, struct err_detail *detail);

/** For a file that this process could not read: set the detail to "path: why"; where it may not,
 * also to who cannot and the command that mends it. @param error errno */
void safefile_explain(const char *path, int error, struct err_detail *detail);

#endif
