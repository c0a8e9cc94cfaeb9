/* Requests: answers, key files, life. The way through the tokens is in request_token.c. */
#include "signer/request_priv.h"

#include "base/clock.h"

#include <stdlib.h>

/* Nobody waits longer (TokenTimeout ends at 120 s); a hostile milter shall not either. */
#define LEFT_MAX_MS 150000u

/* ---- answers: the first one counts ---- */

bool request_claim(struct request *r)
{
	return !atomic_exchange(&r->claimed, true);
}

/* With what the milter's log wants to name, as far as the key is known. */
static void fail(struct peer *peer, uint64_t id, struct signkey *key, enum err error,
		 const struct err_detail *detail)
{
	const struct wire_msg msg = {
		.type = WIRE_FAILED,
		.id = id,
		.error = error,
		.text = slice_str(detail != NULL ? detail->text : ""),
		.domain = slice_str(key->domain),
		.selector = slice_str(key->selector),
	};

	signkey_failed(key, error, detail);
	peer_answer(peer, &msg);
}

void request_fail(struct request *r, enum err error, const struct err_detail *detail)
{
	fail(r->peer, r->msg.id, r->key, error, detail);
}

void request_answer_error(struct request *r, enum err error, const struct err_detail *detail)
{
	if (request_claim(r))
		request_fail(r, error, detail);
}

void request_opened(struct request *r)
{
	const struct signkey *k = r->key;
	const struct wire_msg msg = {
		.type = WIRE_OPENED,
		.id = r->msg.id,
		.alg = dkim_alg_for_key(pubkey_type(k->pubkey)),
		.bits = pubkey_bits(k->pubkey),
		.wants_input = atomic_load(&k->wants_input),
		.domain = slice_str(k->domain),
		.selector = slice_str(k->selector),
		.bytes = pubkey_spki(k->pubkey),
	};

	peer_answer(r->peer, &msg);
}

void request_answer_opened(struct request *r)
{
	if (request_claim(r))
		request_opened(r);
}

void request_answer_signed(struct request *r, const unsigned char *signature, size_t len)
{
	const struct wire_msg msg = {
		.type = WIRE_SIGNED,
		.id = r->msg.id,
		.bytes = slice_of(signature, len),
	};

	if (!request_claim(r))
		return;
	tally_signed(request_tally(r), clock_mono_us() - r->begun_us);
	(void)atomic_fetch_add_explicit(&r->key->signatures, 1, memory_order_relaxed);
	signkey_worked(r->key);
	peer_answer(r->peer, &msg);
}

struct tally *request_tally(const struct request *r)
{
	return r->key->kind == KEYREF_URI ? tokenlane_tally(keyring_token(r->ring, r->token))
					  : r->env->files_tally;
}

/* ---- what every key needs before it signs ---- */

bool request_has_digest(const struct request *r)
{
	return r->msg.bytes.len == 32; /* a canonical header is longer */
}

/* The header already says s= and d= of the key that was described: it must still be that one. */
enum err request_check(const struct request *r, struct err_detail *detail)
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
	if (!request_has_digest(r) && !atomic_load(&r->key->wants_input))
		return ERR_PROTOCOL;
	return ERR_OK;
}

/* ---- key files ---- */

static enum err sign_with_file(struct request *r, struct err_detail *detail)
{
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len = 0;
	enum err e = request_check(r, detail);

	if (e == ERR_OK)
		e = filekey_sign(r->key->file, r->msg.alg, r->msg.bytes, signature, &len);
	if (e == ERR_OK)
		request_answer_signed(r, signature, len);
	return e;
}

static void file_failed(struct request *r, enum err error, const struct err_detail *detail)
{
	tally_failed(request_tally(r), error);
	request_answer_error(r, error, detail);
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
		request_answer_opened(r);
	else if (e == ERR_OK)
		e = sign_with_file(r, &detail);
	if (e != ERR_OK)
		file_failed(r, e, &detail);
	return LANE_DONE;
}

/* ---- life ---- */

/* A key file on a disk that does not answer. */
static bool expire_file(struct lane_job *job, bool running)
{
	(void)running;
	request_answer_error((struct request *)job, ERR_TIMEOUT, NULL);
	return true;
}

static size_t bytes_of(const struct wire_msg *msg)
{
	return msg->key_name.len + msg->fingerprint.len + msg->bytes.len;
}

void request_free(struct lane_job *job)
{
	struct request *r = (struct request *)job;
	const struct request_env *env = r->env;
	size_t bytes = bytes_of(&r->msg);

	signkey_unref(&r->key);
	peer_unref(&r->peer);
	keyring_unref(&r->ring);
	free(r->store);
	free(r);
	env->done(env->ctx, bytes);
}

static struct slice put(char **at, struct slice s)
{
	struct slice copy = slice_of(*at, s.len);

	if (s.len != 0)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return copy;
}

/* With copies of all that the message points to. @param key is taken over */
static struct request *request_new(const struct request_env *env, struct keyring *ring,
				   struct peer *peer, const struct wire_msg *msg,
				   struct signkey *key)
{
	struct request *r = calloc(1, sizeof(*r));
	char *at = r != NULL ? malloc(bytes_of(msg) + 1) : NULL;

