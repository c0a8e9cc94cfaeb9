/* The way of a request through the tokens: one after the other until one signs. */
#include "signer/request_priv.h"

#include "base/clock.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* ---- which token ---- */

/* Once a key is open the other tokens are looked at for so long, in case another key has its name
 * there. */
#define LOOK_MS 2000
/* The last choice: it failed lately, or the key was not there. */
#define RANK_LAST 1u
/* More than a lane has jobs. */
#define RANK_MIDDLE 1000000L

static void note_why(struct request *r, enum err error, const struct err_detail *detail)
{
	r->why = error;
	r->why_detail = *detail;
}

/* An OPEN that could be answered, and looks whether the name is unambiguous. */
static bool has_its_key(const struct request *r)
{
	return r->msg.type == WIRE_OPEN && atomic_load(&r->key->opened);
}

/* A token that hashes itself has no use for a digest. */
static bool takes_what_came(const struct request *r, size_t i)
{
	const struct replica *replica = &r->key->replicas[i];

	return r->msg.type == WIRE_OPEN || !request_has_digest(r) ||
	       atomic_load(&replica->state) != REPLICA_HERE ||
	       !token_key_info(replica->key)->wants_input;
}

/* Better tokens have a higher rank; 0: not this one. */
static unsigned rank_of(struct request *r, size_t i)
{
	struct tokenlane *token = keyring_token(r->ring, i);
	struct health *health = tokenlane_health(token);
	struct err_detail detail;
	int state = atomic_load(&r->key->replicas[i].state);
	enum err resting;

	if ((r->tried & UINT64_C(1) << i) != 0 || state == REPLICA_ABSENT ||
	    (has_its_key(r) && state != REPLICA_UNKNOWN))
		return 0;
	if (!takes_what_came(r, i)) {
		r->wrong_kind = true;
		return 0;
	}
	resting = health_check(health, &detail);
	if (resting != ERR_OK) {
		note_why(r, resting, &detail); /* the key may be there: "later", not "missing" */
		return 0;
	}
	if (health_doubted(health) || state == REPLICA_MISSED)
		return RANK_LAST;
	return (unsigned)(RANK_MIDDLE + lane_free(tokenlane_lane(token)));
}

/**
 * The token with most free sessions that was not tried, is in service and is not known to lack the
 * key. When there are others it gets half of the time that is left. The request is claimed, or
 * nobody else knows it. An OPEN goes on until each token was looked at.
 * @return false: none is left
 */
static bool choose_token(struct request *r)
{
	int64_t now_ms = clock_mono_ms();
	unsigned candidates = 0;
	unsigned best = 0;

	for (size_t i = 0; i < keyring_token_count(r->ring); i++) {
		unsigned rank = rank_of(r, i);

		candidates += rank > 0;
		if (rank > best) {
			best = rank;
			r->token = i;
			r->job.next_lane = tokenlane_lane(keyring_token(r->ring, i));
		}
	}
	if (best == 0)
		return false;
	r->tried |= UINT64_C(1) << r->token;
	r->job.deadline_ms = r->deadline_ms;
	if (candidates > 1)
		r->job.deadline_ms = now_ms + (r->deadline_ms - now_ms) / 2;
	if (has_its_key(r) && r->job.deadline_ms > now_ms + LOOK_MS)
		r->job.deadline_ms = now_ms + LOOK_MS;
	return true;
}

enum err request_no_token(const struct request *r, struct err_detail *detail)
{
	if (r->wrong_kind) {
		err_detail_set(detail, "the token that is left wants the whole header; the next "
				       "message brings it");
		return ERR_KEY_CHANGED;
	}
	if (r->why != ERR_OK) {
		*detail = r->why_detail;
		return r->why;
	}
	err_detail_set(detail, "no token is configured that could have this key (PKCS11Module or "
			       "TokenTable)");
	return ERR_TOKEN_ABSENT;
}

/* ---- on a token ---- */

