/*
 * Body canonicalization, RFC 6376 sections 3.4.3 and 3.4.4, as a stream. A chunk has three parts: a
 * start that settles what the last chunk left pending, a middle that goes to the sink in long runs,
 * and an end of CRLFs and blanks whose fate the next chunk decides.
 */
#include "dkim/canon.h"
#include "dkim/canon_kernel.h"

#define CRLF_BLOCK 32u
/* Unchanged runs of this length go out as they are; where changes are closer together, a block is
 * rewritten. */
#define RUN_MIN 1024u
#define SQUEEZE_BLOCK 4096u

static const char crlf_block[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
				 "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

static void put(struct dkim_canon_body *b, const char *data, size_t len)
{
	if (len == 0)
		return;
	b->any = true;
	b->sink.write(b->sink.ctx, data, len);
}

/* What waited is inside the body: it counts. */
static void put_pending(struct dkim_canon_body *b)
{
	while (b->pending_crlf != 0) {
		size_t n = b->pending_crlf < CRLF_BLOCK ? (size_t)b->pending_crlf : CRLF_BLOCK;

		put(b, crlf_block, 2 * n);
		b->pending_crlf -= n;
	}
	if (b->pending_wsp)
		put(b, " ", 1);
	b->pending_wsp = false;
}

static bool is_blank(const struct dkim_canon_body *b, char c)
{
	return b->canon == DKIM_CANON_RELAXED && ch_is_wsp(c);
}

static void end_line(struct dkim_canon_body *b)
{
	b->pending_wsp = false; /* WSP at the end of a line is dropped */
	b->pending_crlf++;
}

/* The byte behind a pending CR is known now. @return true: it was the LF and is used up */
static bool settle_cr(struct dkim_canon_body *b, char next)
{
	b->pending_cr = false;
	if (next == '\n') {
		end_line(b);
		return true;
	}
	put_pending(b);
	put(b, "\r", 1);
	return false;
}

/* @return index of the first byte that is certainly written, with nothing pending before it; or len
 */
static size_t settle_start(struct dkim_canon_body *b, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		if (b->pending_cr && settle_cr(b, data[i])) {
			i++;
		} else if (data[i] == '\r') {
			b->pending_cr = true;
			i++;
		} else if (is_blank(b, data[i])) {
			b->pending_wsp = true;
			i++;
		} else {
			put_pending(b);
			return i;
		}
	}
	return len;
}

/* @return where the end of [from, len) starts: CRLFs and blanks, and perhaps a last CR */
static size_t find_end(const struct dkim_canon_body *b, const char *data, size_t from, size_t len)
{
	size_t end = len;

	if (end > from && data[end - 1] == '\r')
		end--;
	while (end > from) {
		if (is_blank(b, data[end - 1]))
			end--;
		else if (end - from >= 2 && data[end - 1] == '\n' && data[end - 2] == '\r')
			end -= 2;
		else
			break;
	}
	return end;
}

/* The middle, relaxed: [0, len) ends with a byte that is neither a blank nor the CR of a CRLF. */
static void put_relaxed(struct dkim_canon_body *b, const char *data, size_t len)
{
	const struct canon_kernel *kernel = canon_kernel_best();
	char block[SQUEEZE_BLOCK + CANON_SQUEEZE_SLACK];
	size_t i = 0;

	while (i < len) {
		size_t n = kernel->scan(data + i, len - i);

		if (n >= RUN_MIN || n == len - i) {
			put(b, data + i, n);
		} else {
			n = len - i < SQUEEZE_BLOCK ? len - i : SQUEEZE_BLOCK;
			put(b, block, kernel->squeeze(data + i, n, len - i, block));
		}
		i += n;
	}
}

void dkim_canon_body_init(struct dkim_canon_body *b, enum dkim_canon c, struct dkim_canon_sink sink)
{
	*b = (struct dkim_canon_body){ .canon = c, .sink = sink };
}

void dkim_canon_body_update(struct dkim_canon_body *b, const char *data, size_t len)
{
	size_t start = settle_start(b, data, len);
	size_t end = find_end(b, data, start, len);

	if (b->canon == DKIM_CANON_RELAXED)
		put_relaxed(b, data + start, end - start);
	else
		put(b, data + start, end - start);
	(void)settle_start(b, data + end, len - end);
}

void dkim_canon_body_final(struct dkim_canon_body *b)
{
	if (b->pending_cr)
		(void)settle_cr(b, '\0');
	/* Blanks at the end of the last line go, trailing empty lines too. */
	b->pending_wsp = false;
	b->pending_crlf = 0;
	if (b->any || b->canon == DKIM_CANON_SIMPLE)
		put(b, "\r\n", 2);
}
