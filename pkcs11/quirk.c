/* The table of modules. */
#include "pkcs11/quirk.h"

#include "base/slice.h"

static const struct quirk quirks[] = {
	/*
	 * tpm2-pkcs11 1.9. It takes uses of the public half for uses of the pair and then says
	 * CKR_GENERAL_ERROR. CKM_RSA_PKCS it makes of a decryption, which a key for signing only
	 * does not do; the key is in use from then on and cannot be destroyed. Each such failure
	 * costs one of the TPM's three slots for keys, so trying is no way to find out.
	 */
	{ "tpm2-software.github.io", .bare_templates = true, .hashes_first = true },
	/*
	 * SoftHSM 2.6. Each login of any process writes the token's file anew; who reads it in
	 * that moment, C_Initialize above all, sees no token or one without a label.
	 */
	{ "SoftHSM", .torn_reads = true },
};

const struct quirk *quirk_of(CK_FUNCTION_LIST *f)
{
	static const struct quirk none = { .manufacturer = "" };
	struct slice manufacturer;
	CK_INFO info;

	if (f->C_GetInfo(&info) != CKR_OK)
		return &none;
	manufacturer = slice_rtrim(slice_of(info.manufacturerID, sizeof(info.manufacturerID)));
	for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++)
		if (slice_eq(manufacturer, slice_str(quirks[i].manufacturer)))
			return &quirks[i];
	return &none;
}
