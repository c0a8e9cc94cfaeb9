/*
 * Canonicalization, RFC 6376 section 3.4. Header fields are done one at a time into a buffer; the
 * body is a stream: any way of cutting it into chunks gives the same bytes at the sink, nothing is
 * copied that does not change. Only CRLF ends a line; a lone CR, a lone LF and a NUL are bytes like
 * any other (docs/CANONICALIZATION.md).
 */
#ifndef DKIM_CANON_H
#define DKIM_CANON_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdint.h>

enum dkim_canon { DKIM_CANON_SIMPLE, DKIM_CANON_RELAXED };

/** "simple" or "relaxed" */
struct slice dkim_canon_name(enum dkim_canon c);
/** Case-insensitive. */
NODISCARD bool dkim_canon_find(struct slice name, enum dkim_canon *ret_canon);

/**
 * Append one canonical header field with its final CRLF to out.
 * @param name  field name as received (hdr.raw_name)
 * @param value all after the colon, folds as CRLF, without the final CRLF
 */
void dkim_canon_header(enum dkim_canon c, struct slice name, struct slice value, struct buf *out);
/** As dkim_canon_header() without the final CRLF: the DKIM-Signature field itself. */
void dkim_canon_header_open(enum dkim_canon c, struct slice name, struct slice value,
			    struct buf *out);

/** Where canonical body bytes go: called with runs that point into the caller's chunk where they
 * can. */
struct dkim_canon_sink {
	void (*write)(void *ctx, const char *data, size_t len);
	void *ctx;
};

/**
 * State between two chunks; the fields are private to canon_body.c. No heap, no destructor.
 * What is pending stands behind the last byte written, in this order: CRLFs, a run of WSP, a CR.
 */
struct dkim_canon_body {
	struct dkim_canon_sink sink;
	uint64_t pending_crlf; /**< CRLFs that may be trailing */
	enum dkim_canon canon;
	bool pending_wsp; /**< relaxed: a run of WSP waits for what comes behind it */
	bool pending_cr;  /**< a CR waits for its LF */
	bool any;	  /**< something was written: the body is not empty */
};

void dkim_canon_body_init(struct dkim_canon_body *b, enum dkim_canon c,
			  struct dkim_canon_sink sink);
void dkim_canon_body_update(struct dkim_canon_body *b, const char *data, size_t len);
/** End of the body: the last line gets its CRLF; an empty body gives CRLF (simple) or nothing
 * (relaxed). */
void dkim_canon_body_final(struct dkim_canon_body *b);

#endif
