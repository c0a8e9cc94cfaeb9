/* Searching a token's objects by label and id, whatever their class. */
#ifndef PKCS11_OBJECTS_H
#define PKCS11_OBJECTS_H

#include "base/err.h"
#include "base/slice.h"
#include "pkcs11/cryptoki.h"

/**
 * @param class   NULL: any
 * @param label   ptr NULL: any; id likewise
 * @param handles room for max; *ret_count is at most max
 * @return the failed call's error with a detail
 */
NODISCARD enum err objects_find(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
				const CK_OBJECT_CLASS *class, struct slice label, struct slice id,
				CK_OBJECT_HANDLE *handles, CK_ULONG max, CK_ULONG *ret_count,
				struct err_detail *detail);

#endif
