/*
 * One generation in the signer process: its KeyTable, its tokens, and the keys that were opened so
 * far. Immutable but for the opened keys; reference counted, because requests may outlive a reload.
 */
#ifndef SIGNER_KEYRING_H
#define SIGNER_KEYRING_H

#include "config/files.h"
#include "config/settings.h"
#include "signer/signkey.h"
#include "signer/tokenlane.h"

struct keyring;

/** Tokens of one generation: the bit set of tried ones is 64 wide. */
#define KEYRING_TOKENS_MAX 64u

/**
 * Load tables and tokens; opens no key and touches no module. SigningTable rows must name keys that
 * exist.
 * @param settings, files owned by the keyring from now on, also on failure
 * @param before    the generation in force, whose unchanged tokens go on; may be NULL
 * @param memory    as tokenlane_new()
 * @return ERR_CONFIG, ERR_IO, ERR_NOMEM with a detail that names file and line
 */
NODISCARD enum err keyring_new(uint32_t number, struct settings *settings, struct files *files,
			       const struct keyring *before, const struct pin_memory *memory,
			       struct keyring **ret_ring, struct err_detail *detail);
/**
 * For -n: all that keyring_new() checks, every row of lmdb: tables, too; no key of a KeyTable,
 * token or module is used. Whether this process may read a key file is asked for (access(2)) in the
 * first 10000 rows.
 * @param warn gets a text for each of the first 20 that it may not read, one with the number of the
 * others, and one when there were more rows; and one for each token without a PIN source, or whose
 * module is no shared object
 * @return as keyring_new()
 */
NODISCARD enum err keyring_check(const struct settings *settings, struct files *files,
				 void (*warn)(const char *text), struct err_detail *detail);

struct keyring *keyring_ref(struct keyring *ring);
void keyring_unref(struct keyring **ring);

uint32_t keyring_number(const struct keyring *ring);
const struct settings *keyring_settings(const struct keyring *ring);
const struct signkey_policy *keyring_policy(const struct keyring *ring);
size_t keyring_key_count(const struct keyring *ring);

size_t keyring_token_count(const struct keyring *ring);
struct tokenlane *keyring_token(const struct keyring *ring, size_t i);

/**
 * The key of a row, opened or not; kept for the next time (bounded), until it is stale. One thread
 * only.
 * @param name, from_domain in any spelling, the key is the same; its name is the row's
 * @return ERR_KEY_UNKNOWN, ERR_DENIED, ERR_SYNTAX with a detail; ERR_NOMEM
 */
NODISCARD enum err keyring_find(struct keyring *ring, struct slice name, struct slice from_domain,
				struct signkey **ret_key, struct err_detail *detail);

/** A key for the operator's eyes. */
struct keyring_view {
	struct slice name;
	struct slice domain; /**< "%" for a row that follows the From domain */
	struct slice selector;
	enum keyref_kind kind;
	struct slice ref;    /**< URI or path; of a PEM text nothing */
	struct signkey *key; /**< NULL: not used so far */
};

/**
 * Call fn for each row of the KeyTable, then for each From domain's key of the rows that follow it.
 * One thread only, the one that keyring_find() is called in.
 * @param name only this row; empty: all
 * @param fn   return false to stop
 */
void keyring_each(const struct keyring *ring, struct slice name,
		  bool (*fn)(void *ctx, const struct keyring_view *view), void *ctx);

/** The text of a key that the generation itself holds: PEM in the KeyTable, or KeyFile, which the
 * supervisor read because only root may. Its ptr is NULL for other keys. Borrows from the
 * keyring. */
struct slice keyring_key_text(const struct keyring *ring, const struct signkey *key);

/** The names of the first rows that do not follow the From domain, at most max. @return how many */
size_t keyring_fixed_names(const struct keyring *ring, struct slice *names, size_t max);

#endif
