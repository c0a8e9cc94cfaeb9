/* dkim/keyrec: every fault of a key record, and keys that are made to hurt. */
#include "tests/unit/sign_fixture.h"

#include "dkim/keyrec.h"
#include "dkim/rsader.h"

#define RSA "v=DKIM1; k=rsa; p=" RFC8463_RSA_PUBLIC
#define ED25519 "v=DKIM1; k=ed25519; p=" ED25519_PUBLIC
#define P "p=" RFC8463_RSA_PUBLIC

static struct arena *arena;

static int open_arena(void **state)
{
	(void)state;
	arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	return arena != NULL ? 0 : -1;
}

static int close_arena(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* All that a verifier does with the records of a name. */
static enum dkim_reason use(const struct slice *records, size_t count, enum dkim_alg alg,
			    unsigned *ret_bits)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	struct keyrec record;
	enum dkim_reason reason = keyrec_select(arena, records, count, &record);

	*ret_bits = 0;
	if (reason == DKIM_REASON_GOOD)
		reason = keyrec_allows(&record, alg);
	if (reason == DKIM_REASON_GOOD)
		reason = keyrec_pubkey(&record, alg, 1024, &key, ret_bits);
	assert_true((key != NULL) == (reason == DKIM_REASON_GOOD));
	return reason;
}

static enum dkim_reason use_text(const char *text, enum dkim_alg alg)
{
	struct slice record = slice_str(text);
	unsigned bits;

	return use(&record, 1, alg, &bits);
}

static void every_fault_has_its_reason(void **state)
{
	static const struct {
		const char *text;
		enum dkim_reason reason;
	} rows[] = {
		{ RSA, DKIM_REASON_GOOD },
		{ P, DKIM_REASON_GOOD },
		{ P ";", DKIM_REASON_GOOD },
		{ " v = DKIM1 ; " P " ; n=what a caf\xc3\xa9", DKIM_REASON_GOOD },
		{ "k=RSA; " P, DKIM_REASON_GOOD },
		{ P "; g=*; x=unknown", DKIM_REASON_GOOD },
		{ "", DKIM_REASON_KEY_SYNTAX },
		{ "   ", DKIM_REASON_KEY_SYNTAX },
		{ "garbage", DKIM_REASON_KEY_SYNTAX },
		{ "v=DKIM1; k=rsa; p", DKIM_REASON_KEY_SYNTAX },
		{ P "; " P, DKIM_REASON_KEY_SYNTAX },
		{ "v=DKIM1;; " P, DKIM_REASON_KEY_SYNTAX },
		{ "v=DKIM1; k=rsa", DKIM_REASON_KEY_NO_DATA },
		{ "v=DKIM1", DKIM_REASON_KEY_NO_DATA },
		{ "v=DKIM1; p=", DKIM_REASON_KEY_REVOKED },
		{ "v=DKIM1; p= \t ; k=rsa", DKIM_REASON_KEY_REVOKED },
		{ "v=DKIM2; " P, DKIM_REASON_KEY_VERSION },
		{ "v=dkim1; " P, DKIM_REASON_KEY_VERSION },
		{ "v=; " P, DKIM_REASON_KEY_VERSION },
		{ P "; v=DKIM1", DKIM_REASON_KEY_VERSION },
		{ "k=dsa; " P, DKIM_REASON_KEY_TYPE },
		{ "k=; " P, DKIM_REASON_KEY_TYPE },
		{ ED25519, DKIM_REASON_KEY_TYPE_MISMATCH },
		{ "h=sha256; " P, DKIM_REASON_GOOD },
		{ "h=sha1 : SHA256; " P, DKIM_REASON_GOOD },
		{ "h=sha1; " P, DKIM_REASON_KEY_HASH },
		{ "h=; " P, DKIM_REASON_KEY_HASH },
		{ "h=sha2567; " P, DKIM_REASON_KEY_HASH },
		{ "s=*; " P, DKIM_REASON_GOOD },
		{ "s=tlsrpt:email; " P, DKIM_REASON_GOOD },
		{ "s=tlsrpt; " P, DKIM_REASON_KEY_SERVICE },
		{ "s=; " P, DKIM_REASON_KEY_SERVICE },
		{ "p=!!!", DKIM_REASON_KEY_DATA },
		{ "p=MIGfMA0GCSqGSIb3DQEBAQUAA4G", DKIM_REASON_KEY_DATA },
		{ "p=AAAA", DKIM_REASON_KEY_DATA },
		{ "p=" ED25519_PUBLIC, DKIM_REASON_KEY_DATA },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum dkim_reason reason = use_text(rows[i].text, DKIM_ALG_RSA_SHA256);

		if (reason != rows[i].reason)
			fail_msg("%s\n  is: %s", rows[i].text, dkim_reason_text(reason));
	}
}

