/*
 * What the tests of dkim/sign share: messages and keys of the RFCs, signing in one go, and a
 * verifier that is made of the RFC's words and has nothing of sign.c in it.
 */
#ifndef TESTS_UNIT_SIGN_FIXTURE_H
#define TESTS_UNIT_SIGN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/limits.h"
#include "dkim/hdrinput.h"
#include "dkim/sign.h"

#define ARENA_BYTES LIMIT_MESSAGE_ARENA_BYTES
#define FIELD "DKIM-Signature"
#define NAMES_MAX LIMIT_H_LISTED

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
static UNUSED void add_fields(struct hdrstore *h, struct slice text, bool leading_space)
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

static UNUSED void body_digest(struct arena *arena, enum dkim_canon canon, const char *body,
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

static UNUSED void setup(struct fixture *f, const char *fields, const char *oversign)
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

static UNUSED void teardown(struct fixture *f)
{
	dkim_hdrselect_free(&f->select);
	arena_free(&f->arena);
}

static UNUSED EVP_PKEY *ed25519_key(bool is_private)
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

static UNUSED EVP_PKEY *rsa_public(const char *base64)
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
static UNUSED struct slice sign_bytes(struct arena *arena, EVP_PKEY *key, struct slice input,
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

static UNUSED bool find_tag(struct slice field, const char *name, struct slice *ret_value)
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

static UNUSED struct slice tag(struct slice field, const char *name)
{
	struct slice value = SLICE_LIT("");

	assert_true(find_tag(field, name, &value));
	return slice_trim(value);
}

static UNUSED bool verify_bytes(EVP_PKEY *key, struct slice input, struct slice sig)
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
static UNUSED bool verifies(struct arena *arena, const struct hdrstore *headers, struct slice value,
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
static UNUSED struct slice on_the_wire(struct arena *arena, struct slice value, bool leading_space)
{
	struct hdrstore *h;

	assert_int_equal(hdrstore_new(arena, 0, &h), ERR_OK);
	assert_int_equal(hdrstore_add(h, SLICE_LIT(FIELD), value, leading_space), ERR_OK);
	return hdrstore_at(h, 0)->value;
}

static UNUSED struct slice sign(struct fixture *f)
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

static UNUSED bool verifies_here(struct fixture *f, struct slice value,
				 const struct hdrstore *headers)
{
	EVP_PKEY *key = ed25519_key(false);
	bool ok = verifies(f->arena, headers, on_the_wire(f->arena, value, f->params.leading_space),
			   f->params.header_canon, key);

	EVP_PKEY_free(key);
	return ok;
}

/* No line beyond 78 columns, a tab is 8. */
static UNUSED size_t widest_line(struct slice value)
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
/* The message as it arrives somewhere: more fields on top, below, or without the first ones. */
static UNUSED struct hdrstore *changed_message(struct fixture *f, const char *top, size_t skip,
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

#endif