	if (at == NULL) {
		free(r);
		signkey_unref(&key);
		return NULL;
	}
	r->store = at;
	r->msg = *msg;
	r->msg.from_domain = SLICE_LIT("");
	r->msg.key_name = put(&at, msg->key_name);
	r->msg.fingerprint = put(&at, msg->fingerprint);
	r->msg.bytes = put(&at, msg->bytes);
	r->env = env;
	r->ring = keyring_ref(ring);
	r->peer = peer_ref(peer);
	r->key = key;
	r->begun_us = clock_mono_us();
	r->deadline_ms =
		clock_mono_ms() + (msg->left_ms < LEFT_MAX_MS ? msg->left_ms : LEFT_MAX_MS);
	r->job = (struct lane_job){ .deadline_ms = r->deadline_ms,
				    .run = run_file,
				    .expire = expire_file,
				    .free = request_free };
	env->begun(env->ctx, bytes_of(msg));
	return r;
}

struct request *request_clone(const struct request *r)
{
	struct request *copy = request_new(r->env, r->ring, r->peer, &r->msg, signkey_ref(r->key));

	if (copy == NULL)
		return NULL;
	copy->deadline_ms = r->deadline_ms;
	copy->begun_us = r->begun_us;
	copy->tried = r->tried;
	return copy;
}

/* Queue it. @return ERR_OK: it is on its way; else it must be answered with the error */
static enum err send_off(struct request *r, struct err_detail *detail)
{
	if (r->key->kind != KEYREF_URI)
		return lane_submit(r->env->files, &r->job);
	return request_token_start(r) ? ERR_OK : request_no_token(r, detail);
}

/* An OPEN of a key that is open: only tokens that nobody has looked at yet are worth the way.
 * @return false: answered */
static bool look_further(struct request *r)
{
	struct err_detail detail = { "" };
	enum err e = signkey_conflict(r->key, &detail);

	if (e != ERR_OK)
		request_answer_error(r, e, &detail);
	else if (r->key->kind == KEYREF_URI && request_token_start(r))
		return true;
	else
		request_answer_opened(r);
	return false;
}

static void set_off(struct request *r)
{
	struct err_detail detail = { "" };
	enum err e;

	if (r->msg.type == WIRE_OPEN && atomic_load(&r->key->opened)) {
		if (!look_further(r))
			request_free(&r->job);
		return;
	}
	e = send_off(r, &detail);
	if (e == ERR_OK)
		return;
	request_answer_error(r, e, &detail);
	request_free(&r->job);
}

/* TokenRateLimit, by the row's own name: the asked one has many spellings. */
static enum err check_rate(const struct request_env *env, const struct keyring *ring,
			   const struct wire_msg *msg, const struct signkey *key,
			   struct err_detail *detail)
{
	struct settings_rate rate = keyring_settings(ring)->token_rate_limit;

	if (msg->type != WIRE_SIGN || ratelimit_take(env->rates, slice_str(key->name), rate.count,
						     rate.period_ms, clock_mono_ms()))
		return ERR_OK;
	err_detail_set(detail, "the key has made %lld signatures in %lld ms (TokenRateLimit)",
		       (long long)rate.count, (long long)rate.period_ms);
	return ERR_KEY_RATE;
}

/* A signature with a key file that is open takes a fraction of a millisecond and waits for nothing.
 * Measured with 8 connections on two cores: 2 system calls instead of 10 and 0.6 switches instead
 * of 1.7 a message. The plain twin is run_file(), in a worker: files are opened there, on disks
 * that may hang. */
static bool is_at_hand(const struct signkey *key, const struct wire_msg *msg)
{
	return msg->type == WIRE_SIGN && key->kind != KEYREF_URI && atomic_load(&key->opened);
}

void request_sign_at_once(const struct request_env *env, struct peer *peer,
			  const struct wire_msg *msg, struct signkey *key)
{
	struct err_detail detail = { "" };
	struct request r = {
		.env = env, .peer = peer, .key = key, .msg = *msg, .begun_us = clock_mono_us()
	};
	enum err e;

	e = msg->left_ms > 0 ? sign_with_file(&r, &detail) : ERR_TIMEOUT;
	if (e != ERR_OK)
		file_failed(&r, e, &detail);
	signkey_unref(&key);
}

void request_start(const struct request_env *env, struct keyring *ring, struct peer *peer,
		   const struct wire_msg *msg, struct signkey **ret_at_hand)
{
	struct err_detail detail = { "" };
	AUTO(signkey_unref) struct signkey *key = NULL;
	struct request *r = NULL;
	enum err e = keyring_find(ring, msg->key_name, msg->from_domain, &key, &detail);

	if (ret_at_hand != NULL)
		*ret_at_hand = NULL;
	if (e == ERR_OK)
		e = check_rate(env, ring, msg, key, &detail);
	if (e == ERR_OK && ret_at_hand != NULL && is_at_hand(key, msg)) {
		*ret_at_hand = key;
		key = NULL; /* handed over */
		return;
	}
	if (e == ERR_OK) {
		r = request_new(env, ring, peer, msg, signkey_ref(key));
		e = r != NULL ? ERR_OK : ERR_NOMEM;
	}
	if (e == ERR_OK)
		set_off(r);
	else if (key != NULL)
		fail(peer, msg->id, key, e, &detail);
	else
		peer_fail(peer, msg->id, e, &detail);
}
