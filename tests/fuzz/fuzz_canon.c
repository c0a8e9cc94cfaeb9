/*
 * Body canonicalization: any way of cutting the body gives what one piece gives, and every scanner
 * finds what the plain one finds. Input: one byte (which algorithm, how to cut), then the body.
 */
#include <stdint.h>
#include <stdlib.h>

#include "dkim/canon.h"
#include "dkim/canon_kernel.h"

#define OUT_MAX 67108864u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append(void *ctx, const char *data, size_t len)
{
	buf_add(ctx, slice_of(data, len));
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Pieces of 1 to 8 bytes or of 37 bytes, chosen by the body itself. */
static size_t piece_length(struct slice rest, unsigned salt)
{
	size_t n = ((unsigned char)rest.ptr[0] * 7u + salt) % 9;

	n = n == 8 ? 37 : n + 1;
	return n < rest.len ? n : rest.len;
}

static void run(enum dkim_canon c, struct slice body, bool in_pieces, unsigned salt,
		struct buf *out)
{
	struct dkim_canon_body b;

	buf_init(out, OUT_MAX);
	dkim_canon_body_init(&b, c, (struct dkim_canon_sink){ append, out });
	while (body.len != 0) {
		size_t n = in_pieces ? piece_length(body, salt) : body.len;

		dkim_canon_body_update(&b, body.ptr, n);
		body = slice_sub(body, n, body.len);
	}
	dkim_canon_body_final(&b);
}

static bool ends_inside(struct slice body)
{
	char last = body.len != 0 ? body.ptr[body.len - 1] : ' ';

	return last != ' ' && last != '\t' && last != '\r';
}

/* Every kernel, on the whole and on its first n bytes. */
static void compare_kernels(struct slice body, size_t n)
{
	char *want;
	char *got;
	size_t len;

	while (body.len != 0 && !ends_inside(body))
		body.len--;
	n = n < body.len ? n : body.len;
	want = malloc(body.len + CANON_SQUEEZE_SLACK);
	got = malloc(body.len + CANON_SQUEEZE_SLACK);
	check(want != NULL && got != NULL);
	len = canon_squeeze_plain(body.ptr, n, body.len, want);
	for (size_t i = 0; i < canon_kernel_count; i++) {
		if (!canon_kernels[i].supported())
			continue;
		check(canon_kernels[i].scan(body.ptr, body.len) ==
		      canon_scan_plain(body.ptr, body.len));
		check(canon_kernels[i].squeeze(body.ptr, n, body.len, got) == len);
		check(memcmp(want, got, len) == 0);
	}
	free(want);
	free(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum dkim_canon c;
	struct slice body;
	struct buf whole;
	struct buf pieces;

	if (size == 0)
		return 0;
	c = (data[0] & 1) != 0 ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE;
	body = slice_of(data + 1, size - 1);
	run(c, body, false, 0, &whole);
	run(c, body, true, data[0] >> 1, &pieces);
	check(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	check(whole.len == 0 || slice_ends(buf_slice(&whole), SLICE_LIT("\r\n")));
	compare_kernels(body, body.len);
	compare_kernels(body, data[0]);
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
