/* The signer process: a main thread that speaks to the supervisor, threads that read the milter's
 * requests, lanes that sign. */
#ifndef SIGNER_PROCESS_H
#define SIGNER_PROCESS_H

#include "config/handover.h"

/** Exit statuses that the supervisor may meet. */
enum {
	SIGNER_EXIT_OK = 0,
	SIGNER_EXIT_LOST =
		69, /**< the supervisor is gone or breaks the protocol (EX_UNAVAILABLE) */
	SIGNER_EXIT_FAILED = 71,		     /**< no memory, no threads (EX_OSERR) */
	SIGNER_EXIT_RESTART = HANDOVER_EXIT_RESTART, /**< a module needs a new process */
};

/** HANDOVER_CHECK_ARGUMENT. @return exit status */
int signer_process_check(void);

/** Serve until told to stop; never returns: worker threads may hang in a module. */
__attribute__((noreturn)) void signer_process_run(void);

#endif
