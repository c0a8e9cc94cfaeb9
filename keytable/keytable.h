/*
 * The KeyTable: key name -> domain, selector, private key. Only the signer process holds it, so a
 * milter process that was taken over can ask for signatures with the keys in it and for nothing
 * else.
 */
#ifndef KEYTABLE_KEYTABLE_H
#define KEYTABLE_KEYTABLE_H

#include "dkim/idn.h"
#include "keytable/dataset.h"

struct keytable;

enum keyref_kind { KEYREF_URI, KEYREF_FILE, KEYREF_PEM };

struct keytable_row {
	struct slice name;
	struct slice domain; /**< "%" when it follows the From domain */
	struct slice selector;
	enum keyref_kind kind;
	struct slice ref; /**< URI, path (may hold %), PEM or base64 DER text */
};

/**
 * @param spec data set of "name domain:selector:key[:algorithm]"; every row is parsed and checked
 * now, keys are not opened
 * @return as dataset_open(); a bad row, a repeated name, a URI that names a module or a PIN:
 * ERR_CONFIG with FILE:LINE
 */
NODISCARD enum err keytable_open(const char *spec, struct files *files, struct keytable **ret_table,
				 struct err_detail *detail);

/** As keytable_open(); each row is shown to fn, too, when it was checked. A live table's are not.
 * @param fn return false to stop; the caller keeps the reason */
NODISCARD enum err
keytable_open_each(const char *spec, struct files *files,
		   bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin),
		   void *ctx, struct keytable **ret_table, struct err_detail *detail);

/** The table of Domain/Selector/KeyFile: one row, its name is "" (the signing decision asks for
 * that name). */
NODISCARD enum err keytable_open_single(const char *domain, const char *selector, const char *key,
					struct keytable **ret_table, struct err_detail *detail);
void keytable_free(struct keytable **table);

/** True when the rows stay in their file (lmdb:): they were not checked. */
bool keytable_is_live(const struct keytable *table);

/** Check every row, as keytable_open() does for tables that are not live. */
NODISCARD enum err keytable_check(const struct keytable *table, struct err_detail *detail);

size_t keytable_count(const struct keytable *table);

/**
 * @param name         as the row spells it: see keytable_spelling()
 * @param from_domain  what "%" stands for, in A-labels, whichever way it is spelled here
 * @param ret_domain   d= with "%" replaced, in A-labels; NUL-terminated, caller frees
 * @param ret_row      lives as long as the table; of a live one: as long as *ret_domain
 * @param ret_ref      key reference with "%" replaced (only in paths that start with "/"; a domain
 * that is not dkim_domain_valid() is refused, so no path can be made with it); caller frees
 * @return ERR_KEY_UNKNOWN, ERR_DENIED, ERR_NOMEM; of a live table also ERR_CONFIG (a bad row or
 * file), ERR_IO, ERR_BUSY
 */
NODISCARD enum err keytable_find(const struct keytable *table, struct slice name,
				 struct slice from_domain, struct keytable_row *ret_row,
				 char **ret_domain, char **ret_ref);

/** True when the table has a row of exactly that name. A live table that cannot be read says true.
 */
bool keytable_has(const struct keytable *table, struct slice name);

/**
 * The name as its row spells it: "%" in the SigningTable makes a domain a key's name, and an
 * internationalised domain has several spellings. Everything that is kept or counted for a key goes
 * by this one.
 * @param room lives as long as what is returned
 * @return name itself where no spelling of it has a row
 */
struct slice keytable_spelling(const struct keytable *table, struct slice name,
			       struct idn_spellings *room);

/** Every row in file order. @param fn return false to stop */
NODISCARD enum err
keytable_each(const struct keytable *table,
	      bool (*fn)(void *ctx, const struct keytable_row *row, const char *origin), void *ctx);

#endif
