/* A private key on a token: found, audited, its public key read, one signature made and checked. */
#include "pkcs11/attribute.h"
#include "pkcs11/ckr.h"
#include "pkcs11/publicpart.h"
#include "pkcs11/quirk.h"
#include "pkcs11/token_priv.h"
#include "pkcs11/uri_priv.h"

#include "base/limits.h"
#include "base/text.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define HITS_MAX 8

void token_key_free(struct token_key **key)
{
	if (key == NULL || *key == NULL)
		return;
	pubkey_free(&(*key)->pubkey);
	p11_uri_free(&(*key)->uri);
	free(*key);
	*key = NULL;
}

const struct token_key_info *token_key_info(const struct token_key *key)
{
	return &key->info;
}

const struct pubkey *token_key_pubkey(const struct token_key *key)
{
	return key->pubkey;
}

const char *token_key_token_name(const struct token_key *key)
{
	return key->token->name;
}

void token_key_follow(struct token_key *key, const struct token_key *found)
{
	atomic_store(&key->handle, atomic_load(&found->handle));
}

const char *token_key_describe(const struct token_key *key, char *out, size_t out_size)
{
	const struct token_key_info *i = &key->info;

	(void)snprintf(out, out_size, "token %s, %s %u bits, %ssensitive, %sextractable%s%s%s%s%s",
		       key->token->name, i->type == KEY_TYPE_RSA ? "RSA" : "Ed25519", i->bits,
		       i->sensitive ? "" : "NOT ", i->extractable ? "" : "not ",
		       i->always_sensitive && i->never_extractable ? " (never was)"
								   : " (was exposed or imported)",
		       i->is_private ? "" : ", NOT private",
		       i->second_use ? ", may also decrypt or unwrap" : "",
		       i->always_authenticate ? ", PIN for each signature" : "",
		       i->wants_input ? ", token hashes" : "");
	return out;
}

/* ---- finding ---- */

static size_t count_matches(struct token_session *s, struct slice label, struct slice id)
{
	size_t n;

	(void)pthread_mutex_lock(&s->token->lock);
	n = s->token->index != NULL ? keyindex_find(s->token->index, label, id, NULL, 0) : 0;
	(void)pthread_mutex_unlock(&s->token->lock);
	return n;
}

static void hex(struct slice bytes, char *out, size_t out_size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < bytes.len && len + 4 < out_size; i++)
		len += (size_t)snprintf(out + len, out_size - len, "%%%02x",
					(unsigned char)bytes.ptr[i]);
}

/* Then most tokens show no private key. */
static const char *why_hidden(struct token *t)
{
	bool hidden;

	(void)pthread_mutex_lock(&t->lock);
	hidden = t->pin == NULL && (t->info.flags & CKF_LOGIN_REQUIRED) != 0;
	(void)pthread_mutex_unlock(&t->lock);
	return hidden ? "; not logged in: no PIN source (set PKCS11PinSource, or pin-source= in "
			"the TokenTable)"
		      : "";
}

/* What would match if one attribute of the URI were dropped: so that a typo is found. */
static void describe_miss(struct token_session *s, const struct p11_uri *uri,
			  struct err_detail *detail)
{
	static const struct slice any = { NULL, 0 };
	struct slice label = p11_uri_label(uri);
	struct slice id = p11_uri_id(uri);
	char text[128];
	char id_text[128];
	size_t all = token_index_count(s->token);

	(void)text_sanitize(label.ptr != NULL ? label : SLICE_LIT(""), text, sizeof(text));
	hex(id.ptr != NULL ? id : SLICE_LIT(""), id_text, sizeof(id_text));
	if (label.ptr != NULL && id.ptr != NULL)
		err_detail_set(
			detail,
			"token %s: no private key has object=%s and id=%s; object= alone matches "
			"%zu, id= alone %zu of %zu keys%s",
			s->token->name, text, id_text, count_matches(s, label, any),
			count_matches(s, any, id), all, why_hidden(s->token));
	else
		err_detail_set(detail, "token %s: none of its %zu private keys has %s%s%s%s",
			       s->token->name, all, label.ptr != NULL ? "object=" : "id=",
			       label.ptr != NULL ? text : id_text,
			       label.ptr == NULL && slice_starts(id, SLICE_LIT("0"))
				       ? " (id=01 is two characters, id=%01 is one byte)"
				       : "",
			       why_hidden(s->token));
}

