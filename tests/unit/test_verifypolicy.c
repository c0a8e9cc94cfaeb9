/* dkim/verify: what this host asks of a good signature, what DNS may say, which signatures are
 * looked at, and what the message is answered with. */
#include "tests/unit/verify_fixture.h"

#include "tests/unit/cputime.h"

#define NAME "sel._domainkey.football.example.com"
#define TAGS(more)                                                                                 \
	" v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; s=sel;" more           \
	" h=from:to:subject; bh=" RFC_BODY_HASH "; b="

static EVP_PKEY *key;

static int make_key(void **state)
{
	(void)state;
	key = ed25519_key(true);
	return 0;
}

static int free_key(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

/* A message with the RFC's fields and one signature over them. */
static void open_signed(struct message *m, const char *tags, const struct dns_row *dns,
			size_t dns_count)
{
	message_open(m, RFC_FIELDS, dns, dns_count);
	assert_int_equal(hdrstore_add(m->headers, SLICE_LIT(FIELD),
				      sign_tags(m->arena, m->headers, key, tags), true),
			 ERR_OK);
}

/* One signature over the RFC's message with this record. */
static enum dkim_reason verdict_with(const char *tags, const struct dns_row *row,
				     struct dkim_verdict *ret_verdict)
{
	struct message m;

	open_signed(&m, tags, row, 1);
	message_verify(&m, RFC_BODY);
	assert_int_equal(m.count, 1);
	*ret_verdict = m.verdicts[0];
	message_close(&m);
	return ret_verdict->reason;
}

static const struct {
	struct dns_row row;
	enum dkim_reason reason;
	enum dkim_result result;
	enum dkim_cause cause;
} dns_rows[] = {
	{ { NAME, ED25519_RECORD, 0, DKIM_DNSSEC_SECURE },
	  DKIM_REASON_GOOD,
	  DKIM_RESULT_PASS,
	  DKIM_CAUSE_NONE },
	{ { "other.example", ED25519_RECORD, 0, 0 },
	  DKIM_REASON_KEY_NOT_FOUND,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_KEY_NOT_FOUND },
	{ { NAME, NULL, DKIM_KEY_NOT_FOUND, DKIM_DNSSEC_SECURE },
	  DKIM_REASON_KEY_NOT_FOUND,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_KEY_NOT_FOUND },
	{ { NAME, NULL, DKIM_KEY_NOT_FOUND, DKIM_DNSSEC_BOGUS },
	  DKIM_REASON_KEY_DNS_FAILED,
	  DKIM_RESULT_TEMPERROR,
	  DKIM_CAUSE_DNS },
	{ { NAME, NULL, DKIM_KEY_TIMEOUT, 0 },
	  DKIM_REASON_KEY_DNS_TIMEOUT,
	  DKIM_RESULT_TEMPERROR,
	  DKIM_CAUSE_DNS },
	{ { NAME, NULL, DKIM_KEY_FAILED, 0 },
	  DKIM_REASON_KEY_DNS_FAILED,
	  DKIM_RESULT_TEMPERROR,
	  DKIM_CAUSE_DNS },
	{ { NAME, NULL, DKIM_KEY_GARBAGE, 0 },
	  DKIM_REASON_KEY_DNS_ANSWER,
	  DKIM_RESULT_TEMPERROR,
	  DKIM_CAUSE_DNS },
	{ { NAME, NULL, DKIM_KEY_TOO_LARGE, 0 },
	  DKIM_REASON_KEY_RECORDS,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_BAD_SIGNATURE },
	{ { NAME, NULL, DKIM_KEY_TOO_LARGE, DKIM_DNSSEC_BOGUS },
	  DKIM_REASON_KEY_DNS_FAILED,
	  DKIM_RESULT_TEMPERROR,
	  DKIM_CAUSE_DNS },
	{ { NAME, NULL, DKIM_KEY_FOUND, 0 },
	  DKIM_REASON_KEY_SYNTAX,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_BAD_SIGNATURE },
	{ { NAME, "", 0, 0 },
	  DKIM_REASON_KEY_SYNTAX,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_BAD_SIGNATURE },
	{ { NAME, "v=DKIM1; k=ed25519; p=", 0, 0 },
	  DKIM_REASON_KEY_REVOKED,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_KEY_NOT_FOUND },
	{ { NAME, "v=DKIM1; p=" RFC8463_RSA_PUBLIC, 0, 0 },
	  DKIM_REASON_KEY_TYPE_MISMATCH,
	  DKIM_RESULT_PERMERROR,
	  DKIM_CAUSE_BAD_SIGNATURE },
	{ { NAME, "k=ed25519; p=WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=", 0, 0 },
	  DKIM_REASON_BAD_SIGNATURE,
	  DKIM_RESULT_FAIL,
	  DKIM_CAUSE_BAD_SIGNATURE },
	/* A key under test: the message is as if it were not signed. */
	{ { NAME, "t=y; k=ed25519; p=WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=", 0, 0 },
	  DKIM_REASON_BAD_SIGNATURE,
	  DKIM_RESULT_FAIL,
	  DKIM_CAUSE_NONE },
};

static void what_dns_says_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dns_rows); i++) {
		struct dkim_verdict verdict;
		enum dkim_reason reason = verdict_with(TAGS(""), &dns_rows[i].row, &verdict);

		if (reason != dns_rows[i].reason)
			fail_msg("row %zu: %s", i, dkim_reason_text(reason));
		assert_int_equal(verdict.result, dns_rows[i].result);
		assert_int_equal(dkim_verify_cause(&verdict, 1), dns_rows[i].cause);
		assert_int_equal(verdict.dnssec, dns_rows[i].row.dnssec);
	}
}

