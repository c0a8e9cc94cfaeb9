/* Attribute templates of new keys: what we ask of each half, and what a token may not know. */
#ifndef PKCS11_TEMPLATE_H
#define PKCS11_TEMPLATE_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/generate.h"

/** Attributes of one object. */
#define TEMPLATE_MAX 32U

struct template
{
	CK_ATTRIBUTE list[TEMPLATE_MAX];
	CK_ULONG count;
};

/** value is borrowed. */
void template_add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len);

/** How much a template says; a token that refuses one is asked with the next. */
enum template_detail {
	TEMPLATE_ALL,	 /**< every attribute */
	TEMPLATE_NEEDED, /**< without those of the private half that some tokens refuse to be told
			    (wrap with trusted keys only, not modifiable, no PIN for each signature,
			    no sign-recover) */
	TEMPLATE_BARE,	 /**< nor the uses of the public half */
};

/** Class, names and uses of the private half. */
void template_private(struct template *t, const struct newkey *want, enum template_detail how);
/** Class, names and uses of the public half. */
void template_public(struct template *t, const struct newkey *want, enum template_detail how);

/** Where to begin with this module: with all, unless it is known that this fails. */
enum template_detail template_first(CK_FUNCTION_LIST *f);
/**
 * What to ask for after this answer.
 * @return false: it has nothing to do with the attributes, or there is nothing less to ask for
 */
NODISCARD bool template_ask_less(CK_RV rv, enum template_detail *how);

/** Forms of CKA_EC_PARAMS for Ed25519: the OID, then the name that older tokens want. */
#define TEMPLATE_ED25519_FORMS 2U
void template_add_ed25519_params(struct template *t, unsigned form);

#endif
