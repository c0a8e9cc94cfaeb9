/* base/base64: RFC 4648 section 10 vectors, strictness, blanks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/base64.h"

static const struct {
	struct slice plain;
	struct slice text;
} vectors[] = {
	{ SLICE_INIT(""), SLICE_INIT("") },
	{ SLICE_INIT("f"), SLICE_INIT("Zg==") },
	{ SLICE_INIT("fo"), SLICE_INIT("Zm8=") },
	{ SLICE_INIT("foo"), SLICE_INIT("Zm9v") },
	{ SLICE_INIT("foob"), SLICE_INIT("Zm9vYg==") },
	{ SLICE_INIT("fooba"), SLICE_INIT("Zm9vYmE=") },
	{ SLICE_INIT("foobar"), SLICE_INIT("Zm9vYmFy") },
	{ SLICE_INIT("\xff\xef\xbe"), SLICE_INIT("/+++") },
	{ SLICE_INIT("\0\0\0"), SLICE_INIT("AAAA") },
};

static void vectors_encode_and_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct buf b;
		struct slice text = SLICE_LIT("");
		uint8_t out[16];
		size_t len = 99;

		buf_init(&b, 64);
		base64_encode(vectors[i].plain, &b);
		assert_int_equal(buf_finish(&b, &text), ERR_OK);
		assert_true(slice_eq(text, vectors[i].text));
		assert_int_equal(base64_encoded_len(vectors[i].plain.len), text.len);
		assert_int_equal(
			base64_decode(text, BASE64_NO_BLANKS, out, vectors[i].plain.len, &len),
			ERR_OK);
		assert_true(slice_eq(slice_of(out, len), vectors[i].plain));
		buf_done(&b);
	}
}

static void damaged_text_is_refused_and_the_length_stays(void **state)
{
	static const char *const bad[] = {
		"=",	  "==",	   "Z",	     "Zg",	 "Zg=",	     "Zm8",	   "Zg===", "Zm9v=",
		"Zm9v==", "Zm9vY", "Zg==Zg", "Zg==Zg==", "Zh==",     "Zm9=",	   "Z=g=",  "Z===",
		"Zm9v!",  "Zm-_",  "Zm 9v",  "Zm9v\n",	 "Zm9v====", "\xc3\xa9==", "=Zg=",  "Zg= =",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t out[16];
		size_t len = 99;

		assert_int_equal(
			base64_decode(slice_str(bad[i]), BASE64_NO_BLANKS, out, sizeof(out), &len),
			ERR_SYNTAX);
		assert_int_equal(len, 99);
	}
}

static void blanks_are_skipped_on_request_even_inside_the_padding(void **state)
{
	uint8_t out[16];
	size_t len = 0;

	(void)state;
	assert_int_equal(base64_decode(SLICE_LIT(" Zm\r\n\t9v Yg =\r\n = "), BASE64_SKIP_FWS, out,
				       sizeof(out), &len),
			 ERR_OK);
	assert_true(slice_eq(slice_of(out, len), SLICE_LIT("foob")));
	assert_int_equal(
		base64_decode(SLICE_LIT("Zm9v\v"), BASE64_SKIP_FWS, out, sizeof(out), &len),
		ERR_SYNTAX);
	assert_int_equal(base64_decode(SLICE_LIT(" \r\n "), BASE64_SKIP_FWS, out, 0, &len), ERR_OK);
	assert_int_equal(len, 0);
}

static void a_short_output_is_a_limit_and_not_an_overflow(void **state)
{
	uint8_t out[5] = { 0, 0, 0, 0, 0xaa };
	size_t len = 99;

	(void)state;
	for (size_t room = 0; room < 4; room++)
		assert_int_equal(
			base64_decode(SLICE_LIT("Zm9vYg=="), BASE64_NO_BLANKS, out, room, &len),
			ERR_LIMIT);
	assert_int_equal(out[4], 0xaa);
	assert_int_equal(len, 99);
}

static void random_bytes_encode_as_openssl_does(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		unsigned char plain[300];
		unsigned char want[404];
		uint8_t back[300];
		struct slice text = SLICE_LIT("");
		size_t len = 0;
		struct buf b;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			plain[i] = (unsigned char)(seed >> 24);
		}
		buf_init(&b, 404);
		base64_encode(slice_of(plain, n), &b);
		assert_int_equal(buf_finish(&b, &text), ERR_OK);
		assert_int_equal(EVP_EncodeBlock(want, plain, (int)n), text.len);
		assert_true(slice_eq(text, slice_of(want, text.len)));
		assert_int_equal(base64_decode(text, BASE64_NO_BLANKS, back, sizeof(back), &len),
				 ERR_OK);
		assert_true(slice_eq(slice_of(back, len), slice_of(plain, n)));
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_encode_and_decode),
		cmocka_unit_test(damaged_text_is_refused_and_the_length_stays),
		cmocka_unit_test(blanks_are_skipped_on_request_even_inside_the_padding),
		cmocka_unit_test(a_short_output_is_a_limit_and_not_an_overflow),
		cmocka_unit_test(random_bytes_encode_as_openssl_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
