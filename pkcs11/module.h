/*
 * A PKCS#11 module: the vendor's shared object, loaded and initialised once a process through
 * libp11. Every call into it may block for ever: callers run in threads of which nothing else
 * depends.
 *
 * One thing blocks more than its caller: a module whose constructor hangs, while dlopen() runs it,
 * keeps the dynamic loader's lock. No other module can be loaded in this process then (those that
 * are loaded go on), and a thread of its own for each would wait for the same lock. The signer
 * process starts anew when that is seen, but the constructor may hang again.
 */
#ifndef PKCS11_MODULE_H
#define PKCS11_MODULE_H

#include "base/err.h"

struct p11_module;

/**
 * Load and C_Initialize. Loading a file that is loaded already gives the same module with one more
 * reference.
 * @return ERR_MODULE with a detail (not found, no Cryptoki, CKR_ name); ERR_NOMEM
 */
NODISCARD enum err p11_module_load(const char *path, struct p11_module **ret_module,
				   struct err_detail *detail);
/** Drop a reference; the last one finalises and unloads. */
void p11_module_unload(struct p11_module **module);

/** True when somebody else holds a reference, too. */
bool p11_module_shared(struct p11_module *module);

/** Modules that are loaded now. */
unsigned p11_module_count(void);

const char *p11_module_path(const struct p11_module *module);
/** True when the module can't lock (CKR_CANT_LOCK): all calls must come from one thread. */
bool p11_module_serial(const struct p11_module *module);

#endif