static void a_strict_key_signs_for_its_own_domain_only(void **state)
{
	static const struct dns_row strict = { NAME, "t=s; " ED25519_RECORD, 0, 0 };
	static const struct dns_row strict_right = { NAME, "k=ed25519; t=s; p=" ED25519_PUBLIC, 0,
						     0 };
	struct dkim_verdict verdict;

	(void)state;
	/* v= not first */
	assert_int_equal(verdict_with(TAGS(""), &strict, &verdict), DKIM_REASON_KEY_VERSION);
	assert_int_equal(verdict_with(TAGS(""), &strict_right, &verdict), DKIM_REASON_GOOD);
	assert_int_equal(
		verdict_with(TAGS(" i=joe@FOOTBALL.example.com;"), &strict_right, &verdict),
		DKIM_REASON_GOOD);
	assert_int_equal(verdict_with(TAGS(" i=@a.football.example.com;"), &strict_right, &verdict),
			 DKIM_REASON_KEY_SUBDOMAIN);
}

static void dnssec_counts_as_the_settings_say(void **state)
{
	static const struct {
		enum dkim_dnssec dnssec;
		enum dkim_key_policy bogus;
		enum dkim_key_policy unprotected;
		enum dkim_result result;
		enum dkim_cause cause;
	} rows[] = {
		{ DKIM_DNSSEC_SECURE, DKIM_KEY_POLICY_FAIL, DKIM_KEY_POLICY_FAIL, DKIM_RESULT_PASS,
		  DKIM_CAUSE_NONE },
		{ DKIM_DNSSEC_BOGUS, DKIM_KEY_POLICY_NONE, DKIM_KEY_POLICY_FAIL, DKIM_RESULT_PASS,
		  DKIM_CAUSE_NONE },
		{ DKIM_DNSSEC_BOGUS, DKIM_KEY_POLICY_NEUTRAL, DKIM_KEY_POLICY_NONE,
		  DKIM_RESULT_NEUTRAL, DKIM_CAUSE_NONE },
		{ DKIM_DNSSEC_BOGUS, DKIM_KEY_POLICY_FAIL, DKIM_KEY_POLICY_NONE, DKIM_RESULT_POLICY,
		  DKIM_CAUSE_BAD_SIGNATURE },
		{ DKIM_DNSSEC_INSECURE, DKIM_KEY_POLICY_FAIL, DKIM_KEY_POLICY_NONE,
		  DKIM_RESULT_PASS, DKIM_CAUSE_NONE },
		{ DKIM_DNSSEC_INSECURE, DKIM_KEY_POLICY_NONE, DKIM_KEY_POLICY_NEUTRAL,
		  DKIM_RESULT_NEUTRAL, DKIM_CAUSE_NONE },
		{ DKIM_DNSSEC_INSECURE, DKIM_KEY_POLICY_NONE, DKIM_KEY_POLICY_FAIL,
		  DKIM_RESULT_POLICY, DKIM_CAUSE_BAD_SIGNATURE },
		{ DKIM_DNSSEC_UNKNOWN, DKIM_KEY_POLICY_NONE, DKIM_KEY_POLICY_FAIL,
		  DKIM_RESULT_POLICY, DKIM_CAUSE_BAD_SIGNATURE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dns_row row = { NAME, ED25519_RECORD, 0, rows[i].dnssec };
		struct message m;

		open_signed(&m, TAGS(""), &row, 1);
		m.params.bogus_key = rows[i].bogus;
		m.params.unprotected_key = rows[i].unprotected;
		message_verify(&m, RFC_BODY);
		assert_int_equal(m.verdicts[0].result, rows[i].result);
		assert_int_equal(dkim_verify_cause(m.verdicts, m.count), rows[i].cause);
		message_close(&m);
	}
}

static const struct dns_row good_dns[] = { { NAME, ED25519_RECORD, 0, 0 } };

/* bh= is of the first n bytes of the RFC's body, whatever the message's is. */
static void check_length(const char *body, uint64_t n, enum dkim_minimum minimum, uint64_t value,
			 enum dkim_reason expected)
{
	struct message m;
	char tags[512];
	struct buf bh;

	message_open(&m, RFC_FIELDS, good_dns, 1);
	buf_init(&bh, 100);
	base64_body_hash(m.arena, DKIM_CANON_RELAXED, RFC_BODY, n, &bh);
	(void)snprintf(tags, sizeof(tags),
		       " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; s=sel;"
		       " l=%llu; h=from:to:subject; bh=%s; b=",
		       (unsigned long long)n, bh.data);
	buf_done(&bh);
	assert_int_equal(hdrstore_add(m.headers, SLICE_LIT(FIELD),
				      sign_tags(m.arena, m.headers, key, tags), true),
			 ERR_OK);
	m.params.minimum = minimum;
	m.params.minimum_value = value;
	message_verify_chunks(&m, slice_str(body), 1);
	if (m.verdicts[0].reason != expected)
		fail_msg("l=%llu, %s: %s", (unsigned long long)n, body, reason_of(&m, 0));
	message_close(&m);
}

static void a_body_longer_than_its_signed_part_has_its_own_result(void **state)
{
	static const char longer[] = RFC_BODY "more\r\n";
	uint64_t all = strlen(RFC_BODY);

	(void)state;
	check_length(RFC_BODY, all, DKIM_MINIMUM_ALL, 0, DKIM_REASON_GOOD);
	check_length(RFC_BODY "\r\n\r\n", all, DKIM_MINIMUM_ALL, 0, DKIM_REASON_GOOD);
	check_length(RFC_BODY "x", all, DKIM_MINIMUM_ALL, 0, DKIM_REASON_BODY_PARTIAL);
	check_length(longer, all, DKIM_MINIMUM_ALL, 0, DKIM_REASON_BODY_PARTIAL);
	check_length(RFC_BODY, 0, DKIM_MINIMUM_ALL, 0, DKIM_REASON_BODY_PARTIAL);
	check_length("", 0, DKIM_MINIMUM_ALL, 0, DKIM_REASON_GOOD);
	check_length("changed", all, DKIM_MINIMUM_ALL, 0, DKIM_REASON_BODY_LENGTH);
	check_length(RFC_BODY, UINT64_MAX - 1, DKIM_MINIMUM_ALL, 0, DKIM_REASON_BODY_LENGTH);
	/* What is beyond l= may change, what is in it may not. */
	check_length("Hi.\r\n\r\nxx", 5, DKIM_MINIMUM_BYTES, 5, DKIM_REASON_GOOD);
	check_length("Ho.\r\n\r\nxx", 5, DKIM_MINIMUM_BYTES, 5, DKIM_REASON_BODY_CHANGED);
	check_length(longer, all, DKIM_MINIMUM_BYTES, all, DKIM_REASON_GOOD);
	check_length(longer, all, DKIM_MINIMUM_BYTES, all + 1, DKIM_REASON_BODY_PARTIAL);
	check_length(RFC_BODY, all, DKIM_MINIMUM_BYTES, 1000, DKIM_REASON_GOOD);
	check_length(longer, all, DKIM_MINIMUM_PERCENT, 90, DKIM_REASON_GOOD);
	check_length(longer, all, DKIM_MINIMUM_PERCENT, 91, DKIM_REASON_BODY_PARTIAL);
	check_length(longer, all, DKIM_MINIMUM_BUT, 6, DKIM_REASON_GOOD);
	check_length(longer, all, DKIM_MINIMUM_BUT, 5, DKIM_REASON_BODY_PARTIAL);
}

static void fields_that_must_be_signed(void **state)
{
	static const struct slice must[] = { SLICE_INIT("subject"), SLICE_INIT("Reply-To") };
	static const struct {
		const char *more;
		enum dkim_reason reason;
	} rows[] = {
		{ NULL, DKIM_REASON_GOOD },
		{ "Reply-To", DKIM_REASON_MSG_UNSIGNED_FIELD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct message m;

		open_signed(&m, TAGS(""), good_dns, 1);
		if (rows[i].more != NULL)
			assert_int_equal(hdrstore_add(m.headers, slice_str(rows[i].more),
						      SLICE_LIT(" x@y.example"), true),
					 ERR_OK);
		m.params.must_be_signed = must;
		m.params.must_be_signed_count = ARRAY_LEN(must);
		message_verify(&m, RFC_BODY);
		assert_int_equal(m.verdicts[0].reason, rows[i].reason);
		message_close(&m);
	}
}

static void a_message_has_one_from_field(void **state)
{
	static const char *const fields[] = {
		"To: a@b.example\r\nFrom: a@football.example.com\r\nFrom: "
		"b@football.example.com\r\n",
		"To: a@b.example\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct idn_name *names;
		struct message m;

		message_open(&m, fields[i], good_dns, 1);
		assert_int_equal(hdrstore_add(m.headers, SLICE_LIT(FIELD),
					      sign_tags(m.arena, m.headers, key, TAGS(" n=x;")),
					      true),
				 ERR_OK);
		message_verify(&m, RFC_BODY);
		assert_int_equal(m.verdicts[0].reason, DKIM_REASON_MSG_AUTHOR);
		assert_int_equal(dkim_verify_lookups(m.verifier, &names), 0);
		message_close(&m);
	}
}

static void a_message_without_signatures_has_no_verdicts(void **state)
{
	struct message m;

	(void)state;
	message_open(&m, RFC_FIELDS, good_dns, 1);
	message_verify(&m, RFC_BODY);
	assert_int_equal(m.count, 0);
	assert_int_equal(dkim_verify_found(m.verifier), 0);
	assert_true(dkim_verify_body_satisfied(m.verifier));
	message_close(&m);
}

static void add_signature(struct message *m, const char *domain, const char *rest)
{
	char value[512];

	(void)snprintf(value, sizeof(value), " v=1; a=ed25519-sha256; d=%s; %s", domain, rest);
	assert_int_equal(hdrstore_add(m->headers, SLICE_LIT(FIELD), slice_str(value), true),
			 ERR_OK);
}

#define REST "s=s; h=from; bh=" RFC_BODY_HASH "; b=AAAA"

static void the_authors_signatures_are_looked_at_first(void **state)
{
	static const char *const domains[] = {
		"a.example",
		"example.com",
		"xfootball.example.com",
		"b.example",
		"FOOTBALL.example.com",
		"sub.football.example.com",
		"football.example.com",
	};
	static const char *const chosen[] = { "example.com", "FOOTBALL.example.com",
					      "football.example.com" };
	struct message m;

	(void)state;
	message_open(&m, RFC_FIELDS, good_dns, 1);
	for (size_t i = 0; i < ARRAY_LEN(domains); i++)
		add_signature(&m, domains[i], REST);
	m.params.max_signatures = 3;
	message_verify(&m, RFC_BODY);
	assert_int_equal(dkim_verify_found(m.verifier), ARRAY_LEN(domains));
	assert_int_equal(m.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(slice_eq(m.verdicts[i].sig.domain, slice_str(chosen[i])));
	message_close(&m);
}

/* Unreadable ones count like others: a flood of them costs the few that are looked at. */
static void signatures_are_counted_before_they_are_read(void **state)
{
	const struct idn_name *names;
	struct message m;

	(void)state;
	message_open(&m, RFC_FIELDS, good_dns, 1);
	for (int i = 0; i < 1000; i++)
		add_signature(&m, "football.example.com", i < 8 ? "garbage" : REST);
	message_verify(&m, RFC_BODY);
	assert_int_equal(dkim_verify_found(m.verifier), 1000);
	assert_int_equal(m.count, 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(m.verdicts[i].reason, DKIM_REASON_SIG_SYNTAX);
	assert_int_equal(dkim_verify_lookups(m.verifier, &names), 0);
	message_close(&m);
}

static void look_ups_and_body_hashes_are_shared(void **state)
{
	const struct idn_name *names;
	struct message m;

	(void)state;
	message_open(&m, RFC_FIELDS, good_dns, 1);
	m.params.max_signatures = LIMIT_VERIFY_SIGNATURES;
	for (unsigned i = 0; i < LIMIT_VERIFY_SIGNATURES; i++) {
		char rest[256];

		/* As many lengths as signatures: the largest set of body hashes there can be. */
		(void)snprintf(rest, sizeof(rest),
			       "l=%u; s=S%u; h=from; bh=" RFC_BODY_HASH "; b=AA==", i, i % 2);
		add_signature(&m, i % 3 == 0 ? "A.example" : "a.example", rest);
	}
	message_verify(&m, RFC_BODY);
	assert_int_equal(m.count, LIMIT_VERIFY_SIGNATURES);
	assert_int_equal(dkim_verify_lookups(m.verifier, &names), 2);
	assert_string_equal(names[0].text, "s0._domainkey.a.example");
	assert_string_equal(names[1].text, "s1._domainkey.a.example");
	message_close(&m);
}

static void header_b_tells_signatures_apart(void **state)
{
	static const struct {
		const char *b;
		const char *expected;
	} rows[] = {
		{ "AAAABBBBCCCC", "AAAABBBBCCCC" }, { "AAAABBBBCCCD", "AAAABBBBCCCD" },
		{ "AAAABBBBCCxx", "AAAABBBBCCx" },  { "QUJD", "QUJD" },
		{ "ZZZZZZZZZZZZ", "ZZZZZZZZ" },	    { "EEEEEEEEEEEE", "EEEEEEEEEEEE" },
		{ "EEEEEEEEEEEE", "EEEEEEEEEEEE" },
	};
	struct message m;

	(void)state;
	message_open(&m, RFC_FIELDS, good_dns, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char rest[128];

		(void)snprintf(rest, sizeof(rest), "s=s; h=from; bh=" RFC_BODY_HASH "; b=%s",
			       rows[i].b);
		add_signature(&m, "a.example", rest);
	}
	message_verify(&m, RFC_BODY);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(slice_eq(m.verdicts[i].header_b, slice_str(rows[i].expected)));
	message_close(&m);
}

static void what_may_pass_later_decides_before_what_stays(void **state)
{
	static const struct dkim_verdict good = { .result = DKIM_RESULT_PASS,
						  .reason = DKIM_REASON_GOOD };
	static const enum dkim_reason order[] = { DKIM_REASON_KEY_NOT_FOUND,
						  DKIM_REASON_BAD_SIGNATURE, DKIM_REASON_INTERNAL,
						  DKIM_REASON_KEY_DNS_TIMEOUT };
	struct dkim_verdict verdicts[ARRAY_LEN(order) + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		verdicts[i] = (struct dkim_verdict){ .result = dkim_reason_result(order[i]),
						     .reason = order[i] };
		assert_int_equal(dkim_verify_cause(verdicts, i + 1), dkim_reason_cause(order[i]));
	}
	verdicts[ARRAY_LEN(order)] = good;
	assert_int_equal(dkim_verify_cause(verdicts, ARRAY_LEN(verdicts)), DKIM_CAUSE_NONE);
}

/* Milliseconds for a message with n signatures and n bytes of other fields. */
static int64_t time_of(unsigned signatures, size_t filler_fields)
{
	struct message m;
	int64_t began;

	message_open(&m, RFC_FIELDS, good_dns, 1);
	for (size_t i = 0; i < filler_fields; i++)
		assert_int_equal(hdrstore_add(m.headers, SLICE_LIT("Subject"),
					      SLICE_LIT(" a  b  c  d  e  f  g"), true),
				 ERR_OK);
	for (unsigned i = 0; i < signatures; i++)
		add_signature(&m, "football.example.com",
			      "s=sel; h=from:subject:subject; bh=" RFC_BODY_HASH "; b=AAAA");
	m.params.max_signatures = 8;
	began = cpu_ms();
	message_verify(&m, RFC_BODY);
	began = cpu_ms() - began;
	message_close(&m);
	return began;
}

static void a_flood_costs_what_its_bytes_cost(void **state)
{
	(void)state;
	(void)time_of(8, 10);
	assert_true(time_of(1000, 900) <= 30 * (time_of(100, 90) + 5));
	assert_true(time_of(1990, 0) < 2000);
}

/* An author's domain of 30 U-labels, which is work to convert: once for a message. */
static void a_flood_does_not_convert_the_author_again_and_again(void **state)
{
	char author[LIMIT_DOMAIN_BYTES + 1];
	size_t len = 0;
	struct message m;
	int64_t ms[2];

	(void)state;
	for (int i = 0; i < 30; i++)
		len += (size_t)snprintf(author + len, sizeof(author) - len, "\xe6\xbc\xa2.");
	(void)snprintf(author + len, sizeof(author) - len, "example");
	for (int i = 0; i < 2; i++) {
		message_open(&m, RFC_FIELDS, good_dns, 1);
		for (unsigned n = 0; n < 1900; n++)
			add_signature(&m, "football.example.com", "s=s; b=AAAA");
		m.params.author_domain =
			i == 0 ? SLICE_LIT("football.example.com") : slice_str(author);
		m.params.max_signatures = 8;
		ms[i] = cpu_ms();
		message_verify(&m, RFC_BODY);
		ms[i] = cpu_ms() - ms[i];
		message_close(&m);
	}
	if (ms[1] > 3 * (ms[0] + 10))
		fail_msg("%ld ms, not %ld ms", (long)ms[1], (long)ms[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_dns_says_decides),
		cmocka_unit_test(a_strict_key_signs_for_its_own_domain_only),
		cmocka_unit_test(dnssec_counts_as_the_settings_say),
		cmocka_unit_test(a_body_longer_than_its_signed_part_has_its_own_result),
		cmocka_unit_test(fields_that_must_be_signed),
		cmocka_unit_test(a_message_has_one_from_field),
		cmocka_unit_test(a_message_without_signatures_has_no_verdicts),
		cmocka_unit_test(the_authors_signatures_are_looked_at_first),
		cmocka_unit_test(signatures_are_counted_before_they_are_read),
		cmocka_unit_test(look_ups_and_body_hashes_are_shared),
		cmocka_unit_test(header_b_tells_signatures_apart),
		cmocka_unit_test(what_may_pass_later_decides_before_what_stays),
		cmocka_unit_test(a_flood_costs_what_its_bytes_cost),
		cmocka_unit_test(a_flood_does_not_convert_the_author_again_and_again),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
