/* Handing a message to an SMTP server (SMTPURI), best of this host: needs no program, so no rights.
 */
#ifndef DAEMON_SMTPSEND_H
#define DAEMON_SMTPSEND_H

#include "base/err.h"
#include "base/slice.h"
#include "config/smtp_uri.h"

#include <stdint.h>

/** What the server said last, or why it was not reached; NUL-terminated, foreign. */
struct smtpsend_said {
	char text[200];
};

/**
 * One message, envelope sender null. Sent when one recipient is accepted at least.
 * @param recipients addresses without brackets, blanks or controls; at least one
 * @param mail       lines end in LF, no longer than 998 bytes, ASCII
 * @param timeout_ms for the connection and the dialogue; the look-up of a host's name comes before
 * and takes as long as the system's resolver lets it
 * @return ERR_IO (not reached, or refused), ERR_TIMEOUT, ERR_PROTOCOL (it does not speak SMTP),
 * ERR_NOMEM
 */
NODISCARD enum err smtpsend(const struct smtp_uri *server, const struct slice *recipients,
			    size_t count, struct slice mail, int timeout_ms,
			    struct smtpsend_said *ret_said);

#endif
