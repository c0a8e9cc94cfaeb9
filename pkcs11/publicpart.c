/* The public half of a key on a token. */
#include "pkcs11/publicpart.h"

#include "pkcs11/attribute.h"

#include <openssl/x509.h>

struct reader {
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE session;
	enum key_type type;
	struct attribute a; /* room */
	struct attribute b;
};

bool publicpart_ed25519_point(struct slice value, struct slice *ret_raw)
{
	/* By the whole length and the exact head: a raw key may begin like one. */
	static const struct slice octet_string = SLICE_INIT("\x04\x20");
	static const struct slice bit_string = SLICE_INIT("\x03\x21\x00");

	if (value.len == 32)
		*ret_raw = value;
	else if (value.len == 34 && slice_starts(value, octet_string))
		*ret_raw = slice_sub(value, 2, 34);
	else if (value.len == 35 && slice_starts(value, bit_string))
		*ret_raw = slice_sub(value, 3, 35);
	else
		return false;
	return true;
}

static struct slice read_a(struct reader *r, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	return attribute_read(r->f, r->session, object, type, &r->a);
}

static bool from_spki(struct reader *r, CK_OBJECT_HANDLE object, struct pubkey **ret_key)
{
	struct slice der = read_a(r, object, CKA_PUBLIC_KEY_INFO);

	return der.len != 0 && pubkey_from_spki(der, ret_key) == ERR_OK;
}

static bool from_numbers(struct reader *r, CK_OBJECT_HANDLE object, struct pubkey **ret_key)
{
	struct slice modulus;
	struct slice exponent;
	struct slice raw;

	if (r->type == KEY_TYPE_ED25519)
		return publicpart_ed25519_point(read_a(r, object, CKA_EC_POINT), &raw) &&
		       pubkey_from_ed25519(raw, ret_key) == ERR_OK;
	modulus = read_a(r, object, CKA_MODULUS);
	exponent = attribute_read(r->f, r->session, object, CKA_PUBLIC_EXPONENT, &r->b);
	if (exponent.len == 0)
		exponent = SLICE_LIT("\x01\x00\x01"); /* the test signature decides */
	return modulus.len != 0 && pubkey_from_rsa(modulus, exponent, ret_key) == ERR_OK;
}

static bool from_certificate(struct reader *r, CK_OBJECT_HANDLE object, struct pubkey **ret_key)
{
	struct slice der = read_a(r, object, CKA_VALUE);
	const unsigned char *p = (const unsigned char *)der.ptr;
	X509 *cert = der.len != 0 ? d2i_X509(NULL, &p, (long)der.len) : NULL;
	unsigned char *spki = NULL;
	int len = cert != NULL ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki) : 0;
	bool ok = len > 0 && pubkey_from_spki(slice_of(spki, (size_t)len), ret_key) == ERR_OK;

	OPENSSL_free(spki);
	X509_free(cert);
	return ok;
}

/* The first object of a class that shares the private key's id, or its label where that has no id.
 */
static bool find_sibling(struct reader *r, CK_OBJECT_HANDLE private_key, CK_OBJECT_CLASS class,
			 CK_OBJECT_HANDLE *ret_object)
{
	CK_ATTRIBUTE_TYPE by = CKA_ID;
	struct slice name = read_a(r, private_key, CKA_ID);
	CK_ATTRIBUTE wanted[2] = { { CKA_CLASS, &class, sizeof(class) } };
	CK_ULONG n = 0;

	if (name.len == 0) {
		by = CKA_LABEL;
		name = read_a(r, private_key, CKA_LABEL);
	}
	if (name.len == 0)
		return false;
	wanted[1] = (CK_ATTRIBUTE){ by, r->a.bytes, name.len };
	if (r->f->C_FindObjectsInit(r->session, wanted, 2) != CKR_OK)
		return false;
	if (r->f->C_FindObjects(r->session, ret_object, 1, &n) != CKR_OK)
		n = 0;
	(void)r->f->C_FindObjectsFinal(r->session);
	return n == 1;
}

enum err publicpart_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
			 CK_OBJECT_HANDLE private_key, enum key_type type, struct pubkey **ret_key,
			 struct err_detail *detail)
{
	struct reader r = { .f = f, .session = session, .type = type };
	AUTO(pubkey_free) struct pubkey *key = NULL;
	CK_OBJECT_HANDLE other;
	bool found = from_spki(&r, private_key, &key) || from_numbers(&r, private_key, &key);

	if (!found && find_sibling(&r, private_key, CKO_PUBLIC_KEY, &other))
		found = from_spki(&r, other, &key) || from_numbers(&r, other, &key);
	if (!found && find_sibling(&r, private_key, CKO_CERTIFICATE, &other))
		found = from_certificate(&r, other, &key);
	if (!found || pubkey_type(key) != type) {
		err_detail_set(detail,
			       "no public key: neither the private object, nor a public object, "
			       "nor a certificate with its id has one");
		return ERR_KEY_BAD;
	}
	*ret_key = key;
	key = NULL; /* handed over */
	return ERR_OK;
}
