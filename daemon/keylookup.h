/*
 * The key records that the signatures of one message need: asked for at the end of the header,
 * taken at its end, in the form that dkim/verify wants. No question outlives its message.
 */
#ifndef DAEMON_KEYLOOKUP_H
#define DAEMON_KEYLOOKUP_H

#include "base/arena.h"
#include "base/err.h"
#include "dkim/verify.h"
#include "dns/source.h"

struct keylookup;

/**
 * Ask for the TXT records of all names at once; does not wait. A question that cannot be asked is
 * one that fails.
 * @param source  stays until keylookup_free(); shared by all messages, caches by TTL
 * @param names   as dkim_verify_lookups() gives them
 * @return ERR_NOMEM
 */
NODISCARD enum err keylookup_start(struct arena *arena, struct dns_source *source,
				   const struct idn_name *names, size_t count,
				   struct keylookup **ret_lookup);

/**
 * Wait for what is still open. Call once.
 * @param deadline_ms clock_mono_ms() at which what is not there counts as timed out
 * @param validating  DNSSEC is used: what is not secure is known to be insecure
 * @param ret_answers in the order of names, in the arena
 * @return ERR_NOMEM, ERR_LIMIT (the arena)
 */
NODISCARD enum err keylookup_finish(struct keylookup *lookup, int64_t deadline_ms, bool validating,
				    const struct dkim_key_answer **ret_answers);

/** Give up what is open, without waiting. Before the arena's reset; NULL-safe. */
void keylookup_free(struct keylookup **lookup);

#endif