static enum err digest_of(const struct request *r, unsigned char digest[static 32])
{
	if (request_has_digest(r)) {
		memcpy(digest, r->msg.bytes.ptr, 32);
		return ERR_OK;
	}
	return EVP_Digest(r->msg.bytes.ptr, r->msg.bytes.len, digest, NULL, EVP_sha256(), NULL) == 1
		       ? ERR_OK
		       : ERR_CRYPTO;
}

/* With the token's key, which is found anew when it moved. */
static enum err sign_there(struct request *r, struct token_worker *w, bool *ret_reload,
			   struct err_detail *detail)
{
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	unsigned char digest[32];
	struct token_key *replica = r->key->replicas[r->token].key;
	size_t len = 0;
	enum err e = digest_of(r, digest);

	if (e != ERR_OK)
		return e;
	e = token_key_sign(w->session, replica, r->msg.alg, slice_of(digest, sizeof(digest)),
			   r->msg.bytes, signature, &len, ret_reload, detail);
	if (e == ERR_KEY_MISSING || e == ERR_KEY_CHANGED)
		signkey_lost(r->key, r->token, e);
	if (e != ERR_OK)
		return e;
	health_worked(tokenlane_health(w->lane), r->key, replica);
	request_answer_signed(r, signature, len);
	return ERR_OK;
}

static enum err sign(struct request *r, struct token_worker *w, bool *ret_reload,
		     struct err_detail *detail)
{
	enum err e = request_check(r, detail);

	if (e == ERR_OK && !takes_what_came(r, r->token)) {
		r->wrong_kind = true;
		e = ERR_KEY_MISSING; /* for this request */
	}
	return e == ERR_OK ? sign_there(r, w, ret_reload, detail) : e;
}

static enum err try_token(struct request *r, struct token_worker *w, bool *ret_reload,
			  struct err_detail *detail)
{
	struct replica *replica = &r->key->replicas[r->token];
	bool known = atomic_load(&replica->state) == REPLICA_HERE;
	enum err e = ERR_OK;

	if (w->session == NULL)
		e = token_session_open(tokenlane_token(w->lane), &w->session, detail);
	if (e == ERR_OK) {
		e = signkey_open_token(r->key, keyring_policy(r->ring), w->session, r->token,
				       detail);
		if (e == ERR_OK && !known) /* that made a signature, too */
			health_worked(tokenlane_health(w->lane), r->key, replica->key);
		if (e == ERR_AMBIGUOUS && has_its_key(r))
			signkey_set_conflict(r->key, detail);
	}
	if (e != ERR_OK)
		return e;
	return r->msg.type == WIRE_SIGN ? sign(r, w, ret_reload, detail) : ERR_OK;
}

/* ---- after a failure ---- */

/* What the failure means for the token, whatever becomes of the request. */
static void judge_token(struct request *r, struct token_worker *w, enum err error, bool lost,
			const struct err_detail *detail)
{
	if (!atomic_load(&r->claimed)) /* else its deadline was counted */
		tally_failed(tokenlane_tally(w->lane), error);
	/* A key that signed before and is gone: perhaps all are. */
	health_failed(tokenlane_health(w->lane), lost ? ERR_TOKEN_FAILED : error,
		      w->session != NULL, detail);
	/* What it is good for shows the next one. */
	if (err_class(error) == ERR_CLASS_TEMP ||
	    (w->session != NULL && token_session_lost(w->session)))
		token_session_close(&w->session);
}

/* An OPEN has looked at all tokens that it could. */
static void answer_open(struct request *r)
{
	struct err_detail detail = { "" };
	enum err e = signkey_conflict(r->key, &detail);

	if (e == ERR_OK)
		request_opened(r);
	else
		request_fail(r, e, &detail);
}

/* It has its key: the next token, or the answer. */
static enum lane_result go_on_open(struct request *r)
{
	if (!request_claim(r))
		return LANE_DONE; /* its deadline was first */
	if (atomic_load(&r->key->conflict) == NULL && choose_token(r)) {
		r->moved = true;
		return LANE_MOVE;
	}
	answer_open(r);
	return LANE_DONE;
}

