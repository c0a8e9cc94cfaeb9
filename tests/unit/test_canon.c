/* dkim/canon: RFC 6376 section 3.4, its vectors, and every way of cutting a body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "dkim/canon.h"
#include "dkim/canon_kernel.h"

#define BOTH 2

struct body_vector {
	struct slice in;
	struct slice simple;
	struct slice relaxed;
};

#define V(in, simple, relaxed)                                                                     \
	{                                                                                          \
		SLICE_INIT(in), SLICE_INIT(simple), SLICE_INIT(relaxed)                            \
	}

/* Where dkimpy or Mail::DKIM differ, docs/CANONICALIZATION.md says why. */
static const struct body_vector vectors[] = {
	/* RFC 6376 section 3.4.5, example 1 */
	V(" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
	V("", "\r\n", ""),
	V("\r\n", "\r\n", ""),
	V("\r\n\r\n\r\n", "\r\n", ""),
	V("a", "a\r\n", "a\r\n"),
	V("a\r\n", "a\r\n", "a\r\n"),
	V("a\r\n\r\n", "a\r\n", "a\r\n"),
	V("\r\na", "\r\na\r\n", "\r\na\r\n"),
	V("a\r\n\r\n\r\nb", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"),
	/* blanks */
	V(" ", " \r\n", ""),
	V(" \r\n", " \r\n", ""),
	V(" \r\n\t\r\n", " \r\n\t\r\n", ""),
	V("a \t\r\n \r\n", "a \t\r\n \r\n", "a\r\n"),
	V("a \r\n \t\r\nb", "a \r\n \t\r\nb\r\n", "a\r\n\r\nb\r\n"),
	V("a ", "a \r\n", "a\r\n"),
	V("a\t", "a\t\r\n", "a\r\n"),
	V("\ta", "\ta\r\n", " a\r\n"),
	V("  a", "  a\r\n", " a\r\n"),
	V("a\tb", "a\tb\r\n", "a b\r\n"),
	V("a \tb", "a \tb\r\n", "a b\r\n"),
	V("a\t b", "a\t b\r\n", "a b\r\n"),
	V("a\t\tb", "a\t\tb\r\n", "a b\r\n"),
	V("a b c\r\n", "a b c\r\n", "a b c\r\n"),
	V("a\v\f b", "a\v\f b\r\n", "a\v\f b\r\n"),
	/* CR and LF alone are bytes of the line */
	V("a\rb", "a\rb\r\n", "a\rb\r\n"),
	V("a\nb", "a\nb\r\n", "a\nb\r\n"),
	V("a\n", "a\n\r\n", "a\n\r\n"),
	V("a\r", "a\r\r\n", "a\r\r\n"),
	V("\r", "\r\r\n", "\r\r\n"),
	V("\n", "\n\r\n", "\n\r\n"),
	V("\n\n", "\n\n\r\n", "\n\n\r\n"),
	V("\n\r\n", "\n\r\n", "\n\r\n"),
	V("\r\r\n", "\r\r\n", "\r\r\n"),
	V("\r\n\r", "\r\n\r\r\n", "\r\n\r\r\n"),
	V("\r\n\n", "\r\n\n\r\n", "\r\n\n\r\n"),
	V("a \r", "a \r\r\n", "a \r\r\n"),
	V("a  \rb", "a  \rb\r\n", "a \rb\r\n"),
	V("a\t\rb", "a\t\rb\r\n", "a \rb\r\n"),
	V("a \n", "a \n\r\n", "a \n\r\n"),
	V("a \n b", "a \n b\r\n", "a \n b\r\n"),
	V("a \r\n\r b", "a \r\n\r b\r\n", "a\r\n\r b\r\n"),
	V("a\r\r\n\r\n", "a\r\r\n", "a\r\r\n"),
	V("\r\n \r\n\r", "\r\n \r\n\r\r\n", "\r\n\r\n\r\r\n"),
	/* what mail must not hold and holds */
	V("a\0b\r\n", "a\0b\r\n", "a\0b\r\n"),
	V("\0", "\0\r\n", "\0\r\n"),
	V("\xe4\xff\x80 \r\n", "\xe4\xff\x80 \r\n", "\xe4\xff\x80\r\n"),
	V(".\r\n..\r\n", ".\r\n..\r\n", ".\r\n..\r\n"),
};

static void append(void *ctx, const char *data, size_t len)
{
	buf_add(ctx, slice_of(data, len));
}

static void start(struct dkim_canon_body *b, enum dkim_canon c, struct buf *out)
{
	dkim_canon_body_init(b, c, (struct dkim_canon_sink){ append, out });
}

/* Feed in at most three pieces, each a block of exactly its size. */
static void run_cut(enum dkim_canon c, struct slice in, size_t cut1, size_t cut2, struct buf *out)
{
	const size_t ends[] = { cut1, cut2, in.len };
	struct dkim_canon_body b;
	size_t from = 0;

	start(&b, c, out);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = ends[i] - from;
		char *piece = malloc(n == 0 ? 1 : n);

		assert_non_null(piece);
		memcpy(piece, in.ptr + from, n);
		dkim_canon_body_update(&b, piece, n);
		free(piece);
		from = ends[i];
	}
	dkim_canon_body_final(&b);
}

static void run_bytes(enum dkim_canon c, struct slice in, struct buf *out)
{
	struct dkim_canon_body b;

	start(&b, c, out);
	for (size_t i = 0; i < in.len; i++) {
		char byte = in.ptr[i];

		dkim_canon_body_update(&b, &byte, 1);
	}
	dkim_canon_body_final(&b);
}

static void check(const struct buf *out, struct slice want)
{
	assert_int_equal(out->error, ERR_OK);
	if (!slice_eq(buf_slice(out), want))
		print_error("got %zu bytes \"%.*s\", want \"%.*s\"\n", out->len,
			    SLICE_FMT(buf_slice(out)), SLICE_FMT(want));
	assert_true(slice_eq(buf_slice(out), want));
}

static void body_vectors_at_every_pair_of_cuts_and_byte_by_byte(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < BOTH * ARRAY_LEN(vectors); i++) {
		const struct body_vector *v = &vectors[i / BOTH];
		enum dkim_canon c = i % BOTH == 0 ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
		struct slice want = c == DKIM_CANON_SIMPLE ? v->simple : v->relaxed;

		for (size_t cut1 = 0; cut1 <= v->in.len; cut1++) {
			for (size_t cut2 = cut1; cut2 <= v->in.len; cut2++) {
				buf_reset(&out);
				run_cut(c, v->in, cut1, cut2, &out);
				check(&out, want);
			}
		}
		buf_reset(&out);
		run_bytes(c, v->in, &out);
		check(&out, want);
	}
	buf_done(&out);
}

