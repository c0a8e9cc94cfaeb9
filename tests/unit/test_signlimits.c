/* dkim/sign at its limits: refused requests, line lengths, the largest message, every failed
 * allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "dkim/sighdr.h"
#include "tests/unit/alloc_fault.h"
#include "tests/unit/sign_fixture.h"

static void z_never_makes_signing_fail(void **state)
{
	static char fields[20000];
	struct fixture f;
	struct slice value;

	(void)state;
	(void)snprintf(fields, sizeof(fields), "Subject:%*s;\r\nFrom: a@b.example\r\n", 10000, "");
	setup(&f, fields, NULL);
	f.params.copy_headers = true;
	value = sign(&f);
	assert_true(slice_starts(tag(value, "z"), SLICE_LIT("From:")));
	assert_true(verifies_here(&f, value, f.headers));
	teardown(&f);
}

static void what_must_not_be_written_is_refused_and_outputs_stay(void **state)
{
	static const struct {
		const char *domain, *selector, *identity;
		int64_t now, ttl;
		enum dkim_alg alg;
		enum err want;
	} bad[] = {
		{ "", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a..b", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b.", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a;b", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a(.b", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "\xe2\x80\x8b.b", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a\n.b", "s", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s;d=x", "", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s", "a.b", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s", "@", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s", "x@b", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s", "x@fa.b", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s", "x@;a.b", 1, 0, DKIM_ALG_RSA_SHA256, ERR_SYNTAX },
		{ "a.b", "s", "", -1, 0, DKIM_ALG_RSA_SHA256, ERR_RANGE },
		{ "a.b", "s", "", 1, -1, DKIM_ALG_RSA_SHA256, ERR_RANGE },
		{ "a.b", "s", "", 1, INT64_MAX, DKIM_ALG_RSA_SHA256, ERR_RANGE },
		{ "a.b", "s", "", 1, 0, DKIM_ALG_RSA_SHA1, ERR_NOT_SUPPORTED },
	};
	struct fixture f;

	(void)state;
	setup(&f, RFC_FIELDS, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct dkim_sign_prepared *prepared = NULL;
		struct slice input = SLICE_LIT("input");
		struct slice digest = SLICE_LIT("digest");

		f.request.domain = slice_str(bad[i].domain);
		f.request.selector = slice_str(bad[i].selector);
		f.request.identity = slice_str(bad[i].identity);
		f.request.alg = bad[i].alg;
		f.params.now = bad[i].now;
		f.params.ttl_s = bad[i].ttl;
		assert_int_equal(dkim_sign_prepare(f.arena, f.headers, &f.params, &f.request,
						   &prepared, &input, &digest),
				 bad[i].want);
		assert_null(prepared);
		assert_true(slice_eq(input, SLICE_LIT("input")));
		assert_true(slice_eq(digest, SLICE_LIT("digest")));
	}
	teardown(&f);
}

static void a_message_without_from_is_refused(void **state)
{
	struct dkim_sign_prepared *prepared;
	struct slice input;
	struct slice digest;
	struct fixture f;

	(void)state;
	setup(&f, "Subject: x\r\nX-From: a@b.example\r\n", NULL);
	assert_int_equal(dkim_sign_prepare(f.arena, f.headers, &f.params, &f.request, &prepared,
					   &input, &digest),
			 ERR_NO_SENDER);
	teardown(&f);
}

static void lines_are_at_most_78_columns_where_they_can_be(void **state)
{
	char selector[101];
	struct fixture f;

	(void)state;
	for (size_t n = 1; n < sizeof(selector); n++) {
		struct slice value;

		setup(&f, "Subject: x\r\n" RFC_FIELDS, "From,Reply-To,X-Quite-A-Long-Name,To,Cc");
		memset(selector, 'a', sizeof(selector));
		if (n > 51)
			selector[50] = '.';
		f.request.selector = slice_of(selector, n);
		f.params.ttl_s = 1;
		value = sign(&f);
		assert_true(verifies_here(&f, value, f.headers));
		/* s=..., cannot be folded */
		assert_true(widest_line(value) <= 78 || n > 65);
		for (size_t i = 0; i + 1 < value.len; i++)
			assert_false(value.ptr[i] == ' ' && value.ptr[i + 1] == '\n');
		teardown(&f);
	}
}

