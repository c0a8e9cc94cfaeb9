/* Moving a PEM key to a token: C_CreateObject of both halves. */
#include "base/limits.h"
#include "pkcs11/ckr.h"
#include "pkcs11/newkey_priv.h"
#include "pkcs11/token_priv.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define PARTS_MAX 8U
#define PART_BYTES (8192U / 8U)

/* The numbers of a key as Cryptoki wants them. Secret: wiped by parts_done(). */
struct parts {
	size_t count;
	CK_ATTRIBUTE_TYPE type[PARTS_MAX];
	size_t len[PARTS_MAX];
	bool public[PARTS_MAX]; /* stands in the public half, too */
	bool secret[PARTS_MAX]; /* stands in the private half */
	unsigned char bytes[PARTS_MAX][PART_BYTES];
};

static void parts_done(struct parts *p)
{
	OPENSSL_cleanse(p, sizeof(*p));
}

static bool add_number(struct parts *p, const EVP_PKEY *key, const char *name,
		       CK_ATTRIBUTE_TYPE type, bool public)
{
	BIGNUM *n = NULL;
	bool good = EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_num_bytes(n) > 0 &&
		    (size_t)BN_num_bytes(n) <= PART_BYTES && p->count < PARTS_MAX;

	if (good) {
		p->type[p->count] = type;
		p->public[p->count] = public;
		p->secret[p->count] = true;
		p->len[p->count] = (size_t)BN_bn2bin(n, p->bytes[p->count]);
		p->count++;
	}
	BN_clear_free(n);
	return good;
}

static bool take_rsa(const EVP_PKEY *key, struct parts *p)
{
	static const struct {
		const char *name;
		CK_ATTRIBUTE_TYPE type;
		bool public;
	} numbers[] = {
		{ OSSL_PKEY_PARAM_RSA_N, CKA_MODULUS, true },
		{ OSSL_PKEY_PARAM_RSA_E, CKA_PUBLIC_EXPONENT, true },
		{ OSSL_PKEY_PARAM_RSA_D, CKA_PRIVATE_EXPONENT, false },
		{ OSSL_PKEY_PARAM_RSA_FACTOR1, CKA_PRIME_1, false },
		{ OSSL_PKEY_PARAM_RSA_FACTOR2, CKA_PRIME_2, false },
		{ OSSL_PKEY_PARAM_RSA_EXPONENT1, CKA_EXPONENT_1, false },
		{ OSSL_PKEY_PARAM_RSA_EXPONENT2, CKA_EXPONENT_2, false },
		{ OSSL_PKEY_PARAM_RSA_COEFFICIENT1, CKA_COEFFICIENT, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!add_number(p, key, numbers[i].name, numbers[i].type, numbers[i].public))
			return false;
	return true;
}

static bool take_ed25519(const EVP_PKEY *key, struct parts *p)
{
	size_t seed = PART_BYTES;
	size_t point = PART_BYTES - 2;

	p->count = 2;
	p->type[0] = CKA_VALUE;
	p->secret[0] = true;
	p->type[1] = CKA_EC_POINT;
	p->public[1] = true;
	p->bytes[1][0] = 0x04; /* the OCTET STRING that PKCS#11 2.40 and 3.0 ask for */
	p->bytes[1][1] = 32;
	if (EVP_PKEY_get_raw_private_key(key, p->bytes[0], &seed) != 1 ||
	    EVP_PKEY_get_raw_public_key(key, p->bytes[1] + 2, &point) != 1 || point != 32)
		return false;
	p->len[0] = seed;
	p->len[1] = 2 + point;
	return true;
}

static void add_parts(struct template *t, const struct parts *p, bool public)
{
	for (size_t i = 0; i < p->count; i++)
		if (public ? p->public[i] : p->secret[i])
			template_add(t, p->type[i], p->bytes[i], p->len[i]);
}

/* Half of a pair, with as many of the attributes as the token will have. */
static CK_RV create_half(struct token_session *s, CK_SESSION_HANDLE session,
			 const struct newkey *want, const struct parts *p, bool public,
			 unsigned form, CK_OBJECT_HANDLE *ret_object)
{
	enum template_detail how = template_first(s->f);
	CK_RV rv;

	do {
		struct template t;

		if (public)
			template_public(&t, want, how);
		else
			template_private(&t, want, how);
		if (want->type == KEY_TYPE_ED25519)
			template_add_ed25519_params(&t, form);
		add_parts(&t, p, public);
		rv = s->f->C_CreateObject(session, t.list, t.count, ret_object);
	} while (template_ask_less(rv, &how));
	return rv;
}

static enum err create_pair(struct token_session *s, CK_SESSION_HANDLE session,
			    const struct newkey *want, const struct parts *p,
			    struct newkey_pair *pair, struct err_detail *detail)
{
	unsigned form = 0;
	CK_RV rv = create_half(s, session, want, p, false, form, &pair->private);

	if (rv != CKR_OK && want->type == KEY_TYPE_ED25519)
		rv = create_half(s, session, want, p, false, ++form, &pair->private);
	if (rv != CKR_OK)
		return ckr_error("C_CreateObject of the private key (some tokens take none from "
				 "outside: make a new one there)",
				 rv, detail);
	rv = create_half(s, session, want, p, true, form, &pair->public);
	if (rv == CKR_OK)
		return ERR_OK;
	(void)s->f->C_DestroyObject(session, pair->private);
	return ckr_error("C_CreateObject of the public key", rv, detail);
}

/* Never ask on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *ctx)
{
	(void)buffer, (void)size, (void)writing, (void)ctx;
	return -1;
}

static enum err read_parts(struct slice pem, struct newkey *want, struct parts *p,
			   struct err_detail *detail)
{
	BIO *in = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
	bool good = false;

	if (key != NULL && EVP_PKEY_is_a(key, "RSA")) {
		want->type = KEY_TYPE_RSA;
		good = take_rsa(key, p);
	} else if (key != NULL && EVP_PKEY_is_a(key, "ED25519")) {
		want->type = KEY_TYPE_ED25519;
		good = take_ed25519(key, p);
	}
	EVP_PKEY_free(key);
	BIO_free(in);
	if (good)
		return ERR_OK;
	err_detail_set(detail, "no RSA or Ed25519 private key in PEM without a passphrase");
	return ERR_KEY_BAD;
}

enum err newkey_import(struct token_session *session, const struct p11_uri *uri,
		       const struct newkey *want, struct slice pem, struct pubkey **ret_key,
		       struct err_detail *detail)
{
	struct newkey own = *want;
	struct parts parts = { 0 };
	struct newkey_pair pair = { 0, 0 };
	CK_SESSION_HANDLE rw = 0;
	enum err e = pem.len <= LIMIT_KEY_RECORD_BYTES ? read_parts(pem, &own, &parts, detail)
						       : ERR_LIMIT;

	if (e == ERR_OK)
		e = newkey_begin(session, uri, &own, &rw, detail);
	if (e == ERR_OK) {
		e = create_pair(session, rw, &own, &parts, &pair, detail);
		if (e == ERR_OK)
			e = newkey_finish(session, rw, own.type, &pair, ret_key, detail);
		(void)session->f->C_CloseSession(rw);
	}
	parts_done(&parts);
	return e;
}