/* The next token, or the answer. */
static enum lane_result go_on(struct request *r, struct token_worker *w, enum err error,
			      bool reload, const struct err_detail *detail)
{
	bool two_keys = error == ERR_AMBIGUOUS && w->session != NULL && r->msg.type == WIRE_OPEN;
	struct err_detail why;

	if (has_its_key(r))
		return go_on_open(r);
	if (!request_claim(r))
		return LANE_DONE; /* its deadline was first */
	if (!two_keys && choose_token(r)) {
		if (error != ERR_KEY_MISSING)
			note_why(r, error, detail);
		r->moved = true;
		return LANE_MOVE;
	}
	if (reload && health_has_worked(tokenlane_health(w->lane))) {
		/* Unanswered: the milter asks the new process again. */
		r->env->restart(r->env->ctx, detail->text);
		return LANE_DONE;
	}
	/* One replica's fault does not hide that another is only away. */
	if (r->wrong_kind || (r->why != ERR_OK &&
			      (error == ERR_KEY_MISSING || (err_class(error) == ERR_CLASS_PERM &&
							    err_class(r->why) == ERR_CLASS_TEMP))))
		request_fail(r, request_no_token(r, &why), &why);
	else
		request_fail(r, error, detail);
	return LANE_DONE;
}

/* The token is at its limit, but this pool has sessions: it goes on with those. */
static bool others_have_sessions(struct token_worker *w)
{
	unsigned open = token_open_sessions(tokenlane_token(w->lane));

	if (open > 0)
		tokenlane_shrunk(w->lane, open);
	return open > 0;
}

/* ---- the job ---- */

static enum lane_result run_token(struct lane_job *job, void *worker)
{
	struct request *r = (struct request *)job;
	struct token_worker *w = worker;
	struct err_detail detail = { "" };
	bool reload = false;
	enum err e;

	if (r->moved) /* it stayed claimed on its way; from here on its deadline may answer it */
		atomic_store(&r->claimed, false);
	r->moved = false;
	if (w == NULL) {
		request_answer_error(r, ERR_NOMEM, NULL);
		return LANE_DONE;
	}
	e = try_token(r, w, &reload, &detail);
	if (e == ERR_OK)
		return r->msg.type == WIRE_OPEN ? go_on_open(r) : LANE_DONE;
	if (e == ERR_TOKEN_BUSY && w->session == NULL && others_have_sessions(w))
		return LANE_PARK;
	judge_token(r, w, e, e == ERR_KEY_MISSING && reload, &detail);
	return go_on(r, w, e, reload, &detail);
}

/* The worker that has it hangs, or its queue is long: a copy goes to the next token. @return false:
 * none, no time */
static bool try_elsewhere(const struct request *r)
{
	struct request *copy = clock_mono_ms() < r->deadline_ms ? request_clone(r) : NULL;

	if (copy == NULL)
		return false;
	if (request_token_start(copy))
		return true;
	request_free(&copy->job);
	return false;
}

static bool expire_token(struct lane_job *job, bool running)
{
	struct request *r = (struct request *)job;
	struct tokenlane *token;
	struct err_detail detail;
	bool reads;

	if (running && !request_claim(r))
		return false;
	token = keyring_token(r->ring, r->token);
	reads = tokenlane_reads(token);
	err_detail_set(&detail,
		       !running ? "no session of token %s was free in time"
		       : reads	? "token %s: its list of keys takes longer to read"
				: "token %s did not answer in time",
		       token_name(tokenlane_token(token)));
	if (running && !reads) { /* else it was not even asked */
		tally_failed(tokenlane_tally(token), ERR_TOKEN_TIMEOUT);
		health_failed(tokenlane_health(token), ERR_TOKEN_TIMEOUT, true, &detail);
	}
	if (has_its_key(r))
		answer_open(r);
	else if (!try_elsewhere(r))
		request_fail(r, ERR_TOKEN_TIMEOUT, &detail);
	return true;
}

bool request_token_start(struct request *r)
{
	r->job.run = run_token;
	r->job.expire = expire_token;
	while (choose_token(r)) {
		if (lane_submit(r->job.next_lane, &r->job) == ERR_OK)
			return true;
		/* its queue is full: the next one */
		note_why(r, ERR_BUSY,
			 &(struct err_detail){ "too many signatures wait for the token" });
	}
	return false;
}
