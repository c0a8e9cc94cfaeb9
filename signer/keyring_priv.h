/* A keyring as its parts share it: keyring.c (life, keys), keyring_tables.c (what a load reads and
 * checks) and keyring_check.c (what -n looks at besides). */
#ifndef SIGNER_KEYRING_PRIV_H
#define SIGNER_KEYRING_PRIV_H

#include "signer/keyring.h"

#include <stdatomic.h>

struct place {
	struct signkey *key;
	char *from_domain;
};

struct keyring {
	atomic_uint refs;
	uint32_t number;
	struct settings *settings;
	struct files *files;
	struct keytable *table; /* NULL: this host signs nothing */
	struct signkey_policy policy;
	struct tokenlane **tokens;
	size_t token_count;
	struct place *places;
};

/**
 * Open the KeyTable, or make the one row of KeyFile, and check what would fail with the first
 * message only: URIs, the key in KeyFile, the SigningTable's key names.
 * @param r settings, files and policy are set; table is set
 * @return ERR_CONFIG, ERR_IO, ERR_KEY_*, ERR_DENIED, ERR_NOMEM with a detail
 */
NODISCARD enum err keyring_open_tables(struct keyring *r, struct err_detail *detail);

/** Can each URI match one key, and is there a token? @return ERR_CONFIG, ... with a detail */
NODISCARD enum err keyring_check_uris(const struct keyring *r, struct err_detail *detail);

/**
 * Read the TokenTable, the last one of a generation. Whoever asks looks at its PINs, too, and then
 * refuses what was gathered (files_gathered()).
 * @param ret_table tokentable_free() it, also on failure; stays NULL where the table's fault was
 * gathered
 * @return as tokentable_load()
 */
NODISCARD enum err keyring_read_tokens(const struct keyring *r, struct tokentable **ret_table,
				       struct err_detail *detail);

/** For signtable_check(). @param ctx the keyring */
bool keyring_row_exists(void *ctx, struct slice name);

#endif
