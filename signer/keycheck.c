/* The check of a new generation's keys. */
#include "signer/keycheck.h"

#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>

/* At a time: mail has the other sessions for itself. */
#define AT_A_TIME 1u

struct keycheck {
	atomic_uint refs; /* the process and each request's peer */
	struct keyring *ring;
	struct peer *peer;
	struct slice *names;
	atomic_bool *heard; /* beside names: its answer came */
	size_t count;
	size_t next;
	atomic_size_t answered;
	atomic_size_t bad;
	atomic_size_t unknown; /* answered, but only that the token is away */
	bool process_is_new;
	bool asked_token;   /* the one that is under way is a token's */
	atomic_bool unseen; /* a token did not have its key; said by a new process, if it is so */
	atomic_bool halted; /* a token is away: its own lines say so, not one a key */
};

static void unref(struct keycheck *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	keyring_unref(&c->ring);
	free(c->names);
	free(c->heard);
	free(c);
}

static void on_answer(void *ctx, uint64_t id, enum err error, const char *text)
{
	struct keycheck *c = ctx;
	char name[128];

	if (atomic_exchange(&c->heard[id], true))
		return; /* one answer a key is enough */
	if (error != ERR_OK && err_class(error) == ERR_CLASS_TEMP) {
		atomic_fetch_add(&c->unknown, 1);
		atomic_store(&c->halted, true);
	} else if (error == ERR_KEY_MISSING && c->asked_token && !c->process_is_new) {
		atomic_store(&c->unseen, true);
	} else if (error != ERR_OK) {
		atomic_fetch_add(&c->bad, 1);
		log_line(LOG_LEVEL_ERROR,
			 "key %s cannot be used: %s%s%s; mail that needs it is deferred",
			 text_sanitize(c->names[id], name, sizeof(name)), err_text(error),
			 text[0] != '\0' ? ": " : "", text);
	}
	atomic_fetch_add(&c->answered, 1);
	unref(c);
}

struct keycheck *keycheck_new(struct keyring *ring, bool process_is_new)
{
	struct keycheck *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	atomic_init(&c->refs, 1);
	c->process_is_new = process_is_new;
	c->ring = keyring_ref(ring);
	c->names = calloc(KEYCHECK_MAX, sizeof(*c->names));
	c->heard = calloc(KEYCHECK_MAX, sizeof(*c->heard));
	c->peer = peer_new_local(on_answer, c);
	if (c->names == NULL || c->heard == NULL || c->peer == NULL) {
		keycheck_stop(&c);
		return NULL;
	}
	c->count = keyring_fixed_names(ring, c->names, KEYCHECK_MAX);
	return c;
}

static bool is_on_token(struct keyring *ring, struct slice name)
{
	struct signkey *key = NULL;
	bool is = keyring_find(ring, name, SLICE_LIT(""), &key, NULL) == ERR_OK &&
		  key->kind == KEYREF_URI;

	signkey_unref(&key);
	return is;
}

enum keycheck_state keycheck_step(struct keycheck *check, const struct request_env *env)
{
	while (check->next < check->count && !atomic_load(&check->halted) &&
	       check->next - atomic_load(&check->answered) < AT_A_TIME) {
		const struct wire_msg msg = {
			.type = WIRE_OPEN,
			.id = check->next,
			.left_ms = (uint32_t)keyring_settings(check->ring)->token_timeout_ms,
			.key_name = check->names[check->next],
		};

		check->asked_token = is_on_token(check->ring, msg.key_name);
		check->next++;
		atomic_fetch_add(&check->refs, 1);
		request_start(env, check->ring, check->peer, &msg, NULL);
	}
	if (atomic_load(&check->answered) < check->next ||
	    (check->next < check->count && !atomic_load(&check->halted)))
		return KEYCHECK_GOES_ON;
	if (atomic_load(&check->unseen))
		return KEYCHECK_UNSEEN;
	log_line(LOG_LEVEL_INFO, "signer: %zu of %zu keys checked, %zu cannot be used%s",
		 check->next - atomic_load(&check->unknown), keyring_key_count(check->ring),
		 atomic_load(&check->bad),
		 atomic_load(&check->unknown) > 0 ? "; their token is out of service" : "");
	return KEYCHECK_DONE;
}

void keycheck_stop(struct keycheck **check)
{
	if (check == NULL || *check == NULL)
		return;
	atomic_store(&(*check)->halted, true);
	peer_unref(&(*check)->peer);
	unref(*check);
	*check = NULL;
}
