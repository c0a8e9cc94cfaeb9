/* Making keys on a token. */
#include "pkcs11/generate.h"

#include "base/text.h"
#include "pkcs11/attribute.h"
#include "pkcs11/ckr.h"
#include "pkcs11/newkey_priv.h"
#include "pkcs11/objects.h"
#include "pkcs11/publicpart.h"
#include "pkcs11/token_priv.h"
#include "pkcs11/uri_priv.h"

#include <openssl/evp.h>

enum err newkey_id(struct slice label, unsigned char ret_id[static NEWKEY_ID_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(label.ptr, label.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_CRYPTO;
	memcpy(ret_id, digest, NEWKEY_ID_BYTES);
	return ERR_OK;
}

/* ---- before ---- */

static enum err check_token(struct token_session *s, const struct p11_uri *uri,
			    struct err_detail *detail)
{
	struct token *t = s->token;
	char label[64];

	if (uri == NULL || p11_uri_matches(uri, t->slot, &t->slot_info, &t->info))
		return ERR_OK;
	err_detail_set(detail, "%s names another token; this one is token=%s serial=%.16s",
		       p11_uri_text(uri),
		       text_sanitize(slice_rtrim(slice_of(t->info.label, sizeof(t->info.label))),
				     label, sizeof(label)),
		       t->info.serialNumber);
	return ERR_KEY_MISSING;
}

static enum err check_free(struct token_session *s, CK_SESSION_HANDLE session,
			   const struct newkey *want, struct err_detail *detail)
{
	static const struct slice any = { NULL, 0 };
	CK_OBJECT_HANDLE hit;
	CK_ULONG labels = 0;
	CK_ULONG ids = 0;
	char text[128];
	enum err e = objects_find(s->f, session, NULL, want->label, any, &hit, 1, &labels, detail);

	if (e == ERR_OK)
		e = objects_find(s->f, session, NULL, any, want->id, &hit, 1, &ids, detail);
	if (e != ERR_OK || (labels == 0 && ids == 0))
		return e;
	err_detail_set(
		detail,
		"token %s: there is an object with this %s already (object=%s): choose another "
		"selector, or other object= and id= in the URI",
		s->token->name, labels != 0 ? "label" : "id",
		text_sanitize(want->label, text, sizeof(text)));
	return ERR_DENIED;
}

/* A session in which objects can be made. */
static enum err open_rw(struct token_session *s, CK_SESSION_HANDLE *ret_session,
			struct err_detail *detail)
{
	CK_RV rv = s->f->C_OpenSession(s->token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
				       NULL, ret_session);

	return rv == CKR_OK ? ERR_OK : ckr_error("C_OpenSession (read/write)", rv, detail);
}

enum err newkey_begin(struct token_session *s, const struct p11_uri *uri, const struct newkey *want,
		      CK_SESSION_HANDLE *ret_session, struct err_detail *detail)
{
	enum err e = check_token(s, uri, detail);

	if (e == ERR_OK)
		e = open_rw(s, ret_session, detail);
	if (e != ERR_OK || want == NULL)
		return e;
	e = check_free(s, *ret_session, want, detail);
	if (e != ERR_OK)
		(void)s->f->C_CloseSession(*ret_session);
	return e;
}

/* ---- the pair ---- */

static CK_RV try_pair(struct token_session *s, CK_SESSION_HANDLE session, const struct newkey *want,
		      enum template_detail how, unsigned form, struct newkey_pair *pair)
{
	static const unsigned char exponent[] = { 1, 0, 1 };
	CK_MECHANISM mechanism = { want->type == KEY_TYPE_RSA ? CKM_RSA_PKCS_KEY_PAIR_GEN
							      : CKM_EC_EDWARDS_KEY_PAIR_GEN,
				   NULL, 0 };
	CK_ULONG bits = want->bits;
	struct template private;
	struct template public;

	template_private(&private, want, how);
	template_public(&public, want, how);
	if (want->type == KEY_TYPE_RSA) {
		template_add(&public, CKA_MODULUS_BITS, &bits, sizeof(bits));
		template_add(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
	} else {
		template_add_ed25519_params(&public, form);
	}
	return s->f->C_GenerateKeyPair(session, &mechanism, public.list, public.count, private.list,
				       private.count, &pair->public, &pair->private);
}

static enum err make_pair(struct token_session *s, CK_SESSION_HANDLE session,
			  const struct newkey *want, struct newkey_pair *pair,
			  struct err_detail *detail)
{
	unsigned forms = want->type == KEY_TYPE_ED25519 ? TEMPLATE_ED25519_FORMS : 1;
	CK_RV rv = CKR_GENERAL_ERROR;

	for (unsigned form = 0; form < forms; form++) {
		enum template_detail how = template_first(s->f);

		do
			rv = try_pair(s, session, want, how, form, pair);
		while (template_ask_less(rv, &how));
		if (rv == CKR_OK)
			return ERR_OK;
	}
	if (rv == CKR_MECHANISM_INVALID) {
		err_detail_set(detail, "token %s cannot make %s keys", s->token->name,
			       key_type_name(want->type));
		return ERR_NOT_SUPPORTED;
	}
	return ckr_error("C_GenerateKeyPair", rv, detail);
}

/* ---- after ---- */

static void destroy_pair(struct token_session *s, CK_SESSION_HANDLE session,
			 const struct newkey_pair *pair)
{
	(void)s->f->C_DestroyObject(session, pair->private);
	(void)s->f->C_DestroyObject(session, pair->public);
}

/* What we asked for and what the token did need not be the same. */
static enum err check_made(struct token_session *s, CK_SESSION_HANDLE session,
			   const struct newkey_pair *pair, struct err_detail *detail)
{
	if (attribute_bool(s->f, session, pair->private, CKA_SENSITIVE, false) &&
	    !attribute_bool(s->f, session, pair->private, CKA_EXTRACTABLE, true))
		return ERR_OK;
	err_detail_set(detail,
		       "token %s does not protect the key it made (sensitive, not extractable); it "
		       "was destroyed again",
		       s->token->name);
	return ERR_KEY_BAD;
}

/* The index that other look-ups use does not have the new key. */
static void forget_index(struct token *token)
{
	(void)pthread_mutex_lock(&token->lock);
	keyindex_free(&token->index);
	(void)pthread_mutex_unlock(&token->lock);
}

enum err newkey_finish(struct token_session *s, CK_SESSION_HANDLE session, enum key_type type,
		       const struct newkey_pair *pair, struct pubkey **ret_key,
		       struct err_detail *detail)
{
	enum err e = check_made(s, session, pair, detail);

	if (e == ERR_OK)
		e = publicpart_read(s->f, session, pair->private, type, ret_key, detail);
	if (e != ERR_OK)
		destroy_pair(s, session, pair);
	forget_index(s->token);
	return e;
}

enum err newkey_generate(struct token_session *session, const struct p11_uri *uri,
			 const struct newkey *want, struct pubkey **ret_key,
			 struct err_detail *detail)
{
	CK_SESSION_HANDLE rw = 0;
	struct newkey_pair pair = { 0, 0 };
	enum err e = newkey_begin(session, uri, want, &rw, detail);

	if (e != ERR_OK)
		return e;
	e = make_pair(session, rw, want, &pair, detail);
	if (e == ERR_OK)
		e = newkey_finish(session, rw, want->type, &pair, ret_key, detail);
	(void)session->f->C_CloseSession(rw);
	return e;
}

/* ---- destroying ---- */

/* The one private key with the URI's names, if it is the expected one. */
static enum err find_expected(struct token_session *s, CK_SESSION_HANDLE session,
			      const struct p11_uri *uri, const struct pubkey *expect,
			      CK_OBJECT_HANDLE *ret_key, struct err_detail *detail)
{
	static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	AUTO(pubkey_free) struct pubkey *own = NULL;
	CK_OBJECT_HANDLE hits[2];
	CK_ULONG count = 0;
	enum err e = objects_find(s->f, session, &class, p11_uri_label(uri), p11_uri_id(uri), hits,
				  2, &count, detail);

	if (e != ERR_OK)
		return e;
	if (count != 1) {
		err_detail_set(detail, "token %s: %s private key is %s", s->token->name,
			       count == 0 ? "no" : "more than one", p11_uri_text(uri));
		return count == 0 ? ERR_KEY_MISSING : ERR_AMBIGUOUS;
	}
	e = publicpart_read(s->f, session, hits[0], pubkey_type(expect), &own, detail);
	if (e == ERR_OK && !pubkey_equal(own, expect)) {
		err_detail_set(detail, "token %s: %s is another key by now and was left alone",
			       s->token->name, p11_uri_text(uri));
		e = ERR_KEY_CHANGED;
	}
	if (e == ERR_OK)
		*ret_key = hits[0];
	return e;
}

static void destroy_public(struct token_session *s, CK_SESSION_HANDLE session,
			   const struct p11_uri *uri)
{
	static const CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_OBJECT_HANDLE hit;
	CK_ULONG count = 0;

	if (objects_find(s->f, session, &class, p11_uri_label(uri), p11_uri_id(uri), &hit, 1,
			 &count, NULL) == ERR_OK &&
	    count == 1)
		(void)s->f->C_DestroyObject(session, hit);
}

enum err newkey_destroy(struct token_session *session, const struct p11_uri *uri,
			const struct pubkey *expect, struct err_detail *detail)
{
	CK_SESSION_HANDLE rw = 0;
	CK_OBJECT_HANDLE key = 0;
	CK_RV rv;
	enum err e = newkey_begin(session, uri, NULL, &rw, detail);

	if (e != ERR_OK)
		return e;
	e = find_expected(session, rw, uri, expect, &key, detail);
	if (e == ERR_OK) {
		rv = session->f->C_DestroyObject(rw, key);
		e = rv == CKR_OK ? ERR_OK : ckr_error("C_DestroyObject", rv, detail);
	}
	if (e == ERR_OK)
		destroy_public(session, rw, uri);
	(void)session->f->C_CloseSession(rw);
	forget_index(session->token);
	return e;
}

/* ---- the name ---- */

/* RFC 7512 section 2.3: what may stand unescaped in every value. */
static bool is_plain(char c)
{
	return ch_is_alpha(c) || ch_is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static void add_attribute(struct buf *out, const char *name, struct slice value, bool all_escaped)
{
	if (value.len == 0)
		return;
	if (out->len != 0 && out->data[out->len - 1] != ':')
		buf_add_ch(out, ';');
	buf_add_fmt(out, "%s=", name);
	for (size_t i = 0; i < value.len; i++) {
		if (!all_escaped && is_plain(value.ptr[i]))
			buf_add_ch(out, value.ptr[i]);
		else
			buf_add_fmt(out, "%%%02X", (unsigned char)value.ptr[i]);
	}
}

void newkey_uri(const struct token_session *session, const struct newkey *key, struct buf *out)
{
	const CK_TOKEN_INFO *info = &session->token->info;

	buf_add_str(out, "pkcs11:");
	add_attribute(out, "token", slice_rtrim(slice_of(info->label, sizeof(info->label))), false);
	add_attribute(out, "serial",
		      slice_rtrim(slice_of(info->serialNumber, sizeof(info->serialNumber))), false);
	add_attribute(out, "object", key->label, false);
	add_attribute(out, "id", key->id, true);
}
