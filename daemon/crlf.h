/* FixCRLF: a CR or LF that stands alone becomes CRLF on the way to the hash. */
#ifndef DAEMON_CRLF_H
#define DAEMON_CRLF_H

#include <stdbool.h>
#include <stddef.h>

struct crlf {
	bool pending_cr; /**< the last chunk ended with it */
};

typedef void (*crlf_sink)(void *ctx, const char *data, size_t len);

/** A chunk goes on to sink, in pieces. */
void crlf_update(struct crlf *c, const char *data, size_t len, crlf_sink sink, void *ctx);
/** The end of the body: a CR that is left is a line's end, too. */
void crlf_finish(struct crlf *c, crlf_sink sink, void *ctx);

#endif
