/* The TokenTable: which tokens there are. Modules and PINs are named here and nowhere else. */
#ifndef KEYTABLE_TOKENTABLE_H
#define KEYTABLE_TOKENTABLE_H

#include "config/settings.h"
#include "keytable/dataset.h"

/** A longer name is refused. */
#define TOKENTABLE_NAME_BYTES_MAX 255u
/** Of PKCS11Module's token. */
#define TOKENTABLE_SINGLE_NAME "token"

/** One token. The texts are the row's own, NUL-terminated. */
struct tokentable_row {
	char *name;
	char *origin; /**< FILE:LINE of a table's row, for messages; else NULL */
	char *uri;    /**< token attributes only, no query part; NULL: the module's only token */
	char *module_path; /**< absolute */
	char *pin_source;  /**< as config/pinsource.h; NULL: no login */
	unsigned sessions;
};

struct tokentable {
	struct tokentable_row *rows;
	size_t count;
};

/**
 * The tokens of the settings: TokenTable, or the one of PKCS11Module and PKCS11PinSource, or
 * none.
 * @return as dataset_open(); ERR_CONFIG with FILE:LINE for a row that is not "name uri options", or
 * whose name is long or has blanks
 */
NODISCARD enum err tokentable_load(const struct settings *settings, struct files *files,
				   struct tokentable **ret_table, struct err_detail *detail);
void tokentable_free(struct tokentable **table);

/** Begin the detail with where the token stands: "FILE:LINE: token 'name': ", or the setting for
 * PKCS11Module's. */
void tokentable_place(const struct tokentable_row *row, const char *setting,
		      struct err_detail *detail);

#endif