static enum err check_token(struct token_session *s, const struct p11_uri *uri,
			    struct err_detail *detail)
{
	struct token *t = s->token;
	char what[256];
	bool matches;

	(void)pthread_mutex_lock(&t->lock);
	matches = p11_uri_matches(uri, t->slot, &t->slot_info, &t->info);
	(void)pthread_mutex_unlock(&t->lock);
	if (matches)
		return ERR_OK;
	err_detail_set(detail, "token %s: the URI names another token; this one has %s", t->name,
		       token_describe(t, what, sizeof(what)));
	return ERR_KEY_MISSING;
}

/* ---- audit ---- */

static enum err read_type(struct token_session *s, CK_OBJECT_HANDLE object, enum key_type *ret_type,
			  struct err_detail *detail)
{
	CK_ULONG type = 0;

	if (!attribute_ulong(s->f, s->handle, object, CKA_KEY_TYPE, &type) ||
	    (type != CKK_RSA && type != CKK_EC_EDWARDS)) {
		err_detail_set(detail, "key type 0x%lx: only RSA and Ed25519 keys sign mail",
			       (unsigned long)type);
		return ERR_KEY_BAD;
	}
	*ret_type = type == CKK_RSA ? KEY_TYPE_RSA : KEY_TYPE_ED25519;
	return ERR_OK;
}

static void read_flags(struct token_session *s, CK_OBJECT_HANDLE object, struct token_key_info *i)
{
	struct {
		CK_ATTRIBUTE_TYPE type;
		bool fallback;
		bool *value;
	} flags[] = {
		{ CKA_SENSITIVE, false, &i->sensitive },
		{ CKA_EXTRACTABLE, true, &i->extractable },
		{ CKA_ALWAYS_SENSITIVE, false, &i->always_sensitive },
		{ CKA_NEVER_EXTRACTABLE, false, &i->never_extractable },
		{ CKA_PRIVATE, false, &i->is_private },
		{ CKA_ALWAYS_AUTHENTICATE, false, &i->always_authenticate },
	};
	static const CK_ATTRIBUTE_TYPE second_uses[] = { CKA_DECRYPT, CKA_UNWRAP, CKA_DERIVE,
							 CKA_SIGN_RECOVER };

	for (size_t n = 0; n < ARRAY_LEN(flags); n++)
		*flags[n].value =
			attribute_bool(s->f, s->handle, object, flags[n].type, flags[n].fallback);
	for (size_t n = 0; n < ARRAY_LEN(second_uses); n++)
		i->second_use |= attribute_bool(s->f, s->handle, object, second_uses[n], false);
}

/* The token signs with this mechanism. */
static bool offers(struct token_session *s, CK_MECHANISM_TYPE mechanism)
{
	CK_MECHANISM_INFO info;
	CK_SLOT_ID slot;

	(void)pthread_mutex_lock(&s->token->lock);
	slot = s->token->slot;
	(void)pthread_mutex_unlock(&s->token->lock);
	return s->f->C_GetMechanismInfo(slot, mechanism, &info) == CKR_OK &&
	       (info.flags & CKF_SIGN) != 0;
}

/* The key signs with it: CKA_ALLOWED_MECHANISMS holds it, or is not there. */
static bool allows(const struct attribute *allowed, CK_MECHANISM_TYPE mechanism)
{
	for (size_t at = 0; at + sizeof(mechanism) <= allowed->len; at += sizeof(mechanism)) {
		CK_MECHANISM_TYPE one;

		memcpy(&one, allowed->bytes + at, sizeof(one));
		if (one == mechanism)
			return true;
	}
	return allowed->len == 0;
}

