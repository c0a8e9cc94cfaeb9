/* Reading attributes of an object one by one, as tokens that lie about optional ones need it. */
#ifndef PKCS11_ATTRIBUTE_H
#define PKCS11_ATTRIBUTE_H

#include "base/slice.h"
#include "pkcs11/cryptoki.h"

/** Longest attribute that is read: a modulus, a certificate. */
#define ATTRIBUTE_BYTES 8192u

struct attribute {
	size_t len; /**< 0: absent, empty, or not to be read */
	char bytes[ATTRIBUTE_BYTES];
};

/** @return the attribute's bytes; an empty slice when there is none (SoftHSM says OK and length 0
 * for those) */
struct slice attribute_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			    CK_ATTRIBUTE_TYPE type, struct attribute *room);

/** An attribute to search or create with. Cryptoki's type has no const; it does not write to value.
 */
CK_ATTRIBUTE attribute_const(CK_ATTRIBUTE_TYPE type, const void *value, size_t len);

/** @param fallback when the object does not have the attribute */
bool attribute_bool(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
		    CK_ATTRIBUTE_TYPE type, bool fallback);

/** @return false when it is absent or of another size */
NODISCARD bool attribute_ulong(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
			       CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
			       CK_ULONG *ret_value);

#endif
