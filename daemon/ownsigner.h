/* A signer process for one run, without a supervisor that starts it again: for hsmdkim -t. */
#ifndef DAEMON_OWNSIGNER_H
#define DAEMON_OWNSIGNER_H

#include "daemon/generation.h"
#include "signer/client.h"

struct ownsigner {
	pid_t pid; /**< 0: there is none */
	int control;
	struct sigclient *client;
};

/**
 * Start it as SignerUserID or UserID says, give it the tables and wait until they are loaded.
 * @param quiet its log lines do not go to standard error
 * @param ret_signer ownsigner_stop() it, also on failure
 * @return ERR_CONFIG (a table is wrong), ERR_IO, ERR_TIMEOUT, ERR_NOMEM with a detail
 */
NODISCARD enum err ownsigner_start(const struct generation *g, bool quiet,
				   struct ownsigner *ret_signer, struct err_detail *detail);
void ownsigner_stop(struct ownsigner *signer);

#endif
