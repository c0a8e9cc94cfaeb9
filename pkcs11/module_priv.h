/* What only pkcs11/ may do with a module. */
#ifndef PKCS11_MODULE_PRIV_H
#define PKCS11_MODULE_PRIV_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/module.h"

CK_FUNCTION_LIST *p11_module_functions(const struct p11_module *module);

/**
 * The slots that hold a token now: the first time through libp11, later by C_GetSlotList.
 * @param ret_slots caller frees @return ERR_NOMEM or the CKR's error with a detail
 */
NODISCARD enum err p11_module_slots(struct p11_module *module, CK_SLOT_ID **ret_slots,
				    size_t *ret_count, struct err_detail *detail);

#endif
