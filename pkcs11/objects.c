/* Searching a token's objects. */
#include "pkcs11/objects.h"

#include "pkcs11/attribute.h"
#include "pkcs11/ckr.h"

enum err objects_find(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, const CK_OBJECT_CLASS *class,
		      struct slice label, struct slice id, CK_OBJECT_HANDLE *handles, CK_ULONG max,
		      CK_ULONG *ret_count, struct err_detail *detail)
{
	CK_ATTRIBUTE list[3];
	CK_ULONG n = 0;
	CK_ULONG count = 0;
	CK_RV rv;

	if (class != NULL)
		list[n++] = attribute_const(CKA_CLASS, class, sizeof(*class));
	if (label.ptr != NULL)
		list[n++] = attribute_const(CKA_LABEL, label.ptr, label.len);
	if (id.ptr != NULL)
		list[n++] = attribute_const(CKA_ID, id.ptr, id.len);
	rv = f->C_FindObjectsInit(session, list, n);
	if (rv != CKR_OK)
		return ckr_error("C_FindObjectsInit", rv, detail);
	rv = f->C_FindObjects(session, handles, max, &count);
	(void)f->C_FindObjectsFinal(session);
	if (rv != CKR_OK)
		return ckr_error("C_FindObjects", rv, detail);
	*ret_count = count < max ? count : max;
	return ERR_OK;
}
