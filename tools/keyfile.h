/* New private keys in PEM files. Reading them is signer/filekey's. */
#ifndef TOOLS_KEYFILE_H
#define TOOLS_KEYFILE_H

#include "base/pubkey.h"

/**
 * Make a key and write it to a file that must not exist, PKCS#8 PEM, mode 0600.
 * @param bits    RSA only
 * @param ret_key its public half
 * @return as outfile_create(); ERR_CRYPTO
 */
NODISCARD enum err keyfile_make(const char *path, enum key_type type, unsigned bits,
				struct pubkey **ret_key, struct err_detail *detail);

#endif
