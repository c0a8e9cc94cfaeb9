/* Keys of the KeyTable in the signer process. */
#include "signer/signkey.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

enum err signkey_new(const struct keytable_row *row, const char *domain, const char *ref,
		     size_t token_count, struct signkey **ret_key, struct err_detail *detail)
{
	AUTO(signkey_unref)
	struct signkey *key = calloc(1, sizeof(*key) + token_count * sizeof(struct replica));
	enum err e = ERR_OK;

	if (key == NULL)
		return ERR_NOMEM;
	atomic_init(&key->refs, 1);
	(void)pthread_mutex_init(&key->lock, NULL);
	key->kind = row->kind;
	key->replica_count = token_count;
	key->name = slice_dup(row->name);
	key->domain = slice_dup(slice_str(domain));
	key->selector = slice_dup(row->selector);
	key->ref = slice_dup(row->kind == KEYREF_PEM ? SLICE_LIT("") : slice_str(ref));
	if (key->name == NULL || key->domain == NULL || key->selector == NULL || key->ref == NULL)
		return ERR_NOMEM;
	if (row->kind == KEYREF_URI)
		e = p11_uri_parse(slice_str(ref), P11_URI_KEY, &key->uri, detail);
	if (e != ERR_OK)
		return e;
	*ret_key = key;
	key = NULL; /* handed over */
	return ERR_OK;
}

struct signkey *signkey_ref(struct signkey *key)
{
	atomic_fetch_add(&key->refs, 1);
	return key;
}