static void an_ed25519_key_is_32_bytes(void **state)
{
	(void)state;
	assert_int_equal(use_text(ED25519, DKIM_ALG_ED25519_SHA256), DKIM_REASON_GOOD);
	assert_int_equal(use_text(RSA, DKIM_ALG_ED25519_SHA256), DKIM_REASON_KEY_TYPE_MISMATCH);
	assert_int_equal(use_text("k=ed25519; p=AAAA", DKIM_ALG_ED25519_SHA256),
			 DKIM_REASON_KEY_DATA);
	/* A SubjectPublicKeyInfo, which RFC 8463 does not have. */
	assert_int_equal(
		use_text("k=ed25519; p=MCowBQYDK2VwAyEA" ED25519_PUBLIC, DKIM_ALG_ED25519_SHA256),
		DKIM_REASON_KEY_DATA);
	assert_int_equal(use_text("k=ed25519; p=" RFC8463_RSA_PUBLIC, DKIM_ALG_ED25519_SHA256),
			 DKIM_REASON_KEY_DATA);
}

/* Points of small order, each with either sign: a signature of them needs no private key. */
static void an_ed25519_key_of_small_order_is_no_key(void **state)
{
	static const char *const rows[] = {
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
		"JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=",
		"JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/IU=",
		"xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=",
		"xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA/o=",
		"7P///////////////////////////////////////38=",
		"7P////////////////////////////////////////8=",
		"7f///////////////////////////////////////38=",
		"7f////////////////////////////////////////8=",
		"7v///////////////////////////////////////38=",
		"7v////////////////////////////////////////8=",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[100];

		(void)snprintf(text, sizeof(text), "k=ed25519; p=%s", rows[i]);
		if (use_text(text, DKIM_ALG_ED25519_SHA256) != DKIM_REASON_KEY_DATA)
			fail_msg("taken: %s", text);
	}
}

static void flags_are_read(void **state)
{
	struct keyrec record;

	(void)state;
	assert_int_equal(keyrec_parse(arena, SLICE_LIT("t=y; " P), &record), DKIM_REASON_GOOD);
	assert_true(record.testing && !record.strict);
	assert_int_equal(keyrec_parse(arena, SLICE_LIT("t= x : s ; " P), &record),
			 DKIM_REASON_GOOD);
	assert_true(!record.testing && record.strict);
	assert_int_equal(keyrec_parse(arena, SLICE_LIT("t=y:s; p="), &record),
			 DKIM_REASON_KEY_REVOKED);
	assert_true(record.testing && record.strict);
}

static void several_records(void **state)
{
	static const struct {
		const char *texts[4];
		enum dkim_reason reason;
	} rows[] = {
		{ { RSA, "v=spf1 -all" }, DKIM_REASON_GOOD },
		{ { "v=spf1 include:p=x -all", "random text", P }, DKIM_REASON_GOOD },
		{ { "", RSA, "" }, DKIM_REASON_GOOD },
		{ { RSA, RSA }, DKIM_REASON_KEY_MULTIPLE },
		{ { RSA, "p=" }, DKIM_REASON_KEY_MULTIPLE },
		{ { P, "v=DKIM1; broken", "x" }, DKIM_REASON_KEY_MULTIPLE },
		{ { "v=spf1 -all", "v=DMARC1; p=none" }, DKIM_REASON_KEY_SYNTAX },
		{ { "v=spf1 -all", "v=DKIM1; k=rsa" }, DKIM_REASON_KEY_NO_DATA },
		{ { "v=spf1 -all" }, DKIM_REASON_KEY_VERSION },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice records[4];
		size_t count = 0;
		unsigned bits;

		while (count < 4 && rows[i].texts[count] != NULL) {
			records[count] = slice_str(rows[i].texts[count]);
			count++;
		}
		assert_int_equal(use(records, count, DKIM_ALG_RSA_SHA256, &bits), rows[i].reason);
	}
	assert_int_equal(use(NULL, 0, DKIM_ALG_RSA_SHA256, &(unsigned){ 0 }),
			 DKIM_REASON_KEY_SYNTAX);
}

