/*
 * Authentication-Results, RFC 8601: whose is a field that is already there, and the field we write.
 */
#ifndef DKIM_AUTHRES_H
#define DKIM_AUTHRES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "dkim/verify.h"

enum authres_content {
	AUTHRES_WITHOUT_DKIM, /**< results of other methods only, or "none" */
	AUTHRES_WITH_DKIM,
	AUTHRES_UNREADABLE /**< breaks the grammar somewhere, or has "dkim=" in a comment or a
			      quoted string: a reader may see anything in it */
};

/** A field as it reads without comments, quotes and folds. */
struct authres {
	enum authres_content content;
	struct slice id;       /**< authserv-id without blanks; may be empty */
	bool id_readable;      /**< false: the part before the first ";" breaks the grammar */
	struct slice squeezed; /**< when it does: the whole field, comments and all, without blanks,
				 quotes and backslashes, in lower case */
	struct slice joined;   /**< when it does: its words in one, without comments */
};

/**
 * Read a field's value. Any bytes, any length, any depth of comments; linear in time.
 * @return ERR_NOMEM, ERR_LIMIT (the arena)
 */
NODISCARD enum err authres_parse(struct arena *arena, struct slice value, struct authres *ret_ar);

/**
 * Does the field claim to be of this host? Without case, final dots, and whichever way a domain is
 * spelled (RFC 8616); an id with "/job" counts, too. A field whose id part breaks the grammar
 * claims every id that occurs in it, and every id when it is empty or hides in an encoded-word.
 */
bool authres_claims(const struct authres *ar, struct slice authserv_id);

struct authres_write {
	struct slice authserv_id; /**< not empty */
	struct slice job_id;	  /**< appended behind a "/" (AuthservIDWithJobID); empty: none */
	bool no_header_b;	  /**< NoHeaderB */
	bool malformed; /**< without verdicts: permerror instead of none, for a message that is none
			 */
	bool leading_space; /**< the MTA wants the space after the colon (SMFIP_HDR_LEADSPC) */
};

/**
 * The value of our field: all verdicts, or dkim=none. Folds are LF + TAB, as smfi_insheader wants
 * it, lines of at most 78 columns where they can be. Whatever the verdicts hold, the result is one
 * field of correct syntax.
 * @param ret_value NUL-terminated, in the arena
 * @return ERR_NOMEM, ERR_LIMIT
 */
NODISCARD enum err authres_write(struct arena *arena, const struct authres_write *how,
				 const struct dkim_verdict *verdicts, size_t count,
				 struct slice *ret_value);

#endif
