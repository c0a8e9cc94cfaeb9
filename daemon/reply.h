/*
 * What the MTA is told when a message cannot be handled as it should: one mapping from the error to
 * the setting that answers it, and from its action to the SMTP reply. By default no error lets a
 * message that should be signed leave unsigned.
 */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include "base/err.h"
#include "config/settings.h"
#include "daemon/mta.h"
#include "dkim/result.h"

/** The On- settings, and what none of them answers; one row each in reply.c. */
enum policy {
	POLICY_TOKEN_FAILURE,
	POLICY_INTERNAL_ERROR,
	POLICY_SIGNATURE_ERROR,
	POLICY_SECURITY,
	POLICY_BAD_SIGNATURE,
	POLICY_DNS_ERROR,
	POLICY_KEY_NOT_FOUND,
	POLICY_NO_SIGNATURE,
	POLICY_KEY_MISSING, /**< no setting: deferred, as OpenDKIM does */
	POLICY_COUNT
};

/** Which setting answers an error that was met while signing. */
enum policy policy_for_signing(enum err e);

/** The same for an error of ours that was met while verifying. */
enum policy policy_for_verifying(enum err e);

/** Which setting answers a message whose signatures are not good. @param cause not
 * DKIM_CAUSE_NONE */
enum policy policy_for_cause(enum dkim_cause cause);

/** "On-TokenFailure" */
const char *policy_name(enum policy p);

/** The action that the settings give it. */
enum settings_action policy_action(enum policy p, const struct settings *s);

struct reply {
	enum settings_action action;
	enum answer answer;
	const char *code;  /**< "451"; NULL: the answer has no SMTP reply */
	const char *xcode; /**< "4.7.0" */
	const char *text;  /**< OpenDKIM's words where it has some */
	bool quarantine;   /**< ask the MTA to quarantine, then accept */
};

struct reply reply_for(enum policy p, enum settings_action action);

/** What happened to the message, for the log: "deferred", "rejected", "passed on unsigned", ...
 * @param signing false: it was to be verified, and is "passed on unverified" */
const char *reply_outcome(enum settings_action action, bool signing);

/** What an administrator does about an error met while signing; a static sentence without a dot at
 * its end. */
const char *reply_advice(enum err e);

#endif
