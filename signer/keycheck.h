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

/** What there is to do. */
enum keycheck_state {
	KEYCHECK_GOES_ON,
	KEYCHECK_DONE,	 /**< all rows have their answer */
	KEYCHECK_UNSEEN, /**< so they have, but a key was not on its token, and that may be because
			    some modules (tpm2-pkcs11, nShield's) see in a process what was there at
			    its start */
};

/**
 * @param ring a reference is taken
 * @param process_is_new  it has seen no older tables: a key that it doesn't find is not there
 * @return NULL when memory is short: there is no check then
 */
NODISCARD struct keycheck *keycheck_new(struct keyring *ring, bool process_is_new);

/** Start the next few. */
enum keycheck_state keycheck_step(struct keycheck *check, const struct request_env *env);

/** Requests that are still under way finish without it. NULL-safe. */
void keycheck_stop(struct keycheck **check);

#endif
