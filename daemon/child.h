/* Starting a child: fork, drop privileges, exec; the control socket is its descriptor 3. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include "config/userid.h"

#include <sys/types.h>

/** The signer process's program, beside ours. A program is opened before privileges fall, so it may
 * lie in a folder that the user cannot enter; the kernel then names the process by a descriptor, so
 * each sets its own name. */
#define CHILD_SIGNER_PROGRAM "hsmdkim-signer"

/** Become this user for good, when we are root. @return ERR_DENIED with a detail */
NODISCARD enum err child_become(const struct userid *user, struct err_detail *detail);

struct child_program {
	const char *path;
	char *const *argv;	   /**< NULL-terminated */
	const struct userid *user; /**< used only when we are root */
	bool quiet;		   /**< standard error is /dev/null: it has no terminal */
	bool may_gain;	       /**< programs that it starts may have rights of their own (setgid) */
	bool keep_credentials; /**< leave $CREDENTIALS_DIRECTORY in its environment */
};

/**
 * The child gets sock as descriptor 3, 0 to 2 as they are, nothing else; it dies when we die.
 * @return ERR_IO with a detail. When exec fails the child exits with EX_UNAVAILABLE and says why on
 * standard error.
 */
NODISCARD enum err child_spawn(const struct child_program *program, int sock, pid_t *ret_pid,
			       struct err_detail *detail);

/** The path of a program that lies beside the running one, and of that one itself (name NULL).
 * @return ERR_IO, ERR_LIMIT */
NODISCARD enum err child_program_path(const char *name, char *out, size_t out_size);

#endif
