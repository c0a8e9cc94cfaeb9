/* signer/wire: what was encoded decodes to the same, and nothing else decodes at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "signer/wire.h"

static const char fingerprint[WIRE_FINGERPRINT_BYTES] = "0123456789abcdef0123456789abcde";

/* One full message of each type, every field at a value that is not its default. */
static const struct wire_msg samples[] = {
	{ .type = WIRE_OPEN,
	  .id = 0x1122334455667788u,
	  .generation = 7,
	  .left_ms = 20000,
	  .key_name = SLICE_INIT("rsa.example"),
	  .from_domain = SLICE_INIT("example.org") },
	{ .type = WIRE_OPEN, .id = 1 }, /* the single key of KeyFile has the name "" */
	{ .type = WIRE_SIGN,
	  .id = UINT64_MAX,
	  .generation = UINT32_MAX,
	  .left_ms = 1,
	  .key_name = SLICE_INIT("ed"),
	  .from_domain = SLICE_INIT("example.net"),
	  .alg = DKIM_ALG_ED25519_SHA256,
	  .fingerprint = { fingerprint, sizeof(fingerprint) },
	  .bytes = SLICE_INIT("\x00\xff digest with a NUL") },
	{ .type = WIRE_OPENED,
	  .id = 3,
	  .alg = DKIM_ALG_RSA_SHA1,
	  .bits = 4096,
	  .wants_input = true,
	  .domain = SLICE_INIT("d.example"),
	  .selector = SLICE_INIT("s1"),
	  .bytes = SLICE_INIT("\x30\x82public key") },
	{ .type = WIRE_SIGNED, .id = 4, .bytes = SLICE_INIT("signature") },
	{ .type = WIRE_FAILED,
	  .id = 5,
	  .error = ERR_TOKEN_TIMEOUT,
	  .text = SLICE_INIT("C_Sign: CKR_DEVICE_ERROR"),
	  .domain = SLICE_INIT("d.example"),
	  .selector = SLICE_INIT("s1") },
	{ .type = WIRE_FAILED, .id = 6, .error = (enum err)(ERR_COUNT - 1) },
};

static void encode(const struct wire_msg *msg, struct buf *out)
{
	buf_init(out, WIRE_PACKET_BYTES);
	assert_int_equal(wire_encode(msg, out), ERR_OK);
}

static void assert_same(const struct wire_msg *a, const struct wire_msg *b)
{
	assert_int_equal(a->type, b->type);
	assert_true(a->id == b->id);
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->left_ms, b->left_ms);
	assert_true(slice_eq(a->key_name, b->key_name));
	assert_true(slice_eq(a->from_domain, b->from_domain));
	assert_int_equal(a->alg, b->alg);
	assert_true(slice_eq(a->fingerprint, b->fingerprint));
	assert_true(slice_eq(a->bytes, b->bytes));
	assert_true(slice_eq(a->domain, b->domain));
	assert_true(slice_eq(a->selector, b->selector));
	assert_int_equal(a->bits, b->bits);
	assert_int_equal(a->wants_input, b->wants_input);
	assert_int_equal(a->error, b->error);
	assert_true(slice_eq(a->text, b->text));
}

static void every_type_comes_back_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO(buf_done) struct buf packet;
		struct wire_msg msg;

		encode(&samples[i], &packet);
		assert_int_equal(wire_decode(buf_slice(&packet), &msg), ERR_OK);
		assert_same(&msg, &samples[i]);
	}
}

/* A block of exactly the packet's size, so that a sanitizer sees the first byte read beyond it. */
static enum err decode_exact(const char *bytes, size_t len, struct wire_msg *ret_msg,
			     char **ret_block)
{
	*ret_block = malloc(len != 0 ? len : 1);
	assert_non_null(*ret_block);
	if (len != 0)
		memcpy(*ret_block, bytes, len);
	return wire_decode(slice_of(*ret_block, len), ret_msg);
}

static void no_part_of_a_packet_is_a_packet(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO(buf_done) struct buf packet;
		struct wire_msg msg;

		encode(&samples[i], &packet);
		for (size_t len = 0; len < packet.len; len++) {
			char *block;

			assert_int_equal(decode_exact(packet.data, len, &msg, &block),
					 ERR_PROTOCOL);
			free(block);
		}
	}
}

static void a_byte_too_many_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO(buf_done) struct buf packet;
		struct wire_msg msg;

		encode(&samples[i], &packet);
		buf_add_ch(&packet, '\0');
		assert_int_equal(wire_decode(buf_slice(&packet), &msg), ERR_PROTOCOL);
	}
}

/* Any byte changed to any of a few values: refused, or a message that encodes to these very bytes.
 */
