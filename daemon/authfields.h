/*
 * Which Authentication-Results fields of a message are removed before ours is added (RFC 8601
 * section 5): nobody but us may speak in our name. Pure.
 */
#ifndef DAEMON_AUTHFIELDS_H
#define DAEMON_AUTHFIELDS_H

#include "base/arena.h"
#include "base/err.h"
#include "dkim/hdrstore.h"
#include "keytable/dataset.h"

#define AUTHFIELDS_NAME "Authentication-Results"

struct authfields_rules {
	struct slice authserv_id;	   /**< ours */
	bool keep_own;			   /**< KeepAuthResults: also what claims to be ours */
	bool remove_all;		   /**< RemoveARAll: also fields without a DKIM result */
	const struct dataset *remove_from; /**< RemoveARFrom: hosts and .suffixes; may be NULL */
};

/**
 * A field that cannot be read and may be ours counts as ours. One without a DKIM result is another
 * filter's of this host (SPF, DMARC) and stays, unless remove_all.
 * @param ret_nth the n-th fields of that name from the top, counted from 1 as smfi_chgheader()
 * does, in ascending order; in the arena
 * @return ERR_NOMEM; ERR_IO (a table)
 */
NODISCARD enum err authfields_find(struct arena *arena, const struct hdrstore *headers,
				   const struct authfields_rules *rules, const size_t **ret_nth,
				   size_t *ret_count);

#endif
