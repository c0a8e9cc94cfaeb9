/* dkim/verify: the RFCs' examples, and what must become of each way to be wrong. */
#include "tests/unit/verify_fixture.h"

#define ED25519_SIGNATURE                                                                          \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"                            \
	" d=football.example.com; i=@football.example.com;\r\n"                                    \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"                                  \
	" subject : date : message-id : from : subject : date;\r\n"                                \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                    \
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"                          \
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define RSA_SIGNATURE                                                                              \
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"                                \
	" d=football.example.com; i=@football.example.com;\r\n"                                    \
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"                            \
	" date : message-id : from : subject : date;\r\n"                                          \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                    \
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"                          \
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"                          \
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
#define RFC6376_MESSAGE                                                                            \
	"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"                        \
	"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"                        \
	"      h=Received : From : To : Subject : Date : Message-ID;\r\n"                          \
	"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                               \
	"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"                         \
	"        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"                         \
	"        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"                         \
	"        4bmp/YzhwvcubU4=;\r\n"                                                            \
	"Received: from client1.football.example.com  [192.0.2.1]\r\n"                             \
	"      by submitserver.example.com with SUBMISSION;\r\n"                                   \
	"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n" RFC_FIELDS

static const struct dns_row rfc_dns[] = {
	{ "brisbane._domainkey.football.example.com", ED25519_RECORD, 0, 0 },
	{ "test._domainkey.football.example.com", "v=DKIM1; k=rsa; p=" RFC8463_RSA_PUBLIC, 0, 0 },
	{ "brisbane._domainkey.example.com", "p=" RFC6376_RSA_PUBLIC, 0, 0 },
};

static void expect(const char *fields, const char *body, enum dkim_result result,
		   const char *reason)
{
	struct message m;

	message_open(&m, fields, rfc_dns, ARRAY_LEN(rfc_dns));
	message_verify(&m, body);
	for (size_t i = 0; i < m.count; i++) {
		assert_string_equal(reason_of(&m, i), reason);
		assert_int_equal(m.verdicts[i].result, result);
	}
	message_close(&m);
}

static void rfc_examples_pass(void **state)
{
	struct message m;

	(void)state;
	message_open(&m, ED25519_SIGNATURE RSA_SIGNATURE RFC_FIELDS, rfc_dns, ARRAY_LEN(rfc_dns));
	message_verify(&m, RFC_BODY);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.verdicts[0].result, DKIM_RESULT_PASS);
	assert_int_equal(m.verdicts[0].key_bits, 256);
	assert_int_equal(m.verdicts[1].result, DKIM_RESULT_PASS);
	assert_int_equal(m.verdicts[1].key_bits, 1024);
	assert_int_equal(dkim_verify_cause(m.verdicts, m.count), DKIM_CAUSE_NONE);
	message_close(&m);
	expect(RFC6376_MESSAGE, RFC_BODY, DKIM_RESULT_PASS, "no signature error");
}

static void any_chunking_of_the_body_gives_the_same(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk <= strlen(RFC_BODY); chunk++) {
		struct message m;

		message_open(&m, ED25519_SIGNATURE RSA_SIGNATURE RFC_FIELDS, rfc_dns,
			     ARRAY_LEN(rfc_dns));
		message_verify_chunks(&m, SLICE_LIT(RFC_BODY), chunk);
		assert_int_equal(m.verdicts[0].result, DKIM_RESULT_PASS);
		assert_int_equal(m.verdicts[1].result, DKIM_RESULT_PASS);
		message_close(&m);
	}
}

/* Every byte of what is signed, changed to another one: no message passes. */
static void no_changed_byte_passes(void **state)
{
	static const char *const signatures[] = { ED25519_SIGNATURE, RSA_SIGNATURE };
	char fields[2048];
	char body[256];

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(signatures); s++) {
		size_t from = strlen("DKIM-Signature:");
		size_t len =
			(size_t)snprintf(fields, sizeof(fields), "%s" RFC_FIELDS, signatures[s]);

		for (size_t i = from; i < len; i++) {
			char keep = fields[i];
			struct message m;

			/* Field names and what folds them stay; blanks are relaxed. */
			if (ch_is_fws(keep) || keep == ':')
				continue;
			fields[i] = keep == 'x' ? 'y' : 'x';
			message_open(&m, fields, rfc_dns, ARRAY_LEN(rfc_dns));
			message_verify(&m, RFC_BODY);
			assert_true(m.count <= 1);
			if (m.count == 1 && m.verdicts[0].result == DKIM_RESULT_PASS)
				fail_msg("passes with byte %zu changed", i);
			message_close(&m);
			fields[i] = keep;
		}
		for (size_t i = 0; i < strlen(RFC_BODY); i++) {
			(void)snprintf(body, sizeof(body), "%s", RFC_BODY);
			if (ch_is_fws(body[i]))
				continue;
			body[i] ^= 1;
			(void)snprintf(fields, sizeof(fields), "%s" RFC_FIELDS, signatures[s]);
			expect(fields, body, DKIM_RESULT_FAIL, "body hash did not verify");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_examples_pass),
		cmocka_unit_test(any_chunking_of_the_body_gives_the_same),
		cmocka_unit_test(no_changed_byte_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
