/* What the log says of a message that was verified: OpenDKIM's lines, for those who search for
 * them. */
#ifndef DAEMON_VERIFYLOG_H
#define DAEMON_VERIFYLOG_H

#include "config/settings.h"
#include "daemon/reply.h"
#include "daemon/verifying.h"

/**
 * @param id     queue id
 * @param cause  of dkim_verify_cause(); unused when the message has no signatures that count
 */
void verifylog_message(const char *id, const struct settings *settings, const struct verifying *v,
		       enum dkim_cause cause);

#endif
