/* What is known of single modules and cannot be asked for: one table, each row with its reason. */
#ifndef PKCS11_QUIRK_H
#define PKCS11_QUIRK_H

#include "pkcs11/cryptoki.h"

#include <stdbool.h>

struct quirk {
	const char *manufacturer; /**< CK_INFO's, without its padding */
	bool bare_templates;	  /**< tell a new public key no uses: see TEMPLATE_BARE */
	bool hashes_first;	  /**< try CKM_SHA256_RSA_PKCS before CKM_RSA_PKCS */
	bool torn_reads;	  /**< a token that is not seen may be there: look again */
};

/** @return the module's row; one without quirks for all others */
const struct quirk *quirk_of(CK_FUNCTION_LIST *f);

#endif
