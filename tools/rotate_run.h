/* What the steps of a rotation do: a table of effects over DNS, tables, tokens and the daemon. */
#ifndef TOOLS_ROTATE_RUN_H
#define TOOLS_ROTATE_RUN_H

#include "dns/resolver.h"
#include "tools/options.h"
#include "tools/rotate.h"
#include "tools/toolconf.h"

struct rotate_options {
	const char *config;
	const char *module;
	const char *pin_source;
	const char *state;
	const char *key;     /**< only this KeyTable name; NULL: all */
	const char *publish; /**< print, nsupdate, or a program's path */
	const char *tsig;    /**< nsupdate -k */
	const char *server;  /**< nsupdate's server, ADDRESS[@PORT] */
	const char *reload;  /**< a program; NULL: ControlSocket, or SIGHUP to PidFile's process */
	const char *nameservers;
	unsigned port;
	unsigned timeout_s;
	unsigned keep_days;
	unsigned grace_days;
	unsigned every_days;
	unsigned ttl_s;
	unsigned steps; /**< at most so many; 0: no limit */
};

extern const struct rotate_options rotate_defaults;
extern const struct option_spec rotate_spec;

struct rotate_run {
	const struct rotate_options *options;
	struct toolconf *conf;
	struct dns_resolver *resolver;
	struct rotate_state state;
	struct rotate_policy policy;
	int timeout_ms;
};

/**
 * Do the step that leaves the key's phase; changes key's halves, not its phase. Doing it twice is
 * harmless.
 * @return ERR_BUSY: not yet, with what is waited for
 */
NODISCARD enum err rotate_effect(struct rotate_run *run, struct rotate_key *key,
				 struct err_detail *detail);

/** What the step does, for plan and status. */
const char *rotate_step_text(enum rotate_step step);

/** Put the new key's record into DNS, or with revoke the old one's without p=. */
NODISCARD enum err rotate_publish(const struct rotate_run *run, const struct rotate_key *key,
				  bool revoke, struct err_detail *detail);

/** Print the record again that waits for someone to publish it, if it does: by these options, which
 * need not be those of the run that published it. */
void rotate_remind(const struct rotate_run *run, const struct rotate_key *key);

/** Do all authoritative servers have the new key? @return ERR_BUSY with which one has not */
NODISCARD enum err rotate_see(const struct rotate_run *run, const struct rotate_key *key,
			      struct err_detail *detail);

/** Write the new key into the KeyTable. */
NODISCARD enum err rotate_switch(const struct rotate_run *run, const struct rotate_key *key,
				 struct err_detail *detail);

/**
 * Can the daemon's signer process use this key? Read as its user: a file, or the key on its token.
 * @return ERR_DENIED with who cannot read what, and the mend; ERR_KEY_CHANGED (it is another key);
 * ERR_FILE_UNSAFE (the file is in reach of others); ERR_TOKEN_* and ERR_MODULE when the token does
 * not work for that user
 */
NODISCARD enum err rotate_try_key(const struct rotate_run *run, const struct rotate_half *half,
				  struct err_detail *detail);

/** Is there a way to reload the daemon? Only the settings are looked at. @return ERR_CONFIG */
NODISCARD enum err rotate_reload_known(const struct rotate_run *run, struct err_detail *detail);
/** Does that way lead to a daemon that runs? @return ERR_IO, ERR_PEER_LOST, ERR_CONFIG */
NODISCARD enum err rotate_reload_ready(const struct rotate_run *run, struct err_detail *detail);
/** Go it: --reload, else ControlSocket, else SIGHUP to PidFile's process. Over ControlSocket the
 * daemon is also asked whether it signs with the new selector now. @return ERR_CONFIG: it does not
 */
NODISCARD enum err rotate_reload(const struct rotate_run *run, const struct rotate_key *key,
				 struct err_detail *detail);

/** Run a program without a shell, input on its standard input; its output goes where ours goes.
 * @return ERR_IO with its exit status */
NODISCARD enum err rotate_program(char *const argv[], struct slice input,
				  struct err_detail *detail);

/** Save the state, whole or not at all. */
NODISCARD enum err rotate_save(const struct rotate_run *run, struct err_detail *detail);

/** The program. @return its exit status */
int rotate_main(int argc, char **argv);

#endif
