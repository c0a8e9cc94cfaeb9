/* The value of a KeyTable row: "domain:selector:key", and what kind of key reference the third part
 * is. */
#ifndef KEYTABLE_KEYREF_H
#define KEYTABLE_KEYREF_H

#include "keytable/keytable.h"

/**
 * Split and check a value; row->name stays as it is. The URI is checked for what a table of keys
 * may not say (modules, PINs); the full parse is pkcs11/'s.
 * @return ERR_CONFIG with what is wrong and how to mend it, without file and line
 */
NODISCARD enum err keyref_parse(struct slice value, struct keytable_row *row,
				struct err_detail *detail);

#endif
