/* What only pkcs11/ may do with a module. */
#ifndef PKCS11_MODULE_PRIV_H
#define PKCS11_MODULE_PRIV_H

#include "pkcs11/cryptoki.h"
#include "pkcs11/module.h"

CK_FUNCTION_LIST *p11_module_functions(const struct p11_module *module);

/**
 * The slots that hold a token now, through libp11; by C_GetSlotList when libp11 fails as a whole
 * because one slot does.
 * @param ret_slots caller frees @return ERR_NOMEM or the CKR's error with a detail
 */
NODISCARD enum err p11_module_slots(struct p11_module *module, CK_SLOT_ID **ret_slots,
				    size_t *ret_count, struct err_detail *detail);

#endif
