/*
 * A probe of a token: a session and a signature; where no key is known yet, the token is asked what
 * it says of itself. Made when a token is new, when it is in doubt, when it rests, and when it was
 * idle for BREAKER_IDLE_MS: so that hsmdkim-ctl knows of a dead one before mail meets it.
 */
#ifndef SIGNER_PROBE_H
#define SIGNER_PROBE_H

#include "signer/request.h"
#include "signer/tokenlane.h"

/**
 * Queue a probe.
 * @param first  the token is new: a line in the log says that it is in service
 * @return ERR_BUSY, ERR_NOMEM
 */
NODISCARD enum err probe_start(const struct request_env *env, struct tokenlane *token,
			       int64_t deadline_ms, bool first);

#endif
