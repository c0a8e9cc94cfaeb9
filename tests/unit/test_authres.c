/* dkim/authres: whose a field is, whatever it looks like, and what ours looks like. */
#include "tests/unit/verify_fixture.h"

#include "dkim/authres.h"
#include "tests/unit/cputime.h"

#define OURS "mx.example.com"

static void parse(struct arena *arena, struct slice value, struct authres *ret_ar)
{
	/* At the end of a block, so that a sanitizer sees the first byte too many. */
	char *exact = malloc(value.len + 1);

	assert_non_null(exact);
	memcpy(exact + 1, value.ptr, value.len);
	assert_int_equal(authres_parse(arena, slice_of(exact + 1, value.len), ret_ar), ERR_OK);
	free(exact);
}

static bool claims(const char *value, const char *id)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct authres ar;
	bool result;

	assert_non_null(arena);
	parse(arena, slice_str(value), &ar);
	result = authres_claims(&ar, slice_str(id));
	arena_free(&arena);
	return result;
}

static void every_forgery_is_known(void **state)
{
	static const char *const rows[] = {
		"mx.example.com; dkim=pass header.d=bank.example",
		" mx.example.com;dkim=pass",
		"mx.example.com ; dkim=pass",
		"mx.example.com",
		"mx.example.com; none",
		"mx.example.com;",
		"mx.example.com 1; dkim=pass",
		"mx.example.com\r\n\t1\r\n ; dkim=pass",
		"\r\n mx.example.com;\r\n\tdkim=pass",
		"MX.Example.COM; dkim=pass",
		"mx.example.com.; dkim=pass",
		"mx.example.com..; dkim=pass",
		"\"mx.example.com\"; dkim=pass",
		"\"mx.example.com.\" 1; dkim=pass",
		"\" mx.example.com \"; dkim=pass",
		"\"m\\x.exam\\ple.com\"; dkim=pass",
		"mx.\"example\".com; dkim=pass",
		"(a comment) mx.example.com; dkim=pass",
		"(a (nested \\) (one)) ;) mx.example.com (b) 1 (c); dkim=pass",
		"()()mx.example.com(); dkim=pass",
		"mx.example.com(other.example.net;); dkim=pass",
		"mx (x) .example.com; dkim=pass",
		"mx.exa mple.com; dkim=pass",
		"mx.example.com other.example.net; dkim=pass",
		"other.example.net mx.example.com; dkim=pass",
		"mx.example.com/4Qabc; dkim=pass",
		"mx.example.com./4Qabc; dkim=pass",
		"\"mx.example.com/4Qabc\"; dkim=pass",
		/* what breaks the grammar */
		"mx.example.com; dkim",
		"mx.example.com; dkim=",
		"mx.example.com; dkim=pass (never closed",
		"mx.example.com; dkim=pass header.d=\"never closed",
		"mx.example.com (never closed; dkim=pass",
		"(never closed mx.example.com; dkim=pass",
		"\"mx.example.com; dkim=pass",
		"mx.example.com\"; dkim=pass",
		"<mx.example.com>; dkim=pass",
		"[mx.example.com]; dkim=pass",
		"host=mx.example.com; dkim=pass",
		"mx.example.com) ; dkim=pass",
		"mx.example.com\\; dkim=pass",
		"mx.\\example.com; dkim=pass",
		"mx.example.com,; dkim=pass",
		"mx.example.com dkim=pass",
		"mx.example.com\x01; dkim=pass",
		"mx.example.com\xff; dkim=pass",
		"=?utf-8?q?mx=2Eexample=2Ecom?=; dkim=pass",
		"=?utf-8?b?bXguZXhhbXBsZS5jb20=?=; dkim=pass",
		"",
		"; dkim=pass",
		"(mx); dkim=pass",
		"\"\"; dkim=pass",
		/* other spellings of the name (RFC 8616, UTS 46) */
		"\xef\xbd\x8d\xef\xbd\x98.example.com; dkim=pass",
		("mx\xe3\x80\x82"
		 "example.com; dkim=pass"),
		"mx\xc2\xad.example.com; dkim=pass",
		"mx.example.com:25; dkim=pass",
		"x/mx.example.com; dkim=pass",
		"mx.example.com\xc2\xa0; dkim=pass",
		"mx.example.com\xe2\x80\x83; dkim=pass",
		"i=1; mx.example.com; dkim=pass",
		"x y z; mx.example.com; dkim=pass",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!claims(rows[i], OURS))
			fail_msg("kept: %s", rows[i]);
}

