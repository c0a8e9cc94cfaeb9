/* dkim/sign: the field that comes out, and that a verifier that knows only the RFC accepts it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/sign_fixture.h"

static void rfc_examples_verify(void **state)
{
	static const struct {
		const char *fields;
		const char *value;
		const char *rsa; /* NULL: the Ed25519 key */
		enum dkim_canon canon;
	} examples[] = {
		/* RFC 8463 appendix A.3 */
		{ RFC_FIELDS,
		  " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
		  " d=football.example.com; i=@football.example.com;\r\n"
		  " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
		  " subject : date : message-id : from : subject : date;\r\n"
		  " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
		  " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
		  " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==",
		  NULL, DKIM_CANON_RELAXED },
		{ RFC_FIELDS,
		  " v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
		  " d=football.example.com; i=@football.example.com;\r\n"
		  " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
		  " date : message-id : from : subject : date;\r\n"
		  " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
		  " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
		  " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
		  " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=",
		  RFC8463_RSA_PUBLIC, DKIM_CANON_RELAXED },
		/* RFC 6376 appendix A.2 */
		{ "Received: from client1.football.example.com  [192.0.2.1]\r\n"
		  "      by submitserver.example.com with SUBMISSION;\r\n"
		  "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n" RFC_FIELDS,
		  " v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
		  "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
		  "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
		  "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
		  "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
		  "        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
		  "        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
		  "        4bmp/YzhwvcubU4=;",
		  RFC6376_RSA_PUBLIC, DKIM_CANON_SIMPLE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		EVP_PKEY *key =
			examples[i].rsa != NULL ? rsa_public(examples[i].rsa) : ed25519_key(false);
		struct fixture f;

		setup(&f, examples[i].fields, NULL);
		assert_true(verifies(f.arena, f.headers, slice_str(examples[i].value),
				     examples[i].canon, key));
		EVP_PKEY_free(key);
		teardown(&f);
	}
}

static void the_field_looks_like_this(void **state)
{
	struct fixture f;
	struct slice value;

	(void)state;
	setup(&f, RFC_FIELDS "Received: x\r\nX-Other: y\r\ncc: z\r\n", NULL);
	value = sign(&f);
	assert_true(slice_starts(value,
				 SLICE_LIT(" v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
					   "\td=football.example.com; s=brisbane; t=1528637909;\n"
					   "\tbh=" RFC_BODY_HASH ";\n"
					   "\th=From:To:Subject:Date:cc:From;\n"
					   "\tb=")));
	assert_true(verifies_here(&f, value, f.headers));
	teardown(&f);
}

/* Ed25519 with simple is what OpenDKIM gets wrong. */
static void every_pair_of_canonicalizations_verifies_with_and_without_leading_space(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct slice wire_start = SLICE_LIT(" v=1; a=");
		struct fixture f;
		struct slice value;

		setup(&f, "sUBJECT:no space \t \r\n\tfolded \r\nTo: \r\n" RFC_FIELDS, NULL);
		f.params.header_canon = (i & 1) != 0 ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
		f.params.body_canon = (i & 2) != 0 ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
		f.params.leading_space = (i & 4) != 0;
		body_digest(f.arena, f.params.body_canon, RFC_BODY, &f.params.body_digest);
		value = sign(&f);
		assert_true(slice_starts(
			value, slice_sub(wire_start, (i & 4) != 0 ? 0 : 1, wire_start.len)));
		assert_true(slice_starts(on_the_wire(f.arena, value, f.params.leading_space),
					 wire_start));
		assert_true(verifies_here(&f, value, f.headers));
		teardown(&f);
	}
}

static void repeated_fields_are_taken_from_the_bottom(void **state)
{
	struct fixture f;
	struct slice value;

	(void)state;
	setup(&f, "To: 1\r\nX: 2\r\nTO: 3\r\nSubject: 4\r\nto: 5\r\nFrom: a@b.example\r\n", "From");
	value = sign(&f);
	assert_true(slice_eq(tag(value, "h"), SLICE_LIT("To:TO:Subject:to:From:From")));
	assert_true(verifies_here(&f, value, f.headers));
	/* One more on top is not covered, for To is not oversigned; at the bottom it takes the last
	 * one's place. */
	assert_true(verifies_here(&f, value, changed_message(&f, "To: 0\r\n", 0, "")));
	assert_false(verifies_here(&f, value, changed_message(&f, "", 0, "To: 6\r\n")));
	assert_false(verifies_here(&f, value, changed_message(&f, "", 1, "")));
	/* From is oversigned: no other From anywhere. */
	assert_false(verifies_here(&f, value, changed_message(&f, "From: x@y.example\r\n", 0, "")));
	assert_false(verifies_here(&f, value, changed_message(&f, "", 0, "From: x@y.example\r\n")));
	teardown(&f);
}

