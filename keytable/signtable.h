/* The SigningTable: sender address -> key names. OpenDKIM's look-up order (opendkim.conf(5),
 * SigningTable). */
#ifndef KEYTABLE_SIGNTABLE_H
#define KEYTABLE_SIGNTABLE_H

#include "keytable/dataset.h"

struct signtable;

struct signtable_match {
	struct slice key_name; /**< "%" already replaced by the sender's domain */
	struct slice identity; /**< i= ("user@domain" or "@domain"), "%" replaced; empty: none */
};

/** @return as dataset_open(); a signer without '@' is ERR_CONFIG with FILE:LINE (OpenDKIM signs
 * nothing then, in silence) */
NODISCARD enum err signtable_open(const char *spec, struct files *files,
				  struct signtable **ret_table, struct err_detail *detail);
void signtable_free(struct signtable **table);

/** True when the rows stay in their file (lmdb:): they were not checked. */
bool signtable_is_live(const struct signtable *table);

bool signtable_is_pattern(const struct signtable *table);
size_t signtable_count(const struct signtable *table);

/**
 * @param local, domain the sender; compared without ASCII case. A row matches in whichever way it
 * spells an internationalised domain (idn_spell())
 * @param multiple      all matches (MultipleSignatures), the same key name once; otherwise the
 * first
 * @param max           room in matches
 * @param arena         for what "%" made
 * @return ERR_OK also when nothing matches (*ret_count is 0); ERR_LIMIT when more than max match;
 * ERR_NOMEM; of a live table also ERR_CONFIG (a bad row or file), ERR_IO, ERR_BUSY
 */
struct arena;
NODISCARD enum err signtable_find(const struct signtable *table, struct slice local,
				  struct slice domain, bool multiple, struct arena *arena,
				  struct signtable_match *matches, size_t max, size_t *ret_count);

/**
 * Check every row, and that every key name in it (but those with "%") is one that known() says yes
 * to.
 * @param known NULL: only the rows
 * @return ERR_CONFIG with FILE:LINE and the name
 */
NODISCARD enum err signtable_check(const struct signtable *table,
				   bool (*known)(void *ctx, struct slice key_name), void *ctx,
				   struct err_detail *detail);

/** Rows that are right and can match no mail (keytable/rowdoubt.h), in file order. @param what is
 * wrong, and how to mend it; fn returns false to stop @return as dataset_each() */
NODISCARD enum err signtable_each_doubt(const struct signtable *table,
					bool (*fn)(void *ctx, struct slice key, const char *origin,
						   const char *what),
					void *ctx);

/**
 * Only whether known() says yes to every key name, for a process that needs the table for nothing
 * else; rows of a live one (lmdb:) are not looked at. What else is wrong is told by
 * signtable_open(), in the process that signs by it.
 * @return ERR_CONFIG with FILE:LINE and the name; ERR_NOMEM
 */
NODISCARD enum err signtable_check_spec(const char *spec, struct files *files,
					bool (*known)(void *ctx, struct slice key_name), void *ctx,
					struct err_detail *detail);

#endif