void signkey_unref(struct signkey **key)
{
	struct signkey *k;

	if (key == NULL || *key == NULL)
		return;
	k = *key;
	*key = NULL;
	if (atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	for (size_t i = 0; i < k->replica_count; i++)
		token_key_free(&k->replicas[i].key);
	filekey_free(&k->file);
	p11_uri_free(&k->uri);
	(void)pthread_mutex_destroy(&k->lock);
	free(k->name);
	free(k->domain);
	free(k->selector);
	free(k->ref);
	free(atomic_load(&k->conflict));
	free(k->failure);
	free(k);
}

static const char *shown(const char *text, char *room, size_t size)
{
	return text_sanitize(slice_str(text), room, size);
}

/* KeyFile's key has no name. */
static const char *shown_name(const struct signkey *key, char *room, size_t size)
{
	return key->name[0] != '\0' ? shown(key->name, room, size) : "of KeyFile";
}

static void log_opened(const struct signkey *key, const char *what, unsigned bits)
{
	char name[128];
	char ref[512];

	log_line(LOG_LEVEL_INFO, "key %s (s=%s, d=%s): %s, %s", shown_name(key, name, sizeof(name)),
		 key->selector, key->domain,
		 key->kind == KEYREF_PEM ? "text in the KeyTable"
					 : shown(key->ref, ref, sizeof(ref)),
		 what);
	if (bits < 2048 && pubkey_type(key->pubkey) == KEY_TYPE_RSA)
		log_line(LOG_LEVEL_WARNING,
			 "key %s (s=%s, d=%s): %u bits; large receivers want 2048: make a new key",
			 shown_name(key, name, sizeof(name)), key->selector, key->domain, bits);
}

static enum err check_bits(const struct pubkey *pubkey, const struct signkey_policy *policy,
			   struct err_detail *detail)
{
	const struct dkim_alg_info *alg = dkim_alg_info(dkim_alg_for_key(pubkey_type(pubkey)));
	unsigned bits = pubkey_bits(pubkey);
	bool rsa = pubkey_type(pubkey) == KEY_TYPE_RSA;
	unsigned min =
		rsa && policy->minimum_bits > alg->min_bits ? policy->minimum_bits : alg->min_bits;

	if (bits >= min && bits <= alg->max_bits)
		return ERR_OK;
	err_detail_set(detail, "%u bits; allowed are %u (MinimumKeyBits) to %u", bits, min,
		       alg->max_bits);
	return bits < min ? ERR_KEY_TOO_SMALL : ERR_KEY_BAD;
}

/* ---- files ---- */

struct signkey_policy signkey_policy_of(const struct settings *settings)
{
	return (struct signkey_policy){
		.minimum_bits = (unsigned)settings->minimum_key_bits,
		.hardware_only = settings->require_hardware_keys,
		.safe_files = settings->require_safe_keys,
	};
}

static enum err read_key(const char *path, const struct signkey_policy *policy, struct slice text,
			 struct filekey **ret_file, struct err_detail *detail)
{
	if (policy->hardware_only) {
		err_detail_set(detail, "the key is not on a token, and RequireHardwareKeys is set");
		return ERR_DENIED;
	}
	return text.ptr != NULL ? filekey_from_text(text, ret_file, detail)
				: filekey_from_path(path, policy->safe_files, ret_file, detail);
}

/* @param path "" for text in the KeyTable */
static enum err open_file(const char *path, const struct signkey_policy *policy, struct slice text,
			  struct filekey **ret_file, struct err_detail *detail)
{
	AUTO(filekey_free) struct filekey *file = NULL;
	enum err e = read_key(path, policy, text, &file, detail);

	if (e == ERR_OK)
		e = check_bits(filekey_pubkey(file), policy, detail);
	if (e == ERR_OK) {
		*ret_file = file;
		file = NULL; /* handed over */
	} else if (path[0] != '\0' && detail != NULL &&
		   !slice_starts(slice_str(detail->text), slice_str(path))) {
		err_detail_prefix(detail, "%s: ", path);
	}
	return e;
}

enum err signkey_check_file(const char *path, const struct signkey_policy *policy,
			    struct slice text, struct err_detail *detail)
{
	AUTO(filekey_free) struct filekey *file = NULL;

	return open_file(path, policy, text, &file, detail);
}

enum err signkey_open_file(struct signkey *key, const struct signkey_policy *policy,
			   struct slice text, struct err_detail *detail)
{
	struct filekey *file = NULL;
	bool first;
	enum err e;

	if (atomic_load(&key->opened))
		return ERR_OK;
	e = open_file(key->ref, policy, text, &file, detail);
	if (e != ERR_OK)
		return e;
	(void)pthread_mutex_lock(&key->lock);
	first = key->file == NULL;
	if (first) {
		key->file = file;
		key->pubkey = filekey_pubkey(file);
		file = NULL;
		atomic_store(&key->opened, true);
	}
	(void)pthread_mutex_unlock(&key->lock);
	if (first) {
		char what[64];

		(void)snprintf(what, sizeof(what), "%s %u bits, key file",
			       pubkey_type(key->pubkey) == KEY_TYPE_RSA ? "RSA" : "Ed25519",
			       pubkey_bits(key->pubkey));
		log_opened(key, what, pubkey_bits(key->pubkey));
	}
	filekey_free(&file);
	return ERR_OK;
}

/* ---- tokens ---- */

static enum err check_audit(const struct token_key *found, const struct signkey_policy *policy,
			    struct err_detail *detail)
{
	const struct token_key_info *i = token_key_info(found);
	char what[256];
	enum err e = check_bits(token_key_pubkey(found), policy, detail);

	if (e != ERR_OK || !policy->hardware_only)
		return e;
	if (i->sensitive && !i->extractable && i->is_private)
		return ERR_OK;
	err_detail_set(detail, "the key can leave its token (%s), and RequireHardwareKeys is set",
		       token_key_describe(found, what, sizeof(what)));
	return ERR_DENIED;
}

/* The lock is held. */
static void describe_conflict(const struct signkey *key, const struct token_key *found,
			      struct err_detail *detail)
{
	const struct token_key *first = NULL;
	char ref[256];

	for (size_t i = 0; i < key->replica_count && first == NULL; i++)
		first = key->replicas[i].key;
	err_detail_set(detail,
		       "%s names different keys on token %s and on token %s: add token= to the "
		       "URI, then reload",
		       shown(key->ref, ref, sizeof(ref)),
		       first != NULL ? token_key_token_name(first) : "?",
		       token_key_token_name(found));
}

/* Put what was found into its place. @return ERR_AMBIGUOUS: another token has another key */
static enum err install(struct signkey *key, size_t token, struct token_key **found,
			struct err_detail *detail)
{
	struct replica *r = &key->replicas[token];
	enum err e = ERR_OK;

	(void)pthread_mutex_lock(&key->lock);
	if (key->pubkey != NULL && !pubkey_equal(key->pubkey, token_key_pubkey(*found))) {
		describe_conflict(key, *found, detail);
		atomic_store(&r->state, REPLICA_ABSENT);
		e = ERR_AMBIGUOUS;
	} else if (r->key == NULL) {
		r->key = *found;
		if (key->pubkey == NULL)
			key->pubkey = token_key_pubkey(r->key);
		if (token_key_info(r->key)->wants_input)
			atomic_store(&key->wants_input, true);
		*found = NULL;
		atomic_store(&r->state, REPLICA_HERE);
		atomic_store(&key->opened, true);
	} else { /* another worker was first, or it was lost and is back */
		token_key_follow(r->key, *found);
		atomic_store(&r->state, REPLICA_HERE);
	}
	(void)pthread_mutex_unlock(&key->lock);
	return e;
}

enum err signkey_open_token(struct signkey *key, const struct signkey_policy *policy,
			    struct token_session *session, size_t token, struct err_detail *detail)
{
	AUTO(token_key_free) struct token_key *found = NULL;
	struct replica *r = &key->replicas[token];
	char what[256];
	int unknown = REPLICA_UNKNOWN;
	enum err e;

	if (atomic_load(&r->state) == REPLICA_HERE)
		return ERR_OK;
	e = token_key_open(session, key->uri, &found, detail);
	if (e == ERR_OK)
		e = check_audit(found, policy, detail);
	if (e != ERR_OK && err_class(e) == ERR_CLASS_PERM) /* unless another worker found it */
		(void)atomic_compare_exchange_strong(&r->state, &unknown, REPLICA_MISSED);
	if (e != ERR_OK)
		return e;
	(void)token_key_describe(found, what, sizeof(what));
	e = install(key, token, &found, detail);
	if (e == ERR_AMBIGUOUS) /* said once: this token is not asked again */
		log_line(LOG_LEVEL_ERROR, "key %s (s=%s, d=%s): %s",
			 shown_name(key, what, sizeof(what)), key->selector, key->domain,
			 detail->text);
	if (e == ERR_OK && found == NULL) /* it was us who installed it */
		log_opened(key, what, pubkey_bits(key->pubkey));
	return e;
}

void signkey_lost(struct signkey *key, size_t token, enum err error)
{
	int here = REPLICA_HERE;
	char name[128];
	bool left = false;

	if (!atomic_compare_exchange_strong(&key->replicas[token].state, &here,
					    error == ERR_KEY_CHANGED ? REPLICA_ABSENT
								     : REPLICA_MISSED))
		return; /* somebody else was first */
	for (size_t i = 0; i < key->replica_count; i++)
		left |= atomic_load(&key->replicas[i].state) == REPLICA_HERE;
	log_line(LOG_LEVEL_WARNING, "key %s (s=%s, d=%s): token %s %s%s",
		 shown_name(key, name, sizeof(name)), key->selector, key->domain,
		 token_key_token_name(key->replicas[token].key),
		 error == ERR_KEY_CHANGED ? "has another key under its name by now"
					  : "does not have it any more",
		 left ? "; other tokens sign" : "; it is looked for anew");
	if (!left)
		atomic_store(&key->stale, true);
}

void signkey_set_conflict(struct signkey *key, const struct err_detail *detail)
{
	char *text = slice_dup(slice_str(detail->text));
	char *none = NULL;

	if (text != NULL && !atomic_compare_exchange_strong(&key->conflict, &none, text))
		free(text); /* the first one stands */
}

enum err signkey_conflict(struct signkey *key, struct err_detail *detail)
{
	const char *text = atomic_load(&key->conflict);

	if (text == NULL)
		return ERR_OK;
	err_detail_set(detail, "%s", text);
	return ERR_AMBIGUOUS;
}

/* ---- for the operator ---- */

void signkey_failed(struct signkey *key, enum err error, const struct err_detail *detail)
{
	(void)pthread_mutex_lock(&key->lock);
	if (key->failure == NULL)
		key->failure = calloc(1, sizeof(*key->failure));
	if (key->failure != NULL) {
		key->failure->error = error;
		key->failure->at_ms = clock_mono_ms();
		err_detail_set(&key->failure->detail, "%s", detail != NULL ? detail->text : "");
		atomic_store(&key->failing, true);
	}
	(void)pthread_mutex_unlock(&key->lock);
}

/* With each signature: a look at a flag. */
void signkey_worked(struct signkey *key)
{
	if (atomic_load_explicit(&key->failing, memory_order_relaxed))
		atomic_store(&key->failing, false);
}

bool signkey_failure(struct signkey *key, struct signkey_failure *ret_failure)
{
	bool failing;

	(void)pthread_mutex_lock(&key->lock);
	failing = atomic_load(&key->failing);
	if (failing)
		*ret_failure = *key->failure;
	(void)pthread_mutex_unlock(&key->lock);
	return failing;
}
