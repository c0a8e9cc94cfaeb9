/* One request on its way through the lanes. */
#include "signer/request.h"

#include "base/clock.h"
#include "base/log.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* Nobody waits longer (TokenTimeout ends at 120 s); a hostile milter shall not either. */
#define LEFT_MAX_MS 150000u

struct request {
	struct lane_job job; /* first: the lanes know nothing else */
	const struct request_env *env;
	struct keyring *ring;
	struct peer *peer;
	struct signkey *key;
	struct wire_msg msg; /* slices into store */
	char *store;
	atomic_bool answered;
	uint64_t tried;	  /* tokens, one bit each */
	size_t token;	  /* the one it is at */
	enum err error;	  /* of the last token that was tried */
	enum err resting; /* of a token that could not be tried; ERR_OK: none */
	struct err_detail detail;
};

/* ---- answers: the first one counts ---- */

static void answer_error(struct request *r, enum err error, const struct err_detail *detail)
{
	if (!atomic_exchange(&r->answered, true))
		peer_fail(r->peer, r->msg.id, error, detail);
}

static void answer(struct request *r, const struct wire_msg *msg)
{
	if (!atomic_exchange(&r->answered, true))
		peer_answer(r->peer, msg);
}

static void answer_opened(struct request *r)
{
	const struct signkey *k = r->key;
	const struct wire_msg msg = {
		.type = WIRE_OPENED,
		.id = r->msg.id,
		.alg = dkim_alg_for_key(pubkey_type(k->pubkey)),
		.bits = pubkey_bits(k->pubkey),
		.wants_input = k->wants_input,
		.domain = slice_str(k->domain),
		.selector = slice_str(k->selector),
		.bytes = pubkey_spki(k->pubkey),
	};

	answer(r, &msg);
}

static void answer_signed(struct request *r, const unsigned char *signature, size_t len)
{
	const struct wire_msg msg = {
		.type = WIRE_SIGNED,
		.id = r->msg.id,
		.bytes = slice_of(signature, len),
	};

	answer(r, &msg);
}

/* ---- what every key needs before it signs ---- */

/* The header already says s= and d= of the key that was described: it must still be that one. */
static enum err check_request(const struct request *r, struct err_detail *detail)
{
	const struct pubkey *pubkey = r->key->pubkey;

	if (memcmp(pubkey_fingerprint(pubkey), r->msg.fingerprint.ptr, PUBKEY_FINGERPRINT_BYTES) !=
	    0) {
		err_detail_set(detail, "the key was changed; the next message uses the new one");
		return ERR_KEY_CHANGED;
	}
	if (dkim_alg_info(r->msg.alg)->key_type != pubkey_type(pubkey) ||
	    !dkim_alg_info(r->msg.alg)->may_sign)
		return ERR_PROTOCOL;
	if (r->msg.bytes.len != 32 && !r->key->wants_input)
		return ERR_PROTOCOL;
	return ERR_OK;
}

/* ---- key files ---- */

static enum err sign_with_file(struct request *r, struct err_detail *detail)
{
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len = 0;
	enum err e = check_request(r, detail);

	if (e == ERR_OK)
		e = filekey_sign(r->key->file, r->msg.alg, r->msg.bytes, signature, &len);
	if (e == ERR_OK)
		answer_signed(r, signature, len);
	return e;
}

static enum lane_result run_file(struct lane_job *job, void *worker)
{
	struct request *r = (struct request *)job;
	struct err_detail detail = { "" };
	struct slice text = SLICE_LIT("");
	enum err e;

	(void)worker;
	if (!atomic_load(&r->key->opened))
		text = keyring_key_text(r->ring, r->key);
	e = signkey_open_file(r->key, keyring_policy(r->ring), text, &detail);
	if (e == ERR_OK && r->msg.type == WIRE_OPEN)
		answer_opened(r);
	else if (e == ERR_OK)
		e = sign_with_file(r, &detail);
	if (e != ERR_OK)
		answer_error(r, e, &detail);
	return LANE_DONE;
}

/* ---- tokens ---- */