/* The rules of RFC 6376 word by word, on the whole body at once: slow, obviously right, nothing
 * shared. */
static void model(enum dkim_canon c, struct slice in, struct buf *out)
{
	char *text = malloc(in.len * 2 + 2);
	size_t len = 0;

	assert_non_null(text);
	for (size_t i = 0; i < in.len; i++) {
		bool wsp = c == DKIM_CANON_RELAXED && ch_is_wsp(in.ptr[i]);

		if (wsp && len != 0 && text[len - 1] == ' ')
			continue;
		text[len++] = wsp ? ' ' : in.ptr[i];
		/* a blank before the CRLF that is complete now */
		if (c == DKIM_CANON_RELAXED && len >= 3 &&
		    memcmp(text + len - 3, " \r\n", 3) == 0) {
			memcpy(text + len - 3, "\r\n", 2);
			len--;
		}
	}
	if (c == DKIM_CANON_RELAXED && len != 0 && text[len - 1] == ' ')
		len--;
	if (len != 0 && !(len >= 2 && memcmp(text + len - 2, "\r\n", 2) == 0)) {
		memcpy(text + len, "\r\n", 2);
		len += 2;
	}
	while (len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0)
		len -= 2;
	if (len == 2 && c == DKIM_CANON_RELAXED)
		len = 0;
	if (len == 0 && c == DKIM_CANON_SIMPLE) {
		memcpy(text, "\r\n", 2);
		len = 2;
	}
	buf_add(out, slice_of(text, len));
	free(text);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

/* Text of few different bytes, so that every special pair comes up; now and then a long plain run.
 */
static size_t random_body(uint32_t *seed, char *out, size_t max)
{
	static const char bytes[] = "a \t\r\n\r\n \0b";
	size_t want = next_random(seed) % max;
	size_t len = 0;

	while (len < want) {
		size_t run = next_random(seed) % 16 == 0 ? next_random(seed) % 200 : 1;
		char c = bytes[next_random(seed) % (sizeof(bytes) - 1)];

		if (next_random(seed) % 4 == 0 && len + 1 < want) {
			out[len++] = '\r';
			c = '\n';
		}
		for (size_t i = 0; i < run && len < want; i++)
			out[len++] = c;
	}
	return len;
}

static void compare_with_model(uint32_t *seed, char *body, size_t max, unsigned rounds)
{
	struct buf out;
	struct buf want;

	buf_init(&out, 2 * max + 4);
	buf_init(&want, 2 * max + 4);
	for (unsigned round = 0; round < rounds; round++) {
		struct slice in = slice_of(body, random_body(seed, body, max));
		enum dkim_canon c = round % 2 == 0 ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
		size_t cut1 = next_random(seed) % (in.len + 1);
		size_t cut2 = cut1 + next_random(seed) % (in.len - cut1 + 1);

		buf_reset(&out);
		buf_reset(&want);
		model(c, in, &want);
		run_cut(c, in, cut1, cut2, &out);
		check(&out, buf_slice(&want));
	}
	buf_done(&out);
	buf_done(&want);
}

static void random_bodies_agree_with_the_model_however_they_are_cut(void **state)
{
	static char body[30000];
	uint32_t seed = 2026;

	(void)state;
	compare_with_model(&seed, body, 700, 20000);
	/* longer than every block and run that the canonicalizer knows */
	compare_with_model(&seed, body, sizeof(body), 500);
}

static void many_trailing_lines_are_counted_and_come_back_when_text_follows(void **state)
{
	const size_t lines = 100000;
	struct dkim_canon_body b;
	struct buf out;

	(void)state;
	buf_init(&out, 1u << 20);
	start(&b, DKIM_CANON_RELAXED, &out);
	dkim_canon_body_update(&b, "x", 1);
	for (size_t i = 0; i < lines; i++)
		dkim_canon_body_update(&b, " \r\n", 3);
	assert_int_equal(out.len, 1);
	dkim_canon_body_update(&b, "y", 1);
	dkim_canon_body_final(&b);
	assert_int_equal(out.error, ERR_OK);
	assert_int_equal(out.len, 1 + 2 * lines + 1 + 2);
	assert_memory_equal(out.data + out.len - 5, "\r\ny\r\n", 5);
	buf_done(&out);
}

struct spans {
	const char *chunk;
	size_t chunk_len;
	size_t inside;
	size_t outside;
};

static void count_span(void *ctx, const char *data, size_t len)
{
	struct spans *s = ctx;

	if (data >= s->chunk && data < s->chunk + s->chunk_len)
		s->inside += len;
	else
		s->outside += len;
}

/* A change now and then: between them the sink gets the caller's own bytes. */
static void unchanged_runs_are_not_copied(void **state)
{
	const struct slice change = SLICE_LIT(" \t \r\n\r\n");
	const size_t len = 100000;
	char *text = malloc(len);
	struct spans s = { .chunk = text, .chunk_len = len };
	struct dkim_canon_body b;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = "some words \r\nand a line"[i % 10 + (i % 5000 == 0 ? 1 : 0)];
	memcpy(text + 50000, change.ptr, change.len);
	text[len - 1] = 'x';
	dkim_canon_body_init(&b, DKIM_CANON_RELAXED, (struct dkim_canon_sink){ count_span, &s });
	dkim_canon_body_update(&b, text, len);
	dkim_canon_body_final(&b);
	assert_int_equal(s.inside + s.outside, len - 3 + 2);
	assert_true(s.inside > len * 9 / 10);
	dkim_canon_body_init(&b, DKIM_CANON_SIMPLE, (struct dkim_canon_sink){ count_span, &s });
	s.outside = 0;
	dkim_canon_body_update(&b, text, len);
	assert_int_equal(s.outside, 0);
	free(text);
}

static void header_vectors(void **state)
{
	static const struct {
		struct slice name, value, simple, relaxed;
	} h[] = {
#define H(name, value, simple, relaxed)                                                            \
	{ SLICE_INIT(name), SLICE_INIT(value), SLICE_INIT(simple), SLICE_INIT(relaxed) }
		/* RFC 6376 section 3.4.5, examples 1 and 2 */
		H("A", " X", "A: X\r\n", "a:X\r\n"),
		H("B ", " Y\t\r\n\tZ  ", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
		H("SubJect", "", "SubJect:\r\n", "subject:\r\n"),
		H("Subject", " ", "Subject: \r\n", "subject:\r\n"),
		H("Subject", " \r\n \t\r\n ", "Subject: \r\n \t\r\n \r\n", "subject:\r\n"),
		H("Subject", "x", "Subject:x\r\n", "subject:x\r\n"),
		H("Subject", "\r\n x", "Subject:\r\n x\r\n", "subject:x\r\n"),
		H("Subject", " a\r\n b", "Subject: a\r\n b\r\n", "subject:a b\r\n"),
		H("Subject", " a:b\xe4\r\n\t\r\n c", "Subject: a:b\xe4\r\n\t\r\n c\r\n",
		  "subject:a:b\xe4 c\r\n"),
		/* a CR or LF alone is no fold */
		H("S", " a\r b\nc", "S: a\r b\nc\r\n", "s:a\r b\nc\r\n"),
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < ARRAY_LEN(h); i++) {
		buf_reset(&out);
		dkim_canon_header(DKIM_CANON_SIMPLE, h[i].name, h[i].value, &out);
		check(&out, h[i].simple);
		buf_reset(&out);
		dkim_canon_header(DKIM_CANON_RELAXED, h[i].name, h[i].value, &out);
		check(&out, h[i].relaxed);
		buf_reset(&out);
		dkim_canon_header_open(DKIM_CANON_RELAXED, h[i].name, h[i].value, &out);
		check(&out, slice_sub(h[i].relaxed, 0, h[i].relaxed.len - 2));
	}
	buf_done(&out);
}

static void names_are_found_without_case(void **state)
{
	enum dkim_canon c = DKIM_CANON_SIMPLE;

	(void)state;
	assert_true(dkim_canon_find(SLICE_LIT("Relaxed"), &c) && c == DKIM_CANON_RELAXED);
	assert_true(dkim_canon_find(SLICE_LIT("simple"), &c) && c == DKIM_CANON_SIMPLE);
	assert_false(dkim_canon_find(SLICE_LIT("nofws"), &c));
	assert_true(slice_eq(dkim_canon_name(DKIM_CANON_RELAXED), SLICE_LIT("relaxed")));
}

/* A body of any length, mostly plain, that ends as the kernels expect. */
static char *random_inside(uint32_t *seed, size_t *ret_len)
{
	size_t max = 1 + next_random(seed) % 400;
	char *text = malloc(max + 1);
	char *exact;
	size_t len;

	assert_non_null(text);
	len = random_body(seed, text, max);
	if (next_random(seed) % 3 != 0)
		for (size_t i = 0; i < len; i++)
			if (next_random(seed) % 64 != 0)
				text[i] = 'x';
	text[len] = "z\n"[next_random(seed) % 2];
	exact = realloc(text, len + 1); /* a sanitizer sees a byte too far */
	assert_non_null(exact);
	*ret_len = len + 1;
	return exact;
}

static void every_kernel_does_what_the_plain_one_does(void **state)
{
	char want[512];
	char got[512];
	uint32_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t len;
		char *text = random_inside(&seed, &len);
		size_t n = round % 2 == 0 ? len : next_random(&seed) % (len + 1);
		size_t want_len = canon_squeeze_plain(text, n, len, want);

		for (size_t i = 0; i < canon_kernel_count; i++) {
			const struct canon_kernel *k = &canon_kernels[i];

			if (!k->supported())
				continue;
			assert_int_equal(k->scan(text, len), canon_scan_plain(text, len));
			memset(got, '#', sizeof(got));
			assert_int_equal(k->squeeze(text, n, len, got), want_len);
			assert_memory_equal(got, want, want_len);
			for (size_t j = n + CANON_SQUEEZE_SLACK; j < sizeof(got); j++)
				assert_int_equal(got[j], '#');
		}
		free(text);
	}
}

static void the_best_kernel_is_the_first_that_is_supported(void **state)
{
	size_t i = 0;

	(void)state;
	while (!canon_kernels[i].supported())
		i++;
	assert_ptr_equal(canon_kernel_best(), &canon_kernels[i]);
	assert_true(canon_kernels[canon_kernel_count - 1].supported());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(body_vectors_at_every_pair_of_cuts_and_byte_by_byte),
		cmocka_unit_test(random_bodies_agree_with_the_model_however_they_are_cut),
		cmocka_unit_test(many_trailing_lines_are_counted_and_come_back_when_text_follows),
		cmocka_unit_test(unchanged_runs_are_not_copied),
		cmocka_unit_test(header_vectors),
		cmocka_unit_test(names_are_found_without_case),
		cmocka_unit_test(every_kernel_does_what_the_plain_one_does),
		cmocka_unit_test(the_best_kernel_is_the_first_that_is_supported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