static void oversigned_names_outside_signheaders_verify(void **state)
{
	struct fixture f;
	struct slice value;

	(void)state;
	setup(&f, "X-Own: 1\r\nFrom: a@b.example\r\nx-own: 2\r\n",
	      "X-Own, Reply-To,Received,x-own,Message-ID");
	value = sign(&f);
	assert_true(slice_eq(tag(value, "h"),
			     SLICE_LIT("X-Own:From:x-own:X-Own:Reply-To:Received:Message-ID")));
	assert_true(verifies_here(&f, value, f.headers));
	assert_false(verifies_here(&f, value, changed_message(&f, "X-OWN: 0\r\n", 0, "")));
	assert_false(verifies_here(&f, value, changed_message(&f, "Reply-To: 0\r\n", 0, "")));
	/* From is signed but not oversigned here. */
	assert_true(verifies_here(&f, value, changed_message(&f, "From: x@y.example\r\n", 0, "")));
	teardown(&f);
}

static void older_signatures_good_or_broken_do_not_disturb(void **state)
{
	struct fixture f;
	struct slice first;
	struct slice second;
	struct hdrstore *h;

	(void)state;
	setup(&f,
	      "DKIM-Signature: v=1; h=;;;=\r\ndkim-signature:\r\n" RFC_FIELDS
	      "DKIM-Signature : v=2; d=\xff..\r\n",
	      NULL);
	first = sign(&f);
	assert_true(slice_eq(tag(first, "h"), SLICE_LIT("From:To:Subject:Date:From")));
	f.request.selector = SLICE_LIT("second");
	second = sign(&f);
	assert_int_equal(hdrstore_new(f.arena, 0, &h), ERR_OK);
	assert_int_equal(hdrstore_add(h, SLICE_LIT(FIELD), second, true), ERR_OK);
	assert_int_equal(hdrstore_add(h, SLICE_LIT(FIELD), first, true), ERR_OK);
	for (size_t i = 0; i < hdrstore_count(f.headers); i++)
		assert_int_equal(hdrstore_add(h, hdrstore_at(f.headers, i)->raw_name,
					      hdrstore_at(f.headers, i)->value, true),
				 ERR_OK);
	assert_true(verifies_here(&f, first, h));
	assert_true(verifies_here(&f, second, h));
	teardown(&f);
}

/* Who asks for it gets older signatures signed; the new one on top is never counted among them. */
static void dkim_signature_in_signheaders_covers_the_older_ones(void **state)
{
	struct fixture f;
	struct slice value;

	(void)state;
	setup(&f, "DKIM-Signature: v=1; old\r\n" RFC_FIELDS, NULL);
	dkim_hdrselect_free(&f.select);
	assert_int_equal(
		dkim_hdrselect_new("*,+DKIM-Signature", "*,-DKIM-Signature", NULL, &f.select, NULL),
		ERR_OK);
	f.params.select = f.select;
	value = sign(&f);
	assert_true(slice_starts(tag(value, "h"), SLICE_LIT("DKIM-Signature:From:")));
	assert_true(
		verifies_here(&f, value, changed_message(&f, "DKIM-Signature: new\r\n", 0, "")));
	assert_false(verifies_here(&f, value, changed_message(&f, "", 1, "")));
	teardown(&f);
}

