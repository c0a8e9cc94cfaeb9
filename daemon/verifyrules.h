/*
 * How messages are verified, from the settings of one generation: what dkim/verify is given, whose
 * results and whose signatures count. Immutable; part of a snapshot.
 */
#ifndef DAEMON_VERIFYRULES_H
#define DAEMON_VERIFYRULES_H

#include "base/err.h"
#include "config/files.h"
#include "config/settings.h"
#include "dkim/verify.h"
#include "keytable/dataset.h"

/** All pointers live as long as the rules; NULL where a setting is unset. */
struct verifyrules {
	/** Without the clock and the author, which are the message's. */
	struct dkim_verify_params params;
	/** AuthservID, with HOSTNAME put in. NULL: the MTA's name, macro "j". */
	const char *authserv_id;
	/** This host's name, for an MTA that does not say "j". */
	const char *host_name;
	const struct dataset *remove_ar_from;
	const struct dataset *trust_signatures_from;
};

/**
 * @return as dataset_open(); ERR_CONFIG for a Minimum that cannot be read. Free with
 * verifyrules_free()
 */
NODISCARD enum err verifyrules_new(const struct settings *settings, struct files *files,
				   struct verifyrules **ret_rules, struct err_detail *detail);
void verifyrules_free(struct verifyrules **rules);

#endif
