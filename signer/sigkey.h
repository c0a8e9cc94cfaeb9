/* The client's keys, made of the signer's answers; what is done with them stands in client.h. */
#ifndef SIGNER_SIGKEY_H
#define SIGNER_SIGKEY_H

#include "signer/client.h"
#include "signer/wire.h"

/** @param answer a WIRE_OPENED; copied @return NULL when memory is short */
NODISCARD struct sigkey *sigkey_new(struct slice name, const struct wire_msg *answer);

#endif