static void what_decodes_encodes_to_the_same_bytes(void **state)
{
	static const unsigned char values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	size_t accepted = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO(buf_done) struct buf packet;

		encode(&samples[i], &packet);
		for (size_t at = 0; at < packet.len * ARRAY_LEN(values); at++) {
			AUTO(buf_done) struct buf again;
			struct wire_msg msg;
			char *block;

			packet.data[at / ARRAY_LEN(values)] ^= (char)values[at % ARRAY_LEN(values)];
			buf_init(&again, WIRE_PACKET_BYTES);
			if (decode_exact(packet.data, packet.len, &msg, &block) == ERR_OK) {
				accepted++;
				assert_int_equal(wire_encode(&msg, &again), ERR_OK);
				assert_true(slice_eq(buf_slice(&again), buf_slice(&packet)));
			}
			free(block);
			packet.data[at / ARRAY_LEN(values)] ^= (char)values[at % ARRAY_LEN(values)];
		}
	}
	assert_true(accepted > 0);
}

static void a_failure_is_never_ok(void **state)
{
	AUTO(buf_done) struct buf packet;
	struct wire_msg msg = samples[5];
	struct wire_msg decoded;

	(void)state;
	msg.error = ERR_OK;
	buf_init(&packet, WIRE_PACKET_BYTES);
	if (wire_encode(&msg, &packet) == ERR_OK)
		assert_int_equal(wire_decode(buf_slice(&packet), &decoded), ERR_PROTOCOL);
}

/* One field of one message made a byte longer than it may be. */
static void over(const struct wire_msg *base, size_t offset, size_t limit)
{
	struct wire_msg msg = *base;
	char *bytes = calloc(1, limit + 1);
	struct slice longest = { bytes, limit };
	struct wire_msg decoded;

	assert_non_null(longest.ptr);
	for (size_t extra = 0; extra < 2; extra++) {
		AUTO(buf_done) struct buf packet;

		longest.len = limit + extra;
		memcpy((char *)&msg + offset, &longest, sizeof(longest));
		buf_init(&packet, WIRE_PACKET_BYTES);
		assert_int_equal(wire_encode(&msg, &packet), extra == 0 ? ERR_OK : ERR_LIMIT);
		if (extra == 0)
			assert_int_equal(wire_decode(buf_slice(&packet), &decoded), ERR_OK);
	}
	free(bytes);
}

static void fields_are_bounded(void **state)
{
	const struct wire_msg *open = &samples[0];
	const struct wire_msg *sign = &samples[2];
	const struct wire_msg *opened = &samples[3];

	(void)state;
	over(open, offsetof(struct wire_msg, key_name), LIMIT_KEY_NAME_BYTES);
	over(open, offsetof(struct wire_msg, from_domain), LIMIT_DOMAIN_BYTES);
	over(sign, offsetof(struct wire_msg, key_name), LIMIT_KEY_NAME_BYTES);
	over(sign, offsetof(struct wire_msg, bytes), LIMIT_SIGN_INPUT_BYTES);
	over(opened, offsetof(struct wire_msg, domain), LIMIT_DOMAIN_BYTES);
	over(opened, offsetof(struct wire_msg, selector), LIMIT_SELECTOR_BYTES);
	over(opened, offsetof(struct wire_msg, bytes), LIMIT_PUBKEY_DER_BYTES);
	over(&samples[4], offsetof(struct wire_msg, bytes), LIMIT_SIGNATURE_BYTES);
	over(&samples[5], offsetof(struct wire_msg, domain), LIMIT_DOMAIN_BYTES);
	over(&samples[5], offsetof(struct wire_msg, selector), LIMIT_SELECTOR_BYTES);
	over(&samples[5], offsetof(struct wire_msg, text),
	     sizeof(((struct err_detail *)0)->text) - 1);
}

static void a_fingerprint_has_its_length(void **state)
{
	struct wire_msg msg = samples[2];

	(void)state;
	for (size_t len = 0; len < 2 * sizeof(fingerprint); len++) {
		AUTO(buf_done) struct buf packet;
		static const char bytes[2 * sizeof(fingerprint)];

		msg.fingerprint = slice_of(bytes, len);
		buf_init(&packet, WIRE_PACKET_BYTES);
		assert_int_equal(wire_encode(&msg, &packet),
				 len == sizeof(fingerprint) ? ERR_OK : ERR_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_comes_back_as_it_was),
		cmocka_unit_test(no_part_of_a_packet_is_a_packet),
		cmocka_unit_test(a_byte_too_many_is_refused),
		cmocka_unit_test(what_decodes_encodes_to_the_same_bytes),
		cmocka_unit_test(a_failure_is_never_ok),
		cmocka_unit_test(fields_are_bounded),
		cmocka_unit_test(a_fingerprint_has_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
