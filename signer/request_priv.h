/* A request as its two halves share it: request.c (life, answers, key files) and request_token.c.
 */
#ifndef SIGNER_REQUEST_PRIV_H
#define SIGNER_REQUEST_PRIV_H

#include "signer/request.h"

struct request {
	struct lane_job job; /* first: the lanes know nothing else */
	const struct request_env *env;
	struct keyring *ring;
	struct peer *peer;
	struct signkey *key;
	struct wire_msg msg; /* slices into store */
	char *store;
	int64_t deadline_ms; /* of the whole; job.deadline_ms may be sooner */
	int64_t begun_us;    /* clock_mono_us() */
	/* Whoever sets it decides what becomes of the request: the worker that has it, or the main
	 * thread when its deadline has passed. Who does not get it leaves all below alone. It stays
	 * set on the way to the next token. */
	atomic_bool claimed;
	bool moved;	 /* it is on that way */
	uint64_t tried;	 /* tokens, one bit each */
	size_t token;	 /* the one it is at */
	bool wrong_kind; /* a token has the key and wants more than the digest that came */
	enum err why;	 /* what a token said that is worth more than "missing"; ERR_OK: nothing */
	struct err_detail why_detail;
};

/** @return false: it is answered, or goes another way */
NODISCARD bool request_claim(struct request *r);

/** Answer, if nobody did. */
void request_answer_error(struct request *r, enum err error, const struct err_detail *detail);
void request_answer_opened(struct request *r);
void request_answer_signed(struct request *r, const unsigned char *signature, size_t len);

/* Answer one that is claimed. */
void request_fail(struct request *r, enum err error, const struct err_detail *detail);
void request_opened(struct request *r);

/** A digest came, not the canonical header. */
bool request_has_digest(const struct request *r);

/**
 * Is it the key that the header names, and may it sign this?
 * @return ERR_KEY_CHANGED with a detail, ERR_PROTOCOL
 */
NODISCARD enum err request_check(const struct request *r, struct err_detail *detail);

/** Where the signatures and failures of the key file, or of the token it is at, are counted. */
struct tally *request_tally(const struct request *r);

/** A second one for the same answer; the first must be claimed. @return NULL: no memory */
struct request *request_clone(const struct request *r);
void request_free(struct lane_job *job);

/** Choose a token and queue it there. @return false: it is as before, and must be answered with
 * request_no_token() */
NODISCARD bool request_token_start(struct request *r);
/** Why no token could be chosen. @return the error for the answer */
enum err request_no_token(const struct request *r, struct err_detail *detail);

#endif