static void optional_tags_stand_there_only_when_asked_for(void **state)
{
	static const char *const optional[] = { "i", "q", "x", "l", "z", "r" };
	struct fixture f;
	struct slice value;
	struct slice ignored;

	(void)state;
	setup(&f, RFC_FIELDS, NULL);
	value = sign(&f);
	for (size_t i = 0; i < ARRAY_LEN(optional); i++)
		assert_false(find_tag(value, optional[i], &ignored));
	f.params.write_query = true;
	f.params.ttl_s = 604800;
	f.params.write_length = true;
	f.params.body_length = 67;
	f.params.copy_headers = true;
	f.params.request_reports = true;
	f.request.identity = SLICE_LIT("joe;=|\xc3\xa4@Eng.Football.example.com");
	value = sign(&f);
	assert_true(slice_eq(tag(value, "q"), SLICE_LIT("dns/txt")));
	assert_true(slice_eq(tag(value, "t"), SLICE_LIT("1528637909")));
	assert_true(slice_eq(tag(value, "x"), SLICE_LIT("1529242709")));
	assert_true(slice_eq(tag(value, "l"), SLICE_LIT("67")));
	assert_true(slice_eq(tag(value, "r"), SLICE_LIT("y")));
	assert_true(
		slice_eq(tag(value, "i"), SLICE_LIT("joe=3B=3D|=C3=A4@Eng.Football.example.com")));
	assert_true(verifies_here(&f, value, f.headers));
	assert_true(widest_line(value) <= 78);
	teardown(&f);
}

static void internationalised_names_are_written_in_ascii(void **state)
{
	struct fixture f;
	struct slice value;

	(void)state;
	setup(&f, RFC_FIELDS, NULL);
	f.request.domain = SLICE_LIT("m\xc3\xbcnchen.example");
	f.request.selector = SLICE_LIT("\xc3\xa4");
	f.request.identity = SLICE_LIT("joe@mail.mu\xcc\x88nchen.example");
	value = sign(&f);
	assert_true(slice_is_ascii(value));
	assert_true(slice_eq(tag(value, "d"), SLICE_LIT("xn--mnchen-3ya.example")));
	assert_true(slice_eq(tag(value, "s"), SLICE_LIT("xn--4ca")));
	assert_true(slice_eq(tag(value, "i"), SLICE_LIT("joe@mail.xn--mnchen-3ya.example")));
	f.request.identity = SLICE_LIT("joe@xn--mnchen-3ya.example");
	value = sign(&f);
	assert_true(slice_eq(tag(value, "i"), SLICE_LIT("joe@xn--mnchen-3ya.example")));
	assert_true(verifies_here(&f, value, f.headers));
	teardown(&f);
}

/* Undo DKIM-Quoted-Printable: FWS goes, =XX comes back. */
static void qp_decode(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char hex[3] = { 0 };

		if (ch_is_fws(text.ptr[i]))
			continue;
		if (text.ptr[i] != '=') {
			buf_add_ch(out, text.ptr[i]);
			continue;
		}
		assert_true(i + 2 < text.len);
		memcpy(hex, text.ptr + i + 1, 2);
		buf_add_ch(out, (char)strtol(hex, NULL, 16));
		i += 2;
	}
}

static void z_holds_the_signed_fields(void **state)
{
	struct fixture f;
	struct slice value;
	struct slice z;
	struct buf out;

	(void)state;
	setup(&f,
	      "Subject: a|b;c=d \xe4\r\n\te\r\nReceived: no\r\nFrom: <a@b.example>\r\n"
	      "To:               "
	      ";;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;\r\n",
	      NULL);
	f.params.copy_headers = true;
	value = sign(&f);
	assert_true(verifies_here(&f, value, f.headers));
	assert_true(widest_line(value) <= 78);
	z = tag(value, "z");
	assert_int_equal(slice_find(z, '|'), slice_find(z, 'F') - 1);
	buf_init(&out, 1000);
	qp_decode(z, &out);
	assert_true(slice_eq(
		buf_slice(&out),
		SLICE_LIT("Subject: a|b;c=d \xe4\r\n\te|From: <a@b.example>|To:               "
			  ";;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;")));
	buf_done(&out);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(internationalised_names_are_written_in_ascii),
		cmocka_unit_test(rfc_examples_verify),
		cmocka_unit_test(the_field_looks_like_this),
		cmocka_unit_test(
			every_pair_of_canonicalizations_verifies_with_and_without_leading_space),
		cmocka_unit_test(repeated_fields_are_taken_from_the_bottom),
		cmocka_unit_test(oversigned_names_outside_signheaders_verify),
		cmocka_unit_test(older_signatures_good_or_broken_do_not_disturb),
		cmocka_unit_test(dkim_signature_in_signheaders_covers_the_older_ones),
		cmocka_unit_test(optional_tags_stand_there_only_when_asked_for),
		cmocka_unit_test(z_holds_the_signed_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
