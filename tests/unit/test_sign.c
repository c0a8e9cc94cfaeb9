/* dkim/sign: the field that comes out, and that a verifier that knows only the RFC accepts it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/limits.h"
#include "dkim/hdrinput.h"
#include "dkim/sign.h"
#include "tests/unit/alloc_fault.h"

#define ARENA_BYTES LIMIT_MESSAGE_ARENA_BYTES
#define FIELD "DKIM-Signature"
#define NAMES_MAX (LIMIT_HEADER_FIELDS + LIMIT_H_NAMES)

/* RFC 8463 appendix A.1 and A.2 */
#define ED25519_SECRET "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define ED25519_PUBLIC "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RFC8463_RSA_PUBLIC                                                                         \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi" \
	"Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZy" \
	"VYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
/* RFC 6376 appendix C */
#define RFC6376_RSA_PUBLIC                                                                         \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC" \
	"jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9" \
	"tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"

#define RFC_FIELDS                                                                                 \
	"From: Joe SixPack <joe@football.example.com>\r\n"                                         \
	"To: Suzie Q <suzie@shopping.example.net>\r\n"                                             \
	"Subject: Is dinner ready?\r\n"                                                            \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                                          \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define RFC_BODY "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n"
#define RFC_BODY_HASH "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="

struct fixture {
	struct arena *arena;
	struct hdrstore *headers;
	struct dkim_hdrselect *select;
	struct dkim_sign_params params;
	struct dkim_sign_request request;
};

/* Header text in wire form, each field with its CRLF, into the store. */
static void add_fields(struct hdrstore *h, struct slice text, bool leading_space)
{
	while (text.len != 0) {
		size_t end = 0;
		size_t colon = slice_find(text, ':');
		struct slice value;

		do
			end += slice_find(slice_sub(text, end, text.len), '\n') + 1;
		while (end < text.len && ch_is_wsp(text.ptr[end]));
		value = slice_sub(text, colon + 1, end - 2);
		if (!leading_space && value.len != 0 && value.ptr[0] == ' ')
			value = slice_sub(value, 1, value.len);
		assert_int_equal(hdrstore_add(h, slice_sub(text, 0, colon), value, leading_space),
				 ERR_OK);
		text = slice_sub(text, end, text.len);
	}
}

static void body_digest(struct arena *arena, enum dkim_canon canon, const char *body,
			struct slice *ret_digest)
{
	struct bodyhash *set;
	size_t id;

	assert_int_equal(bodyhash_new(arena, &set), ERR_OK);
	assert_int_equal(bodyhash_want(set, canon, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT, &id),
			 ERR_OK);
	bodyhash_update(set, body, strlen(body));
	assert_int_equal(bodyhash_finish(set), ERR_OK);
	assert_int_equal(arena_dup(arena, bodyhash_digest(set, id), ret_digest), ERR_OK);
	bodyhash_free(&set);
}

static void setup(struct fixture *f, const char *fields, const char *oversign)
{
	*f = (struct fixture){ 0 };
	f->arena = arena_new(ARENA_BYTES);
	assert_non_null(f->arena);
	assert_int_equal(hdrstore_new(f->arena, 0, &f->headers), ERR_OK);
	add_fields(f->headers, slice_str(fields), true);
	assert_int_equal(dkim_hdrselect_new(NULL, NULL, oversign, &f->select, NULL), ERR_OK);
	f->params = (struct dkim_sign_params){
		.select = f->select,
		.header_canon = DKIM_CANON_RELAXED,
		.body_canon = DKIM_CANON_RELAXED,
		.now = 1528637909,
		.leading_space = true,
	};
	body_digest(f->arena, DKIM_CANON_RELAXED, RFC_BODY, &f->params.body_digest);
	f->request = (struct dkim_sign_request){
		.domain = SLICE_LIT("football.example.com"),
		.selector = SLICE_LIT("brisbane"),
		.alg = DKIM_ALG_ED25519_SHA256,
	};
}

static void teardown(struct fixture *f)
{
	dkim_hdrselect_free(&f->select);
	arena_free(&f->arena);
}

static EVP_PKEY *ed25519_key(bool is_private)
{
	uint8_t raw[33];
	size_t len = 0;
	EVP_PKEY *key;

	assert_int_equal(base64_decode(slice_str(is_private ? ED25519_SECRET : ED25519_PUBLIC),
				       BASE64_NO_BLANKS, raw, sizeof(raw), &len),
			 ERR_OK);
	key = is_private ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, len)
			 : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, len);
	assert_non_null(key);
	return key;
}

static EVP_PKEY *rsa_public(const char *base64)
{
	uint8_t der[512];
	const uint8_t *p = der;
	size_t len = 0;
	EVP_PKEY *key;

	assert_int_equal(base64_decode(slice_str(base64), BASE64_NO_BLANKS, der, sizeof(der), &len),
			 ERR_OK);
	key = d2i_PUBKEY(NULL, &p, (long)len);
	assert_non_null(key);
	return key;
}

/* Ed25519 signs the digest; RSA is given the input and hashes it. */
static struct slice sign_bytes(struct arena *arena, EVP_PKEY *key, struct slice input,
			       struct slice digest)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_rsa = EVP_PKEY_is_a(key, "RSA") == 1;
	struct slice data = is_rsa ? input : digest;
	unsigned char sig[1024];
	size_t len = sizeof(sig);
	struct slice out;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, is_rsa ? EVP_sha256() : NULL, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const unsigned char *)data.ptr, data.len),
			 1);
	EVP_MD_CTX_free(ctx);
	assert_int_equal(arena_dup(arena, slice_of(sig, len), &out), ERR_OK);
	return out;
}

