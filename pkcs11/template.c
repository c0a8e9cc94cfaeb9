/* Attribute templates of new keys. */
#include "pkcs11/template.h"

#include "pkcs11/attribute.h"
#include "pkcs11/quirk.h"

static const CK_BBOOL yes = CK_TRUE;
static const CK_BBOOL no = CK_FALSE;

void template_add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
	if (t->count < TEMPLATE_MAX)
		t->list[t->count++] = attribute_const(type, value, len);
}

struct flag {
	CK_ATTRIBUTE_TYPE type;
	const CK_BBOOL *value;
};

static void add_flags(struct template *t, const struct flag *flags, size_t count)
{
	for (size_t i = 0; i < count; i++)
		template_add(t, flags[i].type, flags[i].value, sizeof(CK_BBOOL));
}

static void add_names(struct template *t, const struct newkey *want, const CK_OBJECT_CLASS *class)
{
	static const CK_KEY_TYPE rsa = CKK_RSA;
	static const CK_KEY_TYPE ed25519 = CKK_EC_EDWARDS;

	template_add(t, CKA_CLASS, class, sizeof(*class));
	template_add(t, CKA_KEY_TYPE, want->type == KEY_TYPE_RSA ? &rsa : &ed25519, sizeof(rsa));
	template_add(t, CKA_LABEL, want->label.ptr, want->label.len);
	template_add(t, CKA_ID, want->id.ptr, want->id.len);
}

void template_private(struct template *t, const struct newkey *want, enum template_detail how)
{
	static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	static const struct flag needed[] = {
		{ CKA_TOKEN, &yes },	  { CKA_PRIVATE, &yes }, { CKA_SENSITIVE, &yes },
		{ CKA_EXTRACTABLE, &no }, { CKA_SIGN, &yes },	 { CKA_DECRYPT, &no },
		{ CKA_UNWRAP, &no },	  { CKA_DERIVE, &no },
	};
	static const struct flag refused_by_some[] = {
		{ CKA_SIGN_RECOVER, &no },
		{ CKA_ALWAYS_AUTHENTICATE, &no },
		{ CKA_WRAP_WITH_TRUSTED, &yes },
		{ CKA_MODIFIABLE, &no },
	};

	t->count = 0;
	add_names(t, want, &class);
	add_flags(t, needed, ARRAY_LEN(needed));
	if (how == TEMPLATE_ALL)
		add_flags(t, refused_by_some, ARRAY_LEN(refused_by_some));
}

void template_public(struct template *t, const struct newkey *want, enum template_detail how)
{
	static const CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	static const struct flag place[] = { { CKA_TOKEN, &yes }, { CKA_PRIVATE, &no } };
	static const struct flag uses[] = {
		{ CKA_VERIFY, &yes },
		{ CKA_ENCRYPT, &no },
		{ CKA_VERIFY_RECOVER, &no },
		{ CKA_WRAP, &no },
	};

	t->count = 0;
	add_names(t, want, &class);
	add_flags(t, place, ARRAY_LEN(place));
	if (how != TEMPLATE_BARE)
		add_flags(t, uses, ARRAY_LEN(uses));
}

enum template_detail template_first(CK_FUNCTION_LIST *f)
{
	return quirk_of(f)->bare_templates ? TEMPLATE_BARE : TEMPLATE_ALL;
}

/* Answers to an attribute that the token doesn't know or doesn't want to be told. */
bool template_ask_less(CK_RV rv, enum template_detail *how)
{
	if (*how == TEMPLATE_BARE ||
	    (rv != CKR_ATTRIBUTE_TYPE_INVALID && rv != CKR_ATTRIBUTE_VALUE_INVALID &&
	     rv != CKR_TEMPLATE_INCONSISTENT && rv != CKR_ATTRIBUTE_READ_ONLY))
		return false;
	*how = *how == TEMPLATE_ALL ? TEMPLATE_NEEDED : TEMPLATE_BARE;
	return true;
}

void template_add_ed25519_params(struct template *t, unsigned form)
{
	static const unsigned char oid[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
	static const unsigned char name[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
					      'd',  's',  '2', '5', '5', '1', '9' };

	if (form == 0)
		template_add(t, CKA_EC_PARAMS, oid, sizeof(oid));
	else
		template_add(t, CKA_EC_PARAMS, name, sizeof(name));
}
