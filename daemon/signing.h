/*
 * The signatures of one message: keys are asked for at the end of the header, so that the signer
 * finds them while the body arrives; at the end of the message all signatures are made at the same
 * time.
 */
#ifndef DAEMON_SIGNING_H
#define DAEMON_SIGNING_H

#include "base/arena.h"
#include "daemon/decide.h"
#include "daemon/snapshot.h"
#include "dkim/hdrstore.h"
#include "signer/client.h"

#include <stdint.h>

struct signature {
	const char
		*key_name; /**< of the KeyTable, "KeyFile" for the single key; safe for the log */
	const struct sigkey *key;  /**< NULL when it could not be opened */
	struct sigkey_names names; /**< then: what it would have signed as */
	struct slice value; /**< the DKIM-Signature field's value, NUL-terminated, when error is
			       ERR_OK */
	enum err error;
	struct err_detail *detail; /**< never NULL */
};

struct signing;

/**
 * Ask the signer for all keys of the decision. Errors are kept for signing_finish().
 * @param snapshot, decision, arena live as long as the signing
 * @param deadline_ms clock_mono_ms() until when the signer may look
 * @return ERR_NOMEM
 */
NODISCARD enum err signing_start(struct arena *arena, struct sigclient *signer,
				 const struct snapshot *snapshot, const struct decision *decision,
				 int64_t deadline_ms, struct signing **ret_signing);

struct signing_input {
	const struct hdrstore *headers;
	struct slice body_digest; /**< SHA-256 */
	int64_t now_s;
	int64_t now_ms;	     /**< clock_mono_ms() */
	int64_t deadline_ms; /**< the same clock; it ends all waiting */
	bool leading_space;
	int canonicalization; /**< CANONICALIZATION_...; body_digest is of its body */
	bool write_length;    /**< l= with body_length */
	uint64_t body_length;
};

/** Make the signatures; blocks until all are there or the deadline. What became of each is in
 * signing_at(). */
void signing_finish(struct signing *s, const struct signing_input *input);

size_t signing_count(const struct signing *s);
/** In the order in which the fields stand in the message, from the top. */
const struct signature *signing_at(const struct signing *s, size_t i);

/** Give up what is in flight, release the keys. Safe at any time; *s may be NULL. */
void signing_done(struct signing **s);

#endif
