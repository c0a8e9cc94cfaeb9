/* What -n says about an opendkim.conf beyond right or wrong: what works, what is not done, what
 * differs, which keys are still files and how they get to the token. */
#ifndef DAEMON_MIGRATION_H
#define DAEMON_MIGRATION_H

#include "daemon/generation.h"
#include "keytable/keytable.h"

struct migration_input {
	const struct settings *settings;
	const char *config;	     /**< path of the configuration; NULL: none */
	const struct keytable *keys; /**< NULL: nothing signs */
	struct files *files;	     /**< the signer's */
	size_t warnings;	     /**< lines that were printed before */
};

/** Print it to standard output. */
void migration_print(const struct migration_input *in);

#endif
