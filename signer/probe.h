/*
 * A probe of a token: a session and, once a key has signed there, a signature. Made when a token is
 * new, when it is in doubt, when it rests, and now and then when it is idle.
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
