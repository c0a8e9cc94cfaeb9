/* dkim/sighdr: each tag, right and wrong, and what is left to report of a wrong one. */
#include "tests/unit/verify_fixture.h"

#include "base/clock.h"

#define BH "bh=" RFC_BODY_HASH ";"
#define GOOD_WITHOUT(more)                                                                         \
	"v=1; a=rsa-sha256; d=example.com; s=sel; h=from:to; " BH " b=AAAA; " more

static const struct sighdr_time clock_fixed = { .now = NOW, .drift_s = 300 };

static enum dkim_reason parse(struct arena *arena, const char *value, struct sighdr *ret_sig)
{
	enum dkim_reason reason = DKIM_REASON_INTERNAL;

	assert_int_equal(sighdr_parse(arena, slice_str(value), &clock_fixed, ret_sig, &reason),
			 ERR_OK);
	return reason;
}

static const struct {
	const char *value;
	enum dkim_reason reason;
} faults[] = {
	{ GOOD_WITHOUT(""), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("zz=ignored; z=From:x"), DKIM_REASON_GOOD },
	{ "", DKIM_REASON_SIG_NO_DOMAIN },
	{ "garbage", DKIM_REASON_SIG_SYNTAX },
	{ GOOD_WITHOUT(";"), DKIM_REASON_SIG_SYNTAX },
	{ GOOD_WITHOUT("d=example.com"), DKIM_REASON_SIG_DUPLICATE_TAG },
	{ GOOD_WITHOUT("zz=1; zz=2"), DKIM_REASON_SIG_DUPLICATE_TAG },
	/* v= */
	{ "a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_NO_VERSION },
	{ "v=2; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_VERSION },
	{ "v=; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_VERSION },
	{ "v=01; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_VERSION },
	/* a= */
	{ "v=1; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_NO_ALGORITHM },
	{ "v=1; a=; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_ALGORITHM },
	{ "v=1; a=rsa-md5; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_ALGORITHM },
	{ "v=1; a=rsa-sha1; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_SHA1 },
	{ "v=1; a=RSA-SHA256; d=a.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_GOOD },
	/* d= and s= */
	{ "v=1; a=rsa-sha256; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_NO_DOMAIN },
	{ "v=1; a=rsa-sha256; d=; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=a..b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=a.b.; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=a(.b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=a\".b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=a\r\n b; s=s; h=from; " BH " b=AAAA", DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=\xe2\x80\x8b.b; s=s; h=from; " BH " b=AAAA",
	  DKIM_REASON_SIG_DOMAIN },
	{ "v=1; a=rsa-sha256; d=a.b; h=from; " BH " b=AAAA", DKIM_REASON_SIG_NO_SELECTOR },
	{ "v=1; a=rsa-sha256; d=a.b; s=; h=from; " BH " b=AAAA", DKIM_REASON_SIG_SELECTOR },
	{ "v=1; a=rsa-sha256; d=a.b; s=x y; h=from; " BH " b=AAAA", DKIM_REASON_SIG_SELECTOR },
	{ "v=1; a=rsa-sha256; d=a.b; s=2024._x.b-c; h=from; " BH " b=AAAA", DKIM_REASON_GOOD },
	/* h= */
	{ "v=1; a=rsa-sha256; d=a.b; s=s; " BH " b=AAAA", DKIM_REASON_SIG_NO_HEADERS },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=; " BH " b=AAAA", DKIM_REASON_SIG_HEADERS },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=to; " BH " b=AAAA", DKIM_REASON_SIG_NO_FROM },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=fromm:xfrom; " BH " b=AAAA", DKIM_REASON_SIG_NO_FROM },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from::to; " BH " b=AAAA", DKIM_REASON_SIG_HEADERS },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from:; " BH " b=AAAA", DKIM_REASON_SIG_HEADERS },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from:x y; " BH " b=AAAA", DKIM_REASON_SIG_HEADERS },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h= FROM \r\n\t: to ; " BH " b=AAAA", DKIM_REASON_GOOD },
	/* bh= and b= */
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; b=AAAA", DKIM_REASON_SIG_NO_BODY_HASH },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh= ; b=AAAA", DKIM_REASON_SIG_EMPTY_BODY_HASH },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=AAAA; b=AAAA", DKIM_REASON_SIG_BODY_HASH },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=" RFC_BODY_HASH "AAAA; b=AAAA",
	  DKIM_REASON_SIG_BODY_HASH },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=!; b=AAAA", DKIM_REASON_SIG_BODY_HASH },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; " BH, DKIM_REASON_SIG_NO_DATA },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=", DKIM_REASON_SIG_EMPTY_DATA },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AAA", DKIM_REASON_SIG_DATA },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AA*A", DKIM_REASON_SIG_DATA },
	{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; " BH " b=AA\r\n\t A A", DKIM_REASON_GOOD },
	/* i= */
	{ GOOD_WITHOUT("i=@example.com"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("i=x@sub.EXAMPLE.com"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("i=x@y@example.com"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("i=@fexample.com"), DKIM_REASON_SIG_COVERAGE },
	{ GOOD_WITHOUT("i=@com"), DKIM_REASON_SIG_COVERAGE },
	{ GOOD_WITHOUT("i=@example.com.evil.example"), DKIM_REASON_SIG_COVERAGE },
	{ GOOD_WITHOUT("i=example.com"), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i="), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i=x@"), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i=x=0D=0AX-Evil:=20y@example.com"), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i=x=00y@example.com"), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i=x=C3=28@example.com"), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i=x=4@example.com"), DKIM_REASON_SIG_IDENTITY },
	{ GOOD_WITHOUT("i=x=20=22y@example.com"), DKIM_REASON_GOOD },
	/* c=, q=, l= */
	{ GOOD_WITHOUT("c=relaxed"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("c=Simple/Relaxed"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("c="), DKIM_REASON_SIG_HEADER_CANON },
	{ GOOD_WITHOUT("c=nowsp"), DKIM_REASON_SIG_HEADER_CANON },
	{ GOOD_WITHOUT("c=simple/"), DKIM_REASON_SIG_BODY_CANON },
	{ GOOD_WITHOUT("c=simple/simple/simple"), DKIM_REASON_SIG_BODY_CANON },
	{ GOOD_WITHOUT("q=dns/txt"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("q=ldap : dns/txt"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("q=http"), DKIM_REASON_SIG_QUERY },
	{ GOOD_WITHOUT("q="), DKIM_REASON_SIG_QUERY },
	{ GOOD_WITHOUT("l=0"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("l="), DKIM_REASON_SIG_LENGTH },
	{ GOOD_WITHOUT("l=-1"), DKIM_REASON_SIG_LENGTH },
	{ GOOD_WITHOUT("l=1x"), DKIM_REASON_SIG_LENGTH },
	{ GOOD_WITHOUT("l=99999999999999999999999999999999"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("l=00000000000000000000000000000000000000000000000000000000000000000"
		       "000000000000"),
	  DKIM_REASON_SIG_LENGTH },
	/* t= and x=, with 300 seconds of drift */
	{ GOOD_WITHOUT("t=1528637909"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("t=1528638209"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("t=1528638210"), DKIM_REASON_SIG_FUTURE },
	{ GOOD_WITHOUT("x=1528637609"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("x=1528637608"), DKIM_REASON_SIG_EXPIRED },
	{ GOOD_WITHOUT("t=10; x=10"), DKIM_REASON_SIG_TIME_ORDER },
	{ GOOD_WITHOUT("t=1528637909; x=1528637910"), DKIM_REASON_GOOD },
	{ GOOD_WITHOUT("t="), DKIM_REASON_SIG_TIME },
	{ GOOD_WITHOUT("t=1234567890123"), DKIM_REASON_SIG_TIME },
	{ GOOD_WITHOUT("x=-1"), DKIM_REASON_SIG_TIME },
	{ GOOD_WITHOUT("x=1e9"), DKIM_REASON_SIG_TIME },
};

static void every_fault_has_its_reason(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);

	(void)state;
	assert_non_null(arena);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct sighdr sig;
		enum dkim_reason reason = parse(arena, faults[i].value, &sig);

		if (reason != faults[i].reason)
			fail_msg("%s\n  is: %s\n  not: %s", faults[i].value,
				 dkim_reason_text(reason), dkim_reason_text(faults[i].reason));
	}
	arena_free(&arena);
}

static void what_was_read_before_a_fault_is_there_to_report(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct sighdr sig;

	(void)state;
	assert_int_equal(
		parse(arena, "v=9; a=rsa-sha256; d=a.b; s=sel; i=joe@a.b; b=QUJD REVG; =", &sig),
		DKIM_REASON_SIG_SYNTAX);
	assert_true(slice_eq(sig.domain, SLICE_LIT("a.b")));
	assert_true(slice_eq(sig.selector, SLICE_LIT("sel")));
	assert_true(slice_eq(sig.identity_local, SLICE_LIT("joe")));
	assert_true(slice_eq(sig.b_text, SLICE_LIT("QUJDREVG")));
	assert_true(sig.has_alg);
	/* What cannot be printed is not kept. */
	assert_int_equal(parse(arena, "v=1; d=a\"b; s=x)y; b=<>; i=q@a.b", &sig),
			 DKIM_REASON_SIG_DOMAIN);
	assert_int_equal(
		sig.domain.len + sig.selector.len + sig.b_text.len + sig.identity_domain.len, 0);
	arena_free(&arena);
}

static void b_is_cut_out_with_all_blanks_around_it(void **state)
{
	static const struct {
		const char *value;
		const char *hashed;
	} rows[] = {
		{ "b=AAAA; v=1", "b=; v=1" },
		{ "v=1; b = \r\n AAAA\r\n\t; x=1", "v=1; b =; x=1" },
		{ "v=1; bh=AAAA; b=AA\r\n AA ", "v=1; bh=AAAA; b=" },
		{ "z=a|b=c; b=AAAA", "z=a|b=c; b=" },
	};
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sighdr sig;

		(void)parse(arena, rows[i].value, &sig);
		assert_true(slice_eq(sig.hashed, slice_str(rows[i].hashed)));
	}
	arena_free(&arena);
}

/* RFC 8616: U-labels in the field, A-labels in the question. */
static void names_are_asked_for_in_a_labels(void **state)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct sighdr sig;

	(void)state;
	assert_int_equal(parse(arena,
			       "v=1; a=ed25519-sha256; d=B\xc3\xbc"
			       "cher.example; s=\xd1\x82;"
			       " h=from; i=x@mail.xn--bcher-kva.example; " BH " b=AAAA",
			       &sig),
			 DKIM_REASON_GOOD);
	assert_string_equal(sig.key_name.text, "xn--r1a._domainkey.xn--bcher-kva.example");
	assert_true(slice_eq(sig.domain, SLICE_LIT("B\xc3\xbc"
						   "cher.example")));
	assert_int_equal(parse(arena, GOOD_WITHOUT("i=@b\xc3\xbc.example.com"), &sig),
			 DKIM_REASON_GOOD);
	arena_free(&arena);
}

/* What is only mapped to a name is none: a reader of our results would not see whose key it was. */
static void a_name_that_is_no_u_label_is_refused(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = {
		{ "b\xc3\xbc"
		  "cher.example.com",
		  true },
		{ "B\xc3\xbc"
		  "CHER.Example.com",
		  true },
		{ "b\xc3\xbc"
		  "cher.xn--mnchen-3ya.example.com",
		  true },
		{ "stra\xc3\x9f"
		  "e.example.com",
		  true },
		{ "ex\xe2\x80\x8b"
		  "ample.com",
		  false }, /* zero width space */
		{ "ex\xc2\xad"
		  "ample.com",
		  false }, /* soft hyphen */
		{ "\xef\xbd\x85\xef\xbd\x98"
		  "ample.com",
		  false }, /* full width */
		{ "example\xe3\x80\x82"
		  "com",
		  false }, /* another full stop */
		{ "bu\xcc\x88"
		  "cher.example.com",
		  false }, /* decomposed */
		{ "b\xc3\x9c"
		  "cher.example.com",
		  false }, /* a capital */
	};
	static const struct {
		const char *before;
		const char *behind;
		enum dkim_reason reason;
	} tags[] = {
		{ "d=", "; s=s", DKIM_REASON_SIG_DOMAIN },
		{ "d=com; s=", "", DKIM_REASON_SIG_SELECTOR },
		{ "d=com; s=s; i=x@", "", DKIM_REASON_SIG_IDENTITY },
	};
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(tags); i++) {
		const char *name = rows[i / ARRAY_LEN(tags)].name;
		enum dkim_reason wanted = rows[i / ARRAY_LEN(tags)].good
						  ? DKIM_REASON_GOOD
						  : tags[i % ARRAY_LEN(tags)].reason;
		enum dkim_reason reason;
		struct sighdr sig;
		char value[300];

		(void)snprintf(
			value, sizeof(value), "v=1; a=rsa-sha256; h=from; " BH " b=AAAA; %s%s%s",
			tags[i % ARRAY_LEN(tags)].before, name, tags[i % ARRAY_LEN(tags)].behind);
		reason = parse(arena, value, &sig);
		if (reason != wanted)
			fail_msg("%s: %s", value, dkim_reason_text(reason));
	}
	arena_free(&arena);
}

static void sizes_are_bounded(void **state)
{
	static const char label[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.";
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct sighdr sig;
	char *value = malloc(LIMIT_SIG_HEADER_BYTES + 4096);
	size_t len;

	(void)state;
	assert_non_null(value);
	/* Selector and domain fit alone, not together. */
	(void)sprintf(value, "v=1; a=rsa-sha256; h=from; " BH " b=AAAA; s=%s%sx; d=%s%s%sx", label,
		      label, label, label, label);
	assert_int_equal(parse(arena, value, &sig), DKIM_REASON_SIG_SELECTOR);
	/* h= */
	len = (size_t)sprintf(value, "v=1; a=rsa-sha256; d=a.b; s=s; " BH " b=AAAA; h=from");
	for (size_t i = 1; i < LIMIT_H_LISTED; i++)
		len += (size_t)sprintf(value + len, ":x");
	assert_int_equal(parse(arena, value, &sig), DKIM_REASON_GOOD);
	assert_int_equal(sig.names_count, LIMIT_H_LISTED);
	(void)sprintf(value + len, ":x");
	assert_int_equal(parse(arena, value, &sig), DKIM_REASON_SIG_HEADERS_MANY);
	/* i= */
	len = (size_t)sprintf(value, GOOD_WITHOUT("i="));
	memset(value + len, 'x', 400);
	(void)sprintf(value + len + 400, "@example.com");
	assert_int_equal(parse(arena, value, &sig), DKIM_REASON_SIG_IDENTITY);
	/* The field. */
	len = (size_t)sprintf(value, GOOD_WITHOUT("n="));
	memset(value + len, 'x', LIMIT_SIG_HEADER_BYTES - len);
	value[LIMIT_SIG_HEADER_BYTES] = '\0';
	assert_int_equal(parse(arena, value, &sig), DKIM_REASON_GOOD);
	value[LIMIT_SIG_HEADER_BYTES] = 'x';
	value[LIMIT_SIG_HEADER_BYTES + 1] = '\0';
	assert_int_equal(parse(arena, value, &sig), DKIM_REASON_SIG_TOO_LONG);
	assert_int_equal(sighdr_peek_domain(slice_str(value)).len, 0);
	free(value);
	arena_free(&arena);
}

static void memory_that_is_short_is_said(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < 400; bytes += 16) {
		struct arena *arena = arena_new(bytes);
		struct sighdr sig;
		enum dkim_reason reason = DKIM_REASON_COUNT;
		enum err e = sighdr_parse(arena, slice_str(GOOD_WITHOUT("i=x@example.com")),
					  &clock_fixed, &sig, &reason);

		assert_true(e == ERR_NOMEM || e == ERR_LIMIT || (e == ERR_OK && bytes > 64));
		assert_true(e == ERR_OK ? reason == DKIM_REASON_GOOD : reason == DKIM_REASON_COUNT);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_has_its_reason),
		cmocka_unit_test(what_was_read_before_a_fault_is_there_to_report),
		cmocka_unit_test(b_is_cut_out_with_all_blanks_around_it),
		cmocka_unit_test(names_are_asked_for_in_a_labels),
		cmocka_unit_test(a_name_that_is_no_u_label_is_refused),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(memory_that_is_short_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
