/* Looks after the tokens of a generation: deadlines, probes, workers that hang. Main thread only.
 */
#ifndef SIGNER_WATCH_H
#define SIGNER_WATCH_H

#include "signer/request.h"

/** With tokens, look at least this often. */
#define WATCH_MS 1000

/**
 * Expire what is over its deadline, start the probes that are due, and say when a module hangs so
 * that only a new process helps.
 * @param probe true for the generation in force
 */
void watch_tokens(const struct request_env *env, struct keyring *ring, bool probe);

/** Every token of it was reached, or was tried in vain. */
bool watch_all_tried(const struct keyring *ring);

#endif