/* A verifier made of the RFC's words, with nothing of sign.c in it. */

static bool find_tag(struct slice field, const char *name, struct slice *ret_value)
{
	struct slice part;

	while (slice_next(&field, ';', &part)) {
		size_t eq = slice_find(part, '=');

		if (eq != part.len &&
		    slice_eq(slice_trim(slice_sub(part, 0, eq)), slice_str(name))) {
			*ret_value = slice_sub(part, eq + 1, part.len);
			return true;
		}
	}
	return false;
}

static struct slice tag(struct slice field, const char *name)
{
	struct slice value = SLICE_LIT("");

	assert_true(find_tag(field, name, &value));
	return slice_trim(value);
}

static bool verify_bytes(EVP_PKEY *key, struct slice input, struct slice sig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_rsa = EVP_PKEY_is_a(key, "RSA") == 1;
	uint8_t digest[DKIM_DIGEST_MAX];
	size_t len = 0;
	int rc;

	assert_int_equal(dkim_digest(DKIM_HASH_SHA256, input, digest, &len), ERR_OK);
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, is_rsa ? EVP_sha256() : NULL, NULL, key),
			 1);
	rc = is_rsa ? EVP_DigestVerify(ctx, (const unsigned char *)sig.ptr, sig.len,
				       (const unsigned char *)input.ptr, input.len)
		    : EVP_DigestVerify(ctx, (const unsigned char *)sig.ptr, sig.len, digest, len);
	EVP_MD_CTX_free(ctx);
	return rc == 1;
}

/* @param value of the signature field on the wire, leading space included, folds as CRLF */
static bool verifies(struct arena *arena, const struct hdrstore *headers, struct slice value,
		     enum dkim_canon canon, EVP_PKEY *key)
{
	static struct slice names[NAMES_MAX];
	struct slice h = tag(value, "h");
	struct slice b = tag(value, "b");
	struct slice part;
	struct slice input;
	size_t count = 0;
	uint8_t sig[1024];
	size_t sig_len = 0;
	size_t before = (size_t)(b.ptr - value.ptr);
	char *emptied = malloc(value.len);
	bool ok;

	assert_non_null(emptied);
	while (slice_next(&h, ':', &part)) {
		assert_true(count < NAMES_MAX);
		names[count++] = slice_trim(part);
	}
	memcpy(emptied, value.ptr, before);
	memcpy(emptied + before, b.ptr + b.len, value.len - before - b.len);
	assert_int_equal(base64_decode(b, BASE64_SKIP_FWS, sig, sizeof(sig), &sig_len), ERR_OK);
	assert_int_equal(dkim_header_input(arena, headers, canon, names, count, SLICE_LIT(FIELD),
					   slice_of(emptied, value.len - b.len), &input),
			 ERR_OK);
	ok = verify_bytes(key, input, slice_of(sig, sig_len));
	free(emptied);
	return ok;
}

/* The value as the MTA writes it: folds as CRLF, its own space when the value has none. */
static struct slice on_the_wire(struct arena *arena, struct slice value, bool leading_space)
{
	struct hdrstore *h;

	assert_int_equal(hdrstore_new(arena, 0, &h), ERR_OK);
	assert_int_equal(hdrstore_add(h, SLICE_LIT(FIELD), value, leading_space), ERR_OK);
	return hdrstore_at(h, 0)->value;
}

static struct slice sign(struct fixture *f)
{
	EVP_PKEY *key = ed25519_key(true);
	struct dkim_sign_prepared *prepared;
	struct slice input;
	struct slice digest;
	struct slice value;

	assert_int_equal(dkim_sign_prepare(f->arena, f->headers, &f->params, &f->request, &prepared,
					   &input, &digest),
			 ERR_OK);
	assert_int_equal(digest.len, 32);
	assert_int_equal(dkim_sign_finish(f->arena, prepared,
					  sign_bytes(f->arena, key, input, digest), &value),
			 ERR_OK);
	assert_int_equal(value.ptr[value.len], '\0');
	EVP_PKEY_free(key);
	return value;
}

static bool verifies_here(struct fixture *f, struct slice value, const struct hdrstore *headers)
{
	EVP_PKEY *key = ed25519_key(false);
	bool ok = verifies(f->arena, headers, on_the_wire(f->arena, value, f->params.leading_space),
			   f->params.header_canon, key);

	EVP_PKEY_free(key);
	return ok;
}

/* No line beyond 78 columns, a tab is 8. */
static size_t widest_line(struct slice value)
{
	size_t widest = 0;
	size_t column = strlen(FIELD ":");

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\n')
			column = 0;
		else
			column = value.ptr[i] == '\t' ? (column / 8 + 1) * 8 : column + 1;
		widest = column > widest ? column : widest;
	}
	return widest;
}

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

/* The message as it arrives somewhere: more fields on top, below, or without the first ones. */
static struct hdrstore *changed_message(struct fixture *f, const char *top, size_t skip,
					const char *bottom)
{
	struct hdrstore *h;

	assert_int_equal(hdrstore_new(f->arena, 0, &h), ERR_OK);
	add_fields(h, slice_str(top), true);
	for (size_t i = skip; i < hdrstore_count(f->headers); i++) {
		const struct hdr *field = hdrstore_at(f->headers, i);

		assert_int_equal(hdrstore_add(h, field->raw_name, field->value, true), ERR_OK);
	}
	add_fields(h, slice_str(bottom), true);
	return h;
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