static void an_8192_bit_signature_fits_and_an_absurd_one_is_refused(void **state)
{
	static const char sig[LIMIT_SIGNATURE_BYTES + 1];
	struct dkim_sign_prepared *prepared;
	struct slice input;
	struct slice digest;
	struct slice value = SLICE_LIT("untouched");
	struct fixture f;

	(void)state;
	setup(&f, RFC_FIELDS, NULL);
	assert_int_equal(dkim_sign_prepare(f.arena, f.headers, &f.params, &f.request, &prepared,
					   &input, &digest),
			 ERR_OK);
	assert_int_equal(dkim_sign_finish(f.arena, prepared, slice_of(sig, sizeof(sig)), &value),
			 ERR_LIMIT);
	assert_int_equal(dkim_sign_finish(f.arena, prepared, slice_of(sig, 0), &value), ERR_RANGE);
	assert_true(slice_eq(value, SLICE_LIT("untouched")));
	assert_int_equal(dkim_sign_finish(f.arena, prepared, slice_of(sig, 1024), &value), ERR_OK);
	assert_true(widest_line(value) <= 78);
	assert_int_equal(
		dkim_sign_finish(f.arena, prepared, slice_of(sig, LIMIT_SIGNATURE_BYTES), &value),
		ERR_OK);
	teardown(&f);
}

/* As it comes back from the wire, with the CR of its folds. */
static bool our_verifier_reads(const struct fixture *f, struct slice value)
{
	const struct sighdr_time time = { .now = f->params.now };
	enum dkim_reason reason = DKIM_REASON_INTERNAL;
	struct sighdr sig;
	struct slice line;
	struct buf wire;
	enum err e;

	buf_init(&wire, (size_t)2 * LIMIT_SIG_HEADER_OUT_BYTES);
	while (slice_next(&value, '\n', &line)) {
		if (wire.len != 0)
			buf_add_str(&wire, "\r\n");
		buf_add(&wire, line);
	}
	e = sighdr_parse(f->arena, buf_slice(&wire), &time, &sig, &reason);
	buf_done(&wire);
	return e == ERR_OK && reason == DKIM_REASON_GOOD;
}

/* LIMIT_HEADER_FIELDS fields, half of them of one name, and LIMIT_H_NAMES oversigned names. */
static void the_largest_message_is_signed_without_quadratic_work(void **state)
{
	static char oversign[LIMIT_H_NAMES * 8];
	struct fixture f;
	struct slice value;

	(void)state;
	for (unsigned i = 0; i < LIMIT_H_NAMES; i++)
		(void)snprintf(oversign + strlen(oversign), 8, "%sX-%u", i == 0 ? "" : ",", i);
	setup(&f, "From: a@b.example\r\n", oversign);
	for (size_t i = 1; i < LIMIT_HEADER_FIELDS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "X-%zu", i / 2);
		assert_int_equal(hdrstore_add(f.headers,
					      i % 2 == 0 ? slice_str(name) : SLICE_LIT("To"),
					      SLICE_LIT(" x"), true),
				 ERR_OK);
	}
	for (unsigned i = 0; i < 50; i++)
		value = sign(&f);
	assert_true(verifies_here(&f, value, f.headers));
	assert_true(our_verifier_reads(&f, value));
	assert_true(widest_line(value) <= 78);
	assert_false(verifies_here(&f, value, changed_message(&f, "", 1, "X-9: y\r\n")));
	teardown(&f);
}

