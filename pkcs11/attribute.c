/* Attributes, one by one. */
#include "pkcs11/attribute.h"

struct slice attribute_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			    CK_ATTRIBUTE_TYPE type, struct attribute *room)
{
	CK_ATTRIBUTE a = { type, room->bytes, sizeof(room->bytes) };
	CK_RV rv = f->C_GetAttributeValue(session, object, &a, 1);

	room->len = rv == CKR_OK && a.ulValueLen <= sizeof(room->bytes) ? a.ulValueLen : 0;
	return slice_of(room->bytes, room->len);
}

bool attribute_bool(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
		    CK_ATTRIBUTE_TYPE type, bool fallback)
{
	CK_BBOOL value = CK_FALSE;
	CK_ATTRIBUTE a = { type, &value, sizeof(value) };

	if (f->C_GetAttributeValue(session, object, &a, 1) != CKR_OK ||
	    a.ulValueLen != sizeof(value))
		return fallback;
	return value != CK_FALSE;
}

bool attribute_ulong(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
		     CK_ATTRIBUTE_TYPE type, CK_ULONG *ret_value)
{
	CK_ULONG value = 0;
	CK_ATTRIBUTE a = { type, &value, sizeof(value) };

	if (f->C_GetAttributeValue(session, object, &a, 1) != CKR_OK ||
	    a.ulValueLen != sizeof(value))
		return false;
	*ret_value = value;
	return true;
}

CK_ATTRIBUTE attribute_const(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
	CK_ATTRIBUTE a = { type, NULL, (CK_ULONG)len };

	memcpy(&a.pValue, &value, sizeof(value));
	return a;
}
