/*
 * The check of a new generation's keys, in the background: each is opened as a message would open
 * it (found, audited, one signature made and verified), so that the log says what was found, and
 * what is wrong with a key before mail needs it. The first KEYCHECK_MAX rows; a host with more
 * looks the others up on first use.
 */
#ifndef SIGNER_KEYCHECK_H
#define SIGNER_KEYCHECK_H

#include "signer/request.h"

#define KEYCHECK_MAX 1000u

struct keycheck;

/** @param ring a reference is taken @return NULL when memory is short: there is no check then */
NODISCARD struct keycheck *keycheck_new(struct keyring *ring);

/**
 * Start the next few.
 * @return false: all rows have their answer
 */
bool keycheck_step(struct keycheck *check, const struct request_env *env);

/** Requests that are still under way finish without it. NULL-safe. */
void keycheck_stop(struct keycheck **check);

#endif