static void a_header_beyond_the_limits_is_an_error_and_no_overrun(void **state)
{
	static char long_name[250];
	static char long_value[LIMIT_SIGN_INPUT_BYTES];
	struct dkim_sign_prepared *prepared;
	struct slice input;
	struct slice digest;
	struct fixture f;

	(void)state;
	memset(long_value, 'x', sizeof(long_value));
	setup(&f, "From: a@b.example\r\n", NULL);
	assert_int_equal(hdrstore_add(f.headers, SLICE_LIT("To"),
				      slice_of(long_value, sizeof(long_value)), true),
			 ERR_OK);
	assert_int_equal(dkim_sign_prepare(f.arena, f.headers, &f.params, &f.request, &prepared,
					   &input, &digest),
			 ERR_LIMIT);
	teardown(&f);

	memset(long_name, 'n', sizeof(long_name));
	setup(&f, "From: a@b.example\r\n", NULL);
	dkim_hdrselect_free(&f.select);
	assert_int_equal(dkim_hdrselect_new("n*", NULL, NULL, &f.select, NULL), ERR_OK);
	f.params.select = f.select;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(hdrstore_add(f.headers, slice_of(long_name, sizeof(long_name)),
					      SLICE_LIT(" x"), true),
				 ERR_OK);
	assert_int_equal(dkim_sign_prepare(f.arena, f.headers, &f.params, &f.request, &prepared,
					   &input, &digest),
			 ERR_LIMIT);
	teardown(&f);
}

/* All that signing one message allocates. @return the first error */
static enum err sign_from_nothing(struct slice *ret_value)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct dkim_hdrselect *select = NULL;
	struct hdrstore *h;
	struct bodyhash *set = NULL;
	struct dkim_sign_prepared *prepared;
	struct dkim_sign_params params = { .copy_headers = true };
	const struct dkim_sign_request request = { SLICE_LIT("a.example"), SLICE_LIT("s"),
						   SLICE_LIT("u@a.example"),
						   DKIM_ALG_ED25519_SHA256 };
	struct slice input;
	struct slice digest;
	size_t id = 0;
	enum err e = arena == NULL ? ERR_NOMEM : ERR_OK;

	if (e == ERR_OK)
		e = dkim_hdrselect_new("*,+X", "*,-Bcc", "From,To", &select, NULL);
	if (e == ERR_OK)
		e = hdrstore_new(arena, 0, &h);
	for (unsigned i = 0; i < 300 && e == ERR_OK; i++)
		e = hdrstore_add(h, SLICE_LIT("From"), SLICE_LIT("a@a.example"), false);
	if (e == ERR_OK)
		e = bodyhash_new(arena, &set);
	if (e == ERR_OK)
		e = bodyhash_want(set, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT,
				  &id);
	if (e == ERR_OK) {
		bodyhash_update(set, "x", 1);
		e = bodyhash_finish(set);
	}
	if (e == ERR_OK) {
		params.select = select;
		params.body_digest = bodyhash_digest(set, id);
		e = dkim_sign_prepare(arena, h, &params, &request, &prepared, &input, &digest);
	}
	if (e == ERR_OK)
		e = dkim_sign_finish(arena, prepared, SLICE_LIT("signature"), ret_value);
	bodyhash_free(&set);
	dkim_hdrselect_free(&select);
	arena_free(&arena);
	return e;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
	struct slice value = SLICE_LIT("untouched");
	unsigned long n = 0;
	bool hit;

	(void)state;
	do {
		enum err e;

		alloc_fault_arm(++n);
		e = sign_from_nothing(&value);
		hit = alloc_fault_disarm();
		assert_true(!hit || e == ERR_NOMEM || e == ERR_CRYPTO);
		assert_true(hit || e == ERR_OK);
		if (hit)
			assert_true(slice_eq(value, SLICE_LIT("untouched")));
	} while (hit);
	assert_true(n > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(z_never_makes_signing_fail),
		cmocka_unit_test(what_must_not_be_written_is_refused_and_outputs_stay),
		cmocka_unit_test(a_message_without_from_is_refused),
		cmocka_unit_test(lines_are_at_most_78_columns_where_they_can_be),
		cmocka_unit_test(an_8192_bit_signature_fits_and_an_absurd_one_is_refused),
		cmocka_unit_test(the_largest_message_is_signed_without_quadratic_work),
		cmocka_unit_test(a_header_beyond_the_limits_is_an_error_and_no_overrun),
		cmocka_unit_test(every_failed_allocation_is_reported_and_leaks_nothing),
	};

	if (alloc_fault_init() != 1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