static void put_tlv(struct buf *out, unsigned tag, struct slice content)
{
	buf_add_ch(out, (char)tag);
	if (content.len > 0xff) {
		buf_add_ch(out, (char)0x82);
		buf_add_ch(out, (char)(content.len >> 8));
	} else if (content.len > 0x7f) {
		buf_add_ch(out, (char)0x81);
	}
	buf_add_ch(out, (char)(content.len & 0xff));
	buf_add(out, content);
}

/* A number of bits ones, with the zero before it that DER wants. @param odd the last bit */
static void put_ones(struct buf *out, size_t bits, bool odd)
{
	struct buf number;

	buf_init(&number, 65536);
	if (bits % 8 == 0)
		buf_add_ch(&number, 0);
	else
		buf_add_ch(&number, (char)((1 << bits % 8) - 1));
	for (size_t i = 0; i < bits / 8; i++)
		buf_add_ch(&number, (char)0xff);
	if (!odd)
		number.data[number.len - 1] &= (char)0xfe;
	put_tlv(out, 0x02, buf_slice(&number));
	buf_done(&number);
}

/* @return a record with a bare RSAPublicKey; free it */
static char *made_record(size_t modulus_bits, bool modulus_odd, size_t exponent_bits,
			 bool exponent_odd)
{
	struct buf numbers;
	struct buf der;
	struct buf text;

	buf_init(&numbers, 65536);
	buf_init(&der, 65536);
	buf_init(&text, 65536);
	put_ones(&numbers, modulus_bits, modulus_odd);
	put_ones(&numbers, exponent_bits, exponent_odd);
	put_tlv(&der, 0x30, buf_slice(&numbers));
	buf_add_str(&text, "v=DKIM1; p=");
	base64_encode(buf_slice(&der), &text);
	buf_done(&numbers);
	buf_done(&der);
	return text.data;
}

