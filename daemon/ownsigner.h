/* A signer process for one run, without a supervisor that starts it again: for hsmdkim -t,
 * and for -n, which only wants to know what it says of the tables. */
#ifndef DAEMON_OWNSIGNER_H
#define DAEMON_OWNSIGNER_H

#include "daemon/generation.h"
#include "signer/client.h"

struct ownsigner {
	pid_t pid; /**< 0: there is none */
	int control;
	struct sigclient *client;
};

struct ownsigner_how {
	const char *argument; /**< HANDOVER_CHECK_ARGUMENT, or NULL */
	bool keep_credentials;
	bool quiet;
	int timeout_ms;			    /**< between two of its messages */
	struct settings_warnings *warnings; /**< gets its notes; NULL: nobody does */
};

/**
 * Start it as SignerUserID or UserID says, give it the tables and wait until they are loaded; it is
 * not in service.
 * @param ret_signer ownsigner_stop() it, also on failure
 * @return ERR_CONFIG (a table is wrong), ERR_IO, ERR_TIMEOUT, ERR_PROTOCOL, ERR_NOMEM with a detail
 */
NODISCARD enum err ownsigner_load(const struct generation *g, const struct ownsigner_how *how,
				  struct ownsigner *ret_signer, struct err_detail *detail);

/**
 * The same, and put it in service.
 * @param quiet its log lines do not go to standard error
 * @param ret_signer ownsigner_stop() it, also on failure
 * @return as ownsigner_load()
 */
NODISCARD enum err ownsigner_start(const struct generation *g, bool quiet,
				   struct ownsigner *ret_signer, struct err_detail *detail);
void ownsigner_stop(struct ownsigner *signer);

#endif
