/*
 * What a token was seen to do lately: its breaker, the last error, and keys that signed, which a
 * probe can use: only a signature proves that a token is alive. Thread-safe.
 */
#ifndef SIGNER_HEALTH_H
#define SIGNER_HEALTH_H

#include "signer/breaker.h"
#include "signer/signkey.h"

struct health;

/** @param name, pin_source the token's, for the log; copied. NULL: it has no PIN
 * @return NULL when memory is short */
NODISCARD struct health *health_new(const char *name, const char *pin_source);
void health_free(struct health **health);

/** A signature was made with this key's replica. */
void health_worked(struct health *h, struct signkey *key, const struct token_key *replica);
/** It answered a probe that had no key to sign with. */
void health_answered(struct health *h);

/** A request failed. @param reached false: not even a session could be opened */
void health_failed(struct health *h, enum err error, bool reached, const struct err_detail *detail);
/** Every session is in a call that does not come back: no request is sent there for a while. */
void health_hangs(struct health *h);
/** A probe failed. @return true: only a new process can bring back what worked before */
bool health_probe_failed(struct health *h, enum err error, const struct err_detail *detail);

/** Is a probe due? The caller makes it. */
bool health_take_probe(struct health *h);
/** The probe could not be started. */
void health_probe_lost(struct health *h);
/** The key for a probe. @return NULL: none has signed yet; else signkey_unref() it */
struct signkey *health_probe_key(struct health *h, const struct token_key **ret_replica);
/** The key is gone or cannot sign any more: probes use another one. */
void health_forget_key(struct health *h, const struct signkey *key);
/** Does the error say something about the token? Else it is about one key, or about us. */
bool health_blames_token(enum err error);
/** @return ERR_OK: the token takes requests; else why not, with a detail */
enum err health_check(struct health *h, struct err_detail *detail);

/** What hsmdkim-ctl shows. */
struct health_view {
	enum breaker_state state;
	bool tried;
	int64_t retry_in_ms; /**< RESTING: until the next probe; else 0 */
	enum err last_error; /**< ERR_OK: none so far */
	struct err_detail last_detail;
	int64_t last_error_age_ms;
};
void health_look(struct health *h, struct health_view *ret_view);

/** The token gave an answer, good or bad, or did not in time. */
bool health_tried(struct health *h);

/** It takes requests, but the last ones failed: others first. */
bool health_doubted(struct health *h);

/** A signature was made since the process started: what worked may be brought back by a restart. */
bool health_has_worked(struct health *h);

#endif
