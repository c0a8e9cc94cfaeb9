/* The MTA of hsmdkim -t: it knows every macro and does nothing but tell what it was asked for. */
#ifndef DAEMON_TESTMTA_H
#define DAEMON_TESTMTA_H

#include "base/arena.h"
#include "daemon/mta.h"

struct testmta {
	bool tell;	     /**< -v -v: print what it is asked for */
	struct arena *arena; /**< of the message: values of macros are there */
};

/** @param t outlives it */
struct mta testmta_mta(struct testmta *t);

#endif
