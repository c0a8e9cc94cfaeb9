/* FixCRLF: see crlf.h. */
#include "daemon/crlf.h"

void crlf_update(struct crlf *c, const char *data, size_t len, crlf_sink sink, void *ctx)
{
	size_t start = 0; /* of the text that is not handed on yet */

	for (size_t i = 0; i < len; i++) {
		bool lf = data[i] == '\n';
		bool cr = data[i] == '\r';

		if (!lf && !cr && !c->pending_cr)
			continue;
		if (i > start)
			sink(ctx, data + start, i - start);
		if (c->pending_cr || lf)
			sink(ctx, "\r\n", 2);
		/* The LF of a CRLF was written with it; one that follows a lone CR, too. */
		start = lf || cr ? i + 1 : i;
		c->pending_cr = cr;
	}
	if (len > start)
		sink(ctx, data + start, len - start);
}

void crlf_finish(struct crlf *c, crlf_sink sink, void *ctx)
{
	if (c->pending_cr)
		sink(ctx, "\r\n", 2);
	c->pending_cr = false;
}