/* Better tokens have a higher rank; 0: not this one. */
static unsigned rank_of(struct request *r, size_t i)
{
	struct tokenlane *token = keyring_token(r->ring, i);
	int state = atomic_load(&r->key->replicas[i].state);
	enum err resting;

	if ((r->tried & UINT64_C(1) << i) != 0 || state == REPLICA_ABSENT)
		return 0;
	resting = health_check(tokenlane_health(token), &r->detail);
	if (resting != ERR_OK) {
		r->resting = resting; /* the key may be there: so not "missing" but "later" */
		return 0;
	}
	/* A token that has the key beats one that may have it. */
	return 1 + lane_idle(tokenlane_lane(token)) + (state == REPLICA_HERE ? 1024 : 0);
}

/**
 * The token with most free sessions that was not tried, is in service and is not known to lack the
 * key.
 * @return false: none is left, or it is over already
 */
static bool choose_token(struct request *r)
{
	size_t count = atomic_load(&r->answered) ? 0 : keyring_token_count(r->ring);
	unsigned best = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned rank = rank_of(r, i);

		if (rank > best) {
			best = rank;
			r->token = i;
			r->job.next_lane = tokenlane_lane(keyring_token(r->ring, i));
		}
	}
	if (best == 0)
		return false;
	r->tried |= UINT64_C(1) << r->token;
	return true;
}

static enum err digest_of(const struct request *r, unsigned char digest[static 32])
{
	if (!r->key->wants_input) {
		memcpy(digest, r->msg.bytes.ptr, 32);
		return ERR_OK;
	}
	return EVP_Digest(r->msg.bytes.ptr, r->msg.bytes.len, digest, NULL, EVP_sha256(), NULL) == 1
		       ? ERR_OK
		       : ERR_CRYPTO;
}

static enum err sign_on_token(struct request *r, struct token_worker *w, bool *ret_reload)
{
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	unsigned char digest[32];
	size_t len = 0;
	enum err e = check_request(r, &r->detail);

	if (e == ERR_OK)
		e = digest_of(r, digest);
	if (e == ERR_OK)
		e = token_key_sign(w->session, r->key->replicas[r->token].key, r->msg.alg,
				   slice_of(digest, sizeof(digest)), r->msg.bytes, signature, &len,
				   ret_reload, &r->detail);
	if (e == ERR_OK) {
		health_worked(tokenlane_health(w->lane), r->key, r->key->replicas[r->token].key);
		answer_signed(r, signature, len);
	}
	return e;
}

static enum err try_token(struct request *r, struct token_worker *w, bool *ret_reload)
{
	enum err e = ERR_OK;

	if (w->session == NULL)
		e = token_session_open(tokenlane_token(w->lane), &w->session, &r->detail);
	if (e == ERR_OK)
		e = signkey_open_token(r->key, keyring_policy(r->ring), w->session, r->token,
				       &r->detail);
	if (e != ERR_OK)
		return e;
	if (r->msg.type == WIRE_SIGN)
		return sign_on_token(r, w, ret_reload);
	answer_opened(r);
	return ERR_OK;
}

void request_note_refused_pin(const struct request_env *env, struct tokenlane *token)
{
	char *note = tokenlane_note(token);

	if (note != NULL)
		env->note(env->ctx, note);
	free(note);
}

/* What the failure means for the token, whatever becomes of the request. */
static void judge_token(struct request *r, struct token_worker *w, bool reached)
{
	health_failed(tokenlane_health(w->lane), r->error, reached, &r->detail);
	if (r->error == ERR_TOKEN_PIN)
		request_note_refused_pin(r->env, w->lane);
	if (err_class(r->error) == ERR_CLASS_TEMP)
		token_session_close(&w->session); /* what it is good for shows the next one */
}

/* A token that has failed, or does not have the key: the next one, or the answer. */
static enum lane_result after_failure(struct request *r, struct token_worker *w, bool reload)
{
	struct err_detail detail = r->detail;

	if (err_class(r->error) != ERR_CLASS_PERM || r->error == ERR_KEY_MISSING) {
		if (choose_token(r))
			return LANE_MOVE;
	}
	if (reload && health_has_worked(tokenlane_health(w->lane))) {
		/* Unanswered: the milter asks the new process again. */
		r->env->restart(r->env->ctx, detail.text);
		return LANE_DONE;
	}
	if (r->error == ERR_KEY_MISSING && r->resting != ERR_OK)
		answer_error(r, r->resting, &r->detail);
	else
		answer_error(r, r->error, &detail);
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

static enum lane_result run_token(struct lane_job *job, void *worker)
{
	struct request *r = (struct request *)job;
	struct token_worker *w = worker;
	bool reload = false;
	bool reached;