static enum err audit(struct token_session *s, struct token_key *key, struct err_detail *detail)
{
	CK_OBJECT_HANDLE object = atomic_load(&key->handle);
	enum err e = read_type(s, object, &key->info.type, detail);

	if (e != ERR_OK)
		return e;
	read_flags(s, object, &key->info);
	if (!attribute_bool(s->f, s->handle, object, CKA_SIGN, true)) {
		err_detail_set(detail, "the key may not sign (CKA_SIGN is false)");
		return ERR_KEY_BAD;
	}
	e = publicpart_read(s->f, s->handle, object, key->info.type, &key->pubkey, detail);
	if (e != ERR_OK)
		return e;
	key->info.bits = pubkey_bits(key->pubkey);
	return ERR_OK;
}

/* Two objects with the URI's attributes are one key when their public keys are equal. */
static enum err check_duplicates(struct token_session *s, const CK_OBJECT_HANDLE *hits,
				 size_t count, const struct token_key *key,
				 struct err_detail *detail)
{
	char first[128] = "";
	char second[128] = "";

	for (size_t i = 1; i < count && i < HITS_MAX; i++) {
		AUTO(pubkey_free) struct pubkey *other = NULL;
		enum key_type type;
		struct attribute a;

		if (read_type(s, hits[i], &type, NULL) == ERR_OK &&
		    publicpart_read(s->f, s->handle, hits[i], type, &other, NULL) == ERR_OK &&
		    pubkey_equal(other, key->pubkey))
			continue;
		hex(attribute_read(s->f, s->handle, hits[0], CKA_ID, &a), first, sizeof(first));
		hex(attribute_read(s->f, s->handle, hits[i], CKA_ID, &a), second, sizeof(second));
		err_detail_set(
			detail,
			"token %s: %s names %zu different keys, id=%s and id=%s: add the id to "
			"the URI, or give the keys different ids",
			s->token->name, p11_uri_text(key->uri), count, first, second);
		return ERR_AMBIGUOUS;
	}
	return ERR_OK;
}

enum err token_key_test(struct token_session *session, const struct token_key *key,
			bool *ret_reload, struct err_detail *detail)
{
	static const char text[] = "hsmdkim: is this key what it says?";
	unsigned char digest[32];
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len = 0;

	if (EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_CRYPTO;
	return token_key_sign(session, key, dkim_alg_for_key(key->info.type),
			      slice_of(digest, sizeof(digest)), slice_of(text, sizeof(text)),
			      signature, &len, ret_reload, detail);
}

/* Both the token and the key are known to sign with it. */
static bool may_sign(struct token_session *s, const struct token_key *key,
		     CK_MECHANISM_TYPE mechanism)
{
	struct attribute allowed;

	(void)attribute_read(s->f, s->handle, atomic_load(&key->handle), CKA_ALLOWED_MECHANISMS,
			     &allowed);
	return allows(&allowed, mechanism) && offers(s, mechanism);
}

struct way {
	CK_MECHANISM_TYPE type;
	enum key_type key_type;
	bool wants_input;
};

/* In the order of preference. */
static const struct way ways[] = {
	{ CKM_RSA_PKCS, KEY_TYPE_RSA, false },
	{ CKM_SHA256_RSA_PKCS, KEY_TYPE_RSA, true },
	{ CKM_EDDSA, KEY_TYPE_ED25519, false },
};

/* An answer that another mechanism may better: tokens offer what a policy then refuses. */
static bool try_next_mechanism(enum err e)
{
	return e == ERR_TOKEN_FAILED || e == ERR_KEY_BAD;
}

/* The first mechanism with which a signature succeeds. */
static enum err settle_mechanism(struct token_session *s, struct token_key *key,
				 struct err_detail *detail)
{
	size_t start = quirk_of(s->f)->hashes_first ? 1 : 0;
	enum err e = ERR_OK;
	bool reload = false;

	err_detail_set(detail,
		       "token %s does not sign with %s, or the key does not allow it "
		       "(CKA_ALLOWED_MECHANISMS)",
		       s->token->name,
		       key->info.type == KEY_TYPE_ED25519 ? "CKM_EDDSA"
							  : "CKM_RSA_PKCS or CKM_SHA256_RSA_PKCS");
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		const struct way *way = &ways[(start + i) % ARRAY_LEN(ways)];

		if (way->key_type != key->info.type || !may_sign(s, key, way->type))
			continue;
		key->mechanism = way->type;
		key->info.wants_input = way->wants_input;
		e = token_key_test(s, key, &reload, detail);
		if (!try_next_mechanism(e))
			return e;
	}
	return e != ERR_OK ? e : ERR_KEY_BAD;
}

