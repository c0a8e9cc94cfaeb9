/* Handing a message to a program like sendmail(1): no shell, the message whole before the program
 * starts, an end to the waiting. */
#ifndef DAEMON_MTACOMMAND_H
#define DAEMON_MTACOMMAND_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct mtacommand_end {
	int status;	/**< exit status; 128 and the number of the signal; -1: it did not end */
	char said[200]; /**< start of its output, or why it was not started; NUL-terminated, foreign
			 */
};

/**
 * COMMAND -t "-f<>": recipients are those of the message, the envelope's sender is null.
 * The program gets the message as its input, a small environment, and a process group that is
 * killed at the deadline; one that we may not kill (setuid) is left behind a second later, and
 * waited for when the next is started. One thread only.
 * @param ret_end set also after an error
 * @return ERR_IO (not started, or cannot be waited for), ERR_TIMEOUT (killed or left)
 */
NODISCARD enum err mtacommand_run(const char *command, struct slice mail, int timeout_ms,
				  struct mtacommand_end *ret_end);

#endif