	if (w == NULL) {
		answer_error(r, ERR_NOMEM, NULL);
		return LANE_DONE;
	}
	if (atomic_load(&r->answered))
		return LANE_DONE;
	r->error = try_token(r, w, &reload);
	if (r->error == ERR_OK)
		return LANE_DONE;
	reached = w->session != NULL;
	if (r->error == ERR_TOKEN_BUSY && !reached && others_have_sessions(w))
		return LANE_PARK;
	judge_token(r, w, reached);
	return after_failure(r, w, reload);
}

/* ---- life ---- */

static void expire(struct lane_job *job)
{
	struct request *r = (struct request *)job;
	struct err_detail detail = { "" };

	if (r->key->kind == KEYREF_URI)
		err_detail_set(&detail, "token %s did not answer",
			       token_name(tokenlane_token(keyring_token(r->ring, r->token))));
	answer_error(r, r->key->kind == KEYREF_URI ? ERR_TOKEN_TIMEOUT : ERR_TIMEOUT, &detail);
}

static void request_free(struct lane_job *job)
{
	struct request *r = (struct request *)job;
	const struct request_env *env = r->env;

	signkey_unref(&r->key);
	peer_unref(&r->peer);
	keyring_unref(&r->ring);
	free(r->store);
	free(r);
	env->done(env->ctx);
}

static struct slice put(char **at, struct slice s)
{
	struct slice copy = slice_of(*at, s.len);

	if (s.len != 0)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return copy;
}

static struct request *request_new(const struct request_env *env, struct keyring *ring,
				   struct peer *peer, const struct wire_msg *msg)
{
	struct request *r = calloc(1, sizeof(*r));
	char *at;

	if (r == NULL)
		return NULL;
	r->store = malloc(msg->key_name.len + msg->fingerprint.len + msg->bytes.len + 1);
	if (r->store == NULL) {
		free(r);
		return NULL;
	}
	at = r->store;
	r->msg = *msg;
	r->msg.from_domain = SLICE_LIT("");
	r->msg.key_name = put(&at, msg->key_name);
	r->msg.fingerprint = put(&at, msg->fingerprint);
	r->msg.bytes = put(&at, msg->bytes);
	r->env = env;
	r->ring = keyring_ref(ring);
	r->peer = peer_ref(peer);
	r->job = (struct lane_job){
		.deadline_ms =
			clock_mono_ms() + (msg->left_ms < LEFT_MAX_MS ? msg->left_ms : LEFT_MAX_MS),
		.expire = expire,
		.free = request_free,
	};
	return r;
}

static void set_off(struct request *r)
{
	struct lane *lane = r->env->files;
	enum err e;

	r->job.run = run_file;
	if (r->key->kind == KEYREF_URI) {
		r->job.run = run_token;
		lane = choose_token(r) ? r->job.next_lane : NULL;
	}
	e = lane != NULL ? lane_submit(lane, &r->job) : r->resting;
	if (lane != NULL && e == ERR_OK)
		return;
	if (e == ERR_OK) {
		e = ERR_TOKEN_ABSENT;
		err_detail_set(&r->detail, "no token is configured that could have this key "
					   "(PKCS11Module or TokenTable)");
	}
	answer_error(r, e, &r->detail);
	request_free(&r->job);
}

void request_start(const struct request_env *env, struct keyring *ring, struct peer *peer,
		   const struct wire_msg *msg)
{
	struct err_detail detail = { "" };
	struct signkey *key = NULL;
	struct request *r = NULL;
	enum err e = keyring_find(ring, msg->key_name, msg->from_domain, &key, &detail);

	if (e == ERR_OK) {
		r = request_new(env, ring, peer, msg);
		e = r != NULL ? ERR_OK : ERR_NOMEM;
	}
	if (e != ERR_OK) {
		peer_fail(peer, msg->id, e, &detail);
		signkey_unref(&key);
		env->done(env->ctx);
		return;
	}
	r->key = key;
	if (msg->type == WIRE_OPEN && atomic_load(&key->opened)) {
		answer_opened(r);
		request_free(&r->job);
		return;
	}
	set_off(r);
}