bool token_object_is_gone(struct token_session *session, CK_OBJECT_HANDLE object)
{
	CK_ATTRIBUTE type = { CKA_KEY_TYPE, NULL, 0 };
	CK_RV rv = session->f->C_GetAttributeValue(session->handle, object, &type, 1);

	return ckr_info(rv)->class == CKR_CLASS_REFIND;
}

static enum err find_key(struct token_session *s, struct token_key *key, CK_OBJECT_HANDLE *hits,
			 size_t *ret_count, struct err_detail *detail)
{
	enum err e = check_token(s, key->uri, detail);

	if (e == ERR_OK)
		e = token_find(s, key->uri, 0, hits, HITS_MAX, ret_count, detail);
	if (e == ERR_OK && *ret_count > 0 && token_object_is_gone(s, hits[0]))
		*ret_count = 0;		    /* deleted since the index was read, or made anew */
	if (e == ERR_OK && *ret_count == 0) /* hidden, because the login has lapsed? */
		e = token_session_check_login(s, detail);
	if (e == ERR_OK && *ret_count == 0) /* made since the index was read? */
		e = token_find(s, key->uri, token_index_fresh_ms(s->token), hits, HITS_MAX,
			       ret_count, detail);
	if (e == ERR_OK && *ret_count > 0 && token_object_is_gone(s, hits[0])) {
		err_detail_set(detail, "token %s: the key is not there any more", s->token->name);
		return ERR_KEY_MISSING;
	}
	if (e == ERR_OK && *ret_count == 0) {
		describe_miss(s, key->uri, detail);
		e = ERR_KEY_MISSING;
	}
	return e;
}

static enum err open_key(struct token_session *s, struct token_key *key, struct err_detail *detail)
{
	CK_OBJECT_HANDLE hits[HITS_MAX];
	size_t count = 0;
	enum err e = find_key(s, key, hits, &count, detail);

	if (e != ERR_OK)
		return e;
	atomic_init(&key->handle, hits[0]);
	e = audit(s, key, detail);
	if (e == ERR_OK)
		e = check_duplicates(s, hits, count, key, detail);
	return e == ERR_OK ? settle_mechanism(s, key, detail) : e;
}

enum err token_key_open(struct token_session *session, const struct p11_uri *uri,
			struct token_key **ret_key, struct err_detail *detail)
{
	AUTO(token_key_free) struct token_key *key = calloc(1, sizeof(*key));
	bool entered;
	enum err e;

	if (key == NULL)
		return ERR_NOMEM;
	key->token = session->token;
	e = p11_uri_parse(slice_str(p11_uri_text(uri)), P11_URI_KEY, &key->uri, detail);
	if (e != ERR_OK)
		return e;
	entered = token_enter(session->token);
	e = open_key(session, key, detail);
	token_leave(session->token, entered);
	if (e != ERR_OK)
		return e;
	*ret_key = key;
	key = NULL; /* handed over */
	return ERR_OK;
}