static void other_hosts_fields_stay(void **state)
{
	static const char *const rows[] = {
		"mx.example.net; dkim=pass header.d=example.com",
		"example.com; dkim=pass",
		"amx.example.com; dkim=pass",
		"mx.example.com.evil.example; dkim=pass",
		"xn--mx.example.com; dkim=pass",
		"other.example.net; dkim=pass (mx.example.com said so)",
		"other.example.net (mx.example.com); dkim=pass",
		"other.example.net; spf=pass smtp.helo=mx.example.com",
		"other.example.net; dkim=pass reason=\"mx.example.com; dkim=pass\"",
		"other.example.net 1; dkim=pass (never closed mx.example.com",
		/* what some large sites send: no authserv-id at all */
		("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=pass "
		 "header.d=b.example"),
		"other.example.net; =?utf-8?q?x?=",
		"otherexample\"; dkim=pass",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (claims(rows[i], OURS))
			fail_msg("removed: %s", rows[i]);
}

static void an_international_name_is_one_name_in_all_spellings(void **state)
{
	(void)state;
	assert_true(claims("mx.b\xc3\xbc"
			   "cher.example; dkim=pass",
			   "mx.xn--bcher-kva.example"));
	assert_true(claims("MX.XN--Bcher-KVA.example; dkim=pass", "mx.b\xc3\xbc"
								  "cher.example"));
	assert_true(claims("mx.B\xc3\x9c"
			   "CHER.example.; dkim=pass",
			   "mx.b\xc3\xbc"
			   "cher.example"));
	assert_true(claims("<mx.xn--bcher-kva.example>; x=y", "mx.b\xc3\xbc"
							      "cher.example"));
	assert_false(claims("mx.bucher.example; dkim=pass", "mx.b\xc3\xbc"
							    "cher.example"));
}

static void content_tells_whether_dkim_is_in_it(void **state)
{
	static const struct {
		const char *value;
		enum authres_content content;
	} rows[] = {
		{ "a.b; dkim=pass", AUTHRES_WITH_DKIM },
		{ "a.b; spf=pass smtp.mailfrom=x@y.example; DKIM = fail reason=\"x;y\"",
		  AUTHRES_WITH_DKIM },
		{ "a.b; dkim/1 = (c) pass (d) header . d = e", AUTHRES_UNREADABLE },
		{ "a.b; dkim / 1 = (c) pass (d) header.d = e", AUTHRES_WITH_DKIM },
		{ "a.b; (dkim=pass) spf=none", AUTHRES_UNREADABLE },
		{ "a.b; spf=none reason=\"; dkim=pass\"", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass dkim=pass header.d=c.example", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass,dkim=pass header.d=c.example", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass DKIM \t=pass", AUTHRES_UNREADABLE },
		{ "a.b; x=\"dkim/1=pass\"", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass dkim(x)=pass header.d=c.example", AUTHRES_UNREADABLE },
		{ "a.b;\r\n\tspf=none\r\n\tdkim(a)=pass", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass \"dkim\"=pass", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass Reason = x smtp.mailfrom=c.example", AUTHRES_WITHOUT_DKIM },
		{ "a.b; dkim-adsp=pass; dkim-atps=neutral", AUTHRES_WITHOUT_DKIM },
		{ "a.b; none", AUTHRES_WITHOUT_DKIM },
		{ "a.b", AUTHRES_WITHOUT_DKIM },
		{ "a.b; spf=pass;", AUTHRES_WITHOUT_DKIM },
		{ "a.b; arc=none; dmarc=pass (p=none dis=none) header.from=x.example",
		  AUTHRES_WITHOUT_DKIM },
		{ "a.b; dkim=pass header.b=ab/cd+e=", AUTHRES_WITH_DKIM },
		{ "a.b; dkim", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass;; x=y", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass smtp.mailfrom", AUTHRES_UNREADABLE },
		{ "a.b; spf=pass (open", AUTHRES_UNREADABLE },
	};
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct authres ar;

		parse(arena, slice_str(rows[i].value), &ar);
		if (ar.content != rows[i].content)
			fail_msg("%s: %d", rows[i].value, (int)ar.content);
	}
	arena_free(&arena);
}

static void a_hundred_results_are_read(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct authres ar;
	struct buf value;

	(void)state;
	buf_init(&value, 100000);
	buf_add_str(&value, OURS);
	for (int i = 0; i < 100; i++)
		buf_add_fmt(&value, ";\r\n\tspf=pass smtp.mailfrom=a%d.example", i);
	buf_add_str(&value, "; dkim=pass");
	parse(arena, buf_slice(&value), &ar);
	assert_int_equal(ar.content, AUTHRES_WITH_DKIM);
	assert_true(authres_claims(&ar, SLICE_LIT(OURS)));
	buf_done(&value);
	arena_free(&arena);
}

/* Milliseconds to read a field of this many copies of unit. */
static int64_t time_of(const char *start, const char *unit, size_t bytes)
{
	struct buf value;
	int64_t began;

	buf_init(&value, bytes + 1000);
	buf_add_str(&value, start);
	while (value.len < bytes)
		buf_add_str(&value, unit);
	began = cpu_ms();
	for (int i = 0; i < 10; i++)
		(void)claims(value.data, OURS);
	began = cpu_ms() - began;
	buf_done(&value);
	return began;
}

static void time_is_linear(void **state)
{
	static const char *const rows[][2] = {
		{ "", "(" },	      { "", "\"" },	     { "", "mx.example.co" },
		{ "x ", "()" },	      { "a.b; ", "x=y " },   { "a.b; ", "; " },
		{ "a.b; ", "dkim " }, { "a.b; x=\"", "\\" }, { "a b ", "mx.mx.example." },
		{ "a.b; ", "=" },     { "", "mx.ex\"\"" },   { "a.b; x=y ", "(;)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ten = time_of(rows[i][0], rows[i][1], 40000);
		int64_t hundred = time_of(rows[i][0], rows[i][1], 400000);

		if (hundred > 30 * (ten + 5))
			fail_msg("%s: %ld ms, then %ld ms", rows[i][1], (long)ten, (long)hundred);
	}
}

static void write_with(struct arena *arena, const struct authres_write *how,
		       const struct dkim_verdict *verdicts, size_t count, struct slice *ret_value)
{
	assert_int_equal(authres_write(arena, how, verdicts, count, ret_value), ERR_OK);
}

static void our_field_looks_like_this(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct hdr field = { .value = SLICE_LIT("v=1") };
	struct dkim_verdict verdicts[] = {
		{ .result = DKIM_RESULT_PASS,
		  .reason = DKIM_REASON_GOOD,
		  .field = &field,
		  .sig = { .has_alg = true,
			   .alg = DKIM_ALG_RSA_SHA256,
			   .domain = SLICE_LIT("football.example.com"),
			   .selector = SLICE_LIT("test"),
			   .identity_local = SLICE_LIT("joe"),
			   .identity_domain = SLICE_LIT("football.example.com") },
		  .header_b = SLICE_LIT("F45dVWDf"),
		  .key_bits = 2048,
		  .dnssec = DKIM_DNSSEC_SECURE },
		{ .result = DKIM_RESULT_FAIL,
		  .reason = DKIM_REASON_BAD_SIGNATURE,
		  .field = &field,
		  .sig = { .has_alg = true,
			   .alg = DKIM_ALG_ED25519_SHA256,
			   .domain = SLICE_LIT("a.b"),
			   .selector = SLICE_LIT("s"),
			   .identity_domain = SLICE_LIT("a.b") },
		  .header_b = SLICE_LIT("/gCrin=="),
		  .key_bits = 256,
		  .dnssec = DKIM_DNSSEC_INSECURE,
		  .testing = true },
		{ .result = DKIM_RESULT_PERMERROR,
		  .reason = DKIM_REASON_SIG_SYNTAX,
		  .field = &field },
	};
	struct authres_write how = { .authserv_id = SLICE_LIT(OURS) };
	struct slice value;

	(void)state;
	write_with(arena, &how, verdicts, 3, &value);
	assert_string_equal(
		value.ptr,
		"mx.example.com;\n"
		"\tdkim=pass (2048-bit key; secure) header.d=football.example.com\n"
		"\t header.i=joe@football.example.com header.a=rsa-sha256 header.s=test\n"
		"\t header.b=F45dVWDf;\n"
		"\tdkim=fail reason=\"signature verification failed\"\n"
		"\t (256-bit key; unprotected; testing) header.d=a.b header.i=@a.b\n"
		"\t header.a=ed25519-sha256 header.s=s header.b=\"/gCrin==\";\n"
		"\tdkim=permerror reason=\"signature syntax error\"");
	how = (struct authres_write){ .authserv_id = SLICE_LIT(OURS),
				      .job_id = SLICE_LIT("4QxY"),
				      .no_header_b = true,
				      .leading_space = true };
	write_with(arena, &how, verdicts, 1, &value);
	assert_true(slice_starts(value, SLICE_LIT(" \"mx.example.com/4QxY\";\n\tdkim=pass ")));
	assert_null(strstr(value.ptr, "header.b"));
	write_with(arena, &how, NULL, 0, &value);
	assert_string_equal(value.ptr, " \"mx.example.com/4QxY\";\n\tdkim=none");
	arena_free(&arena);
}

/* What is written reads as ours, with a DKIM result, and its lines are short. */
static void check_written(struct arena *arena, const struct dkim_verdict *verdicts, size_t count)
{
	struct authres_write how = { .authserv_id = SLICE_LIT(OURS) };
	struct slice value;
	struct slice line;
	struct slice rest;
	struct authres ar;

	write_with(arena, &how, verdicts, count, &value);
	parse(arena, value, &ar);
	assert_true(ar.id_readable);
	assert_int_equal(ar.content, AUTHRES_WITH_DKIM);
	assert_true(authres_claims(&ar, SLICE_LIT(OURS)));
	rest = value;
	for (bool first = true; slice_next(&rest, '\n', &line); first = false) {
		assert_true(first || line.ptr[0] == '\t');
		assert_true(line.len < 998);
		assert_int_equal(slice_find(line, '\r'), line.len);
	}
}

/* i= of every byte value: alone, and as the whole local part that a signature may carry. */
static void nothing_in_a_signature_gets_out_of_its_place(void **state)
{
	static const char *const evil[] = {
		"x=0D=0AX-Evil:=20y",
		"x=0Aheader.d=3Dbank.example",
		"=22;=20dkim=3Dpass",
		"x=3B=20dkim=3Dpass=20(",
		"x=20y)",
		"a=5C",
		"=5C=22",
		"=00",
		"x=C3=A9",
		"=C3",
		"(((",
		"x\"y",
		"a..b",
		".a",
		"=E2=80=A8",
		"=7F",
		"=C2=85",
	};
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct sighdr_time now = { .now = NOW };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(evil) + 256; i++) {
		char value[512];
		struct hdr field;
		struct dkim_verdict verdict = { .result = DKIM_RESULT_FAIL,
						.reason = DKIM_REASON_BAD_SIGNATURE,
						.field = &field,
						.key_bits = 1024 };
		int n;

		if (i < ARRAY_LEN(evil))
			n = snprintf(value, sizeof(value), "d=a.b; s=s; i=%s@a.b; b=AAAA", evil[i]);
		else
			n = snprintf(value, sizeof(value), "d=a.b; s=s; i=x=%02zXy@a.b; b=AAAA",
				     i - ARRAY_LEN(evil));
		field = (struct hdr){ .value = slice_of(value, (size_t)n) };
		assert_int_equal(
			sighdr_parse(arena, field.value, &now, &verdict.sig, &verdict.reason),
			ERR_OK);
		check_written(arena, &verdict, 1);
	}
	arena_free(&arena);
}

static void the_longest_names_stay_below_the_line_limit(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct hdr field = { .value = SLICE_LIT("x") };
	char name[254];
	char local[321];
	struct dkim_verdict verdict = { .result = DKIM_RESULT_FAIL,
					.reason = DKIM_REASON_BAD_SIGNATURE,
					.field = &field };

	(void)state;
	memset(name, 'x', 253);
	for (size_t i = 50; i < 253; i += 50)
		name[i] = '.';
	memset(local, '"', 320);
	verdict.sig.domain = slice_of(name, 253);
	verdict.sig.selector = slice_of(name, 253);
	verdict.sig.identity_domain = slice_of(name, 253);
	verdict.sig.identity_local = slice_of(local, 320);
	check_written(arena, &verdict, 1);
	arena_free(&arena);
}

static void memory_that_is_short_is_said(void **state)
{
	struct authres_write how = { .authserv_id = SLICE_LIT(OURS) };
	struct arena *arena = arena_new(8);
	struct authres ar;
	struct slice value = SLICE_LIT("untouched");

	(void)state;
	assert_int_not_equal(authres_write(arena, &how, NULL, 0, &value), ERR_OK);
	assert_true(slice_eq(value, SLICE_LIT("untouched")));
	assert_int_not_equal(authres_parse(arena, SLICE_LIT("mx.example.com; x=y"), &ar), ERR_OK);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_forgery_is_known),
		cmocka_unit_test(other_hosts_fields_stay),
		cmocka_unit_test(an_international_name_is_one_name_in_all_spellings),
		cmocka_unit_test(content_tells_whether_dkim_is_in_it),
		cmocka_unit_test(a_hundred_results_are_read),
		cmocka_unit_test(time_is_linear),
		cmocka_unit_test(our_field_looks_like_this),
		cmocka_unit_test(nothing_in_a_signature_gets_out_of_its_place),
		cmocka_unit_test(the_longest_names_stay_below_the_line_limit),
		cmocka_unit_test(memory_that_is_short_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