static void sizes_of_rsa_keys_are_bounded_before_anything_is_computed(void **state)
{
	static const struct {
		size_t modulus;
		size_t exponent;
		bool modulus_odd;
		bool exponent_odd;
		enum dkim_reason reason;
	} rows[] = {
		{ 512, 17, true, true, DKIM_REASON_KEY_WEAK },
		{ 1023, 17, true, true, DKIM_REASON_KEY_WEAK },
		{ 1024, 17, true, true, DKIM_REASON_GOOD },
		{ 2048, 2, true, true, DKIM_REASON_GOOD },
		{ 2048, 64, true, true, DKIM_REASON_GOOD },
		{ 2048, 65, true, true, DKIM_REASON_KEY_DATA },
		{ 2048, 2047, true, true, DKIM_REASON_KEY_DATA },
		{ 2048, 1, true, true, DKIM_REASON_KEY_DATA },
		{ 2048, 17, true, false, DKIM_REASON_KEY_DATA },
		{ 2048, 17, false, true, DKIM_REASON_KEY_DATA },
		{ 8192, 17, true, true, DKIM_REASON_GOOD },
		{ 8193, 17, true, true, DKIM_REASON_KEY_LARGE },
		{ 16384, 64, true, true, DKIM_REASON_KEY_LARGE },
		{ 80000, 17, true, true, DKIM_REASON_KEY_LARGE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *text = made_record(rows[i].modulus, rows[i].modulus_odd, rows[i].exponent,
					 rows[i].exponent_odd);
		struct slice record = slice_str(text);
		unsigned bits;
		enum dkim_reason reason = use(&record, 1, DKIM_ALG_RSA_SHA256, &bits);

		if (reason != rows[i].reason)
			fail_msg("row %zu: %s", i, dkim_reason_text(reason));
		assert_int_equal(bits, rows[i].modulus);
		free(text);
	}
}

static void a_key_below_the_local_minimum_is_policy_below_the_floor_an_error(void **state)
{
	struct pubkey *key = NULL;
	struct keyrec record;
	unsigned bits = 0;

	(void)state;
	assert_int_equal(keyrec_parse(arena, SLICE_LIT(RSA), &record), DKIM_REASON_GOOD);
	assert_int_equal(keyrec_pubkey(&record, DKIM_ALG_RSA_SHA256, 2048, &key, &bits),
			 DKIM_REASON_KEY_SMALL);
	assert_int_equal(bits, 1024);
	assert_int_equal(dkim_reason_result(DKIM_REASON_KEY_SMALL), DKIM_RESULT_POLICY);
	assert_int_equal(dkim_reason_result(DKIM_REASON_KEY_WEAK), DKIM_RESULT_PERMERROR);
	assert_null(key);
	assert_int_equal(keyrec_pubkey(&record, DKIM_ALG_RSA_SHA256, 0, &key, &bits),
			 DKIM_REASON_GOOD);
	pubkey_free(&key);
}

/* Both shapes of one key give the same key. */
static void a_bare_rsa_public_key_is_read(void **state)
{
	uint8_t der[512];
	size_t len = 0;
	struct rsa_numbers spki;
	struct rsa_numbers bare;

	(void)state;
	assert_int_equal(base64_decode(slice_str(RFC8463_RSA_PUBLIC), BASE64_NO_BLANKS, der,
				       sizeof(der), &len),
			 ERR_OK);
	assert_true(rsader_parse(slice_of(der, len), &spki));
	/* SEQUENCE, AlgorithmIdentifier of 15 bytes, BIT STRING head of 4: the key is behind them.
	 */
	assert_true(rsader_parse(slice_of(der + 22, len - 22), &bare));
	assert_true(slice_eq(spki.modulus, bare.modulus));
	assert_true(slice_eq(spki.exponent, bare.exponent));
	assert_int_equal(rsader_bits(spki.modulus), 1024);
}

static void der_that_is_cut_or_changed_is_refused_or_another_key(void **state)
{
	uint8_t der[512];
	size_t len = 0;
	struct rsa_numbers numbers;

	(void)state;
	assert_int_equal(base64_decode(slice_str(RFC8463_RSA_PUBLIC), BASE64_NO_BLANKS, der,
				       sizeof(der), &len),
			 ERR_OK);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		assert_non_null(exact);
		memcpy(exact, der, cut);
		assert_false(rsader_parse(slice_of(exact, cut), &numbers));
		free(exact);
	}
	der[len] = 0;
	assert_false(rsader_parse(slice_of(der, len + 1), &numbers));
	/* Nothing of the frame around the numbers is free to change. */
	for (size_t i = 0; i < 28; i++) {
		der[i] ^= 0x10;
		assert_false(rsader_parse(slice_of(der, len), &numbers));
		der[i] ^= 0x10;
	}
}

static void a_record_that_is_too_long_is_not_read(void **state)
{
	size_t size = LIMIT_KEY_RECORD_BYTES + 1;
	char *text = malloc(size + 1);
	struct keyrec record;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', size);
	memcpy(text, RSA, sizeof(RSA) - 1);
	assert_int_equal(keyrec_parse(arena, slice_of(text, size - 1), &record), DKIM_REASON_GOOD);
	assert_int_equal(keyrec_parse(arena, slice_of(text, size), &record),
			 DKIM_REASON_KEY_SYNTAX);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_has_its_reason),
		cmocka_unit_test(an_ed25519_key_is_32_bytes),
		cmocka_unit_test(an_ed25519_key_of_small_order_is_no_key),
		cmocka_unit_test(flags_are_read),
		cmocka_unit_test(several_records),
		cmocka_unit_test(sizes_of_rsa_keys_are_bounded_before_anything_is_computed),
		cmocka_unit_test(a_key_below_the_local_minimum_is_policy_below_the_floor_an_error),
		cmocka_unit_test(a_bare_rsa_public_key_is_read),
		cmocka_unit_test(der_that_is_cut_or_changed_is_refused_or_another_key),
		cmocka_unit_test(a_record_that_is_too_long_is_not_read),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
