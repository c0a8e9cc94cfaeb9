/*
 * The signatures of one message, verified: key records are asked for at the end of the header and
 * come while the body is hashed; at the end of the message the verdicts are made.
 */
#ifndef DAEMON_VERIFYING_H
#define DAEMON_VERIFYING_H

#include "base/arena.h"
#include "daemon/verifyrules.h"
#include "dkim/hdrstore.h"
#include "dns/source.h"

#include <stdint.h>

struct verifying;

struct verifying_input {
	const struct verifyrules *rules;
	const struct hdrstore *headers;
	struct slice author_domain; /**< of From; empty when it cannot be read */
	struct dns_source *dns;	    /**< NULL: every look-up fails */
	int64_t now_s;
	int64_t deadline_ms; /**< clock_mono_ms(): what DNS has not said then has timed out */
};

/**
 * Choose the signatures, ask for their keys; does not wait.
 * @param arena, and what input points to, live as long as the verifying
 * @return ERR_NOMEM, ERR_CRYPTO, ERR_LIMIT (the arena)
 */
NODISCARD enum err verifying_start(struct arena *arena, const struct verifying_input *input,
				   struct verifying **ret_verifying);

void verifying_body(struct verifying *v, const char *data, size_t len);
/** True when more of the body changes no verdict. */
bool verifying_body_satisfied(const struct verifying *v);

/**
 * Make the verdicts; blocks until DNS has answered or the deadline. Call once.
 * @param dnssec the answers are validated
 * @return ERR_NOMEM, ERR_CRYPTO, ERR_LIMIT: there are no verdicts
 */
NODISCARD enum err verifying_finish(struct verifying *v, bool dnssec);

/** Signatures of the message, looked at or not. */
size_t verifying_found(const struct verifying *v);
/** After verifying_finish(): those of TrustSignaturesFrom, in the order of the header. Valid until
 * verifying_done().
 * @param v NULL: a message whose signatures nobody looked at has none */
size_t verifying_verdicts(const struct verifying *v, const struct dkim_verdict **ret_verdicts);
/** Those that were looked at and do not count (TrustSignaturesFrom). */
size_t verifying_ignored(const struct verifying *v, const struct dkim_verdict **ret_verdicts);

/** Give up what is open. Safe at any time; *v may be NULL. */
void verifying_done(struct verifying **v);

#endif
