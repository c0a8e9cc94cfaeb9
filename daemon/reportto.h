/* Whom a report goes to when it is handed over by SMTP, where recipients are not read from the
 * message: its mailbox and those of ReportBccAddress. */
#ifndef DAEMON_REPORTTO_H
#define DAEMON_REPORTTO_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

#define REPORTTO_MAX 16u

/** recipients[0] is the report's own place. */
struct reportto {
	struct slice recipients[REPORTTO_MAX];
	size_t count; /**< at least 1 */
};

/** True when the address can stand in an SMTP command: printing ASCII around one "@", no blanks,
 * brackets or quotes. */
bool reportto_is_plain(struct slice address);

/**
 * @param bcc   ReportBccAddress: addresses parted by commas; NULL: none
 * @param arena keeps them
 * @param ret_skipped how many entries are no plain address, or are too many
 * @return ERR_NOMEM
 */
NODISCARD enum err reportto_init(struct reportto *to, const char *bcc, struct arena *arena,
				 size_t *ret_skipped);

#endif
