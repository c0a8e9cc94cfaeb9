/* Packets: a fixed head, then the fields of the type in the order of one table. */
#include "signer/wire.h"

#include <stddef.h>

#define WIRE_MAGIC 0x68736d32u /* "hsm2": another build on the far side is seen at once */
#define FIELDS_MAX 8

/* How a member of struct wire_msg stands in a packet, in the byte order of the machine. */
enum kind { KIND_END, KIND_U32, KIND_BOOL, KIND_ALG, KIND_ERR, KIND_BYTES };

struct field {
	enum kind kind;
	size_t offset;
	uint32_t min; /* KIND_BYTES: lengths */
	uint32_t max;
};

#define AT(member) offsetof(struct wire_msg, member)
#define U32(member)                                                                                \
	{                                                                                          \
		KIND_U32, AT(member), 0, 0                                                         \
	}
#define BYTES(member, min, max)                                                                    \
	{                                                                                          \
		KIND_BYTES, AT(member), min, max                                                   \
	}

/* clang-format off */
static const struct field fields[][FIELDS_MAX] = {
	[WIRE_OPEN] = {
		U32(generation), U32(left_ms),
		BYTES(key_name, 0, LIMIT_KEY_NAME_BYTES), BYTES(from_domain, 0, LIMIT_DOMAIN_BYTES),
	},
	[WIRE_SIGN] = {
		U32(generation), U32(left_ms),
		BYTES(key_name, 0, LIMIT_KEY_NAME_BYTES), BYTES(from_domain, 0, LIMIT_DOMAIN_BYTES),
		{ KIND_ALG, AT(alg), 0, 0 },
		BYTES(fingerprint, WIRE_FINGERPRINT_BYTES, WIRE_FINGERPRINT_BYTES),
		BYTES(bytes, 1, LIMIT_SIGN_INPUT_BYTES),
	},
	[WIRE_OPENED] = {
		{ KIND_ALG, AT(alg), 0, 0 }, U32(bits), { KIND_BOOL, AT(wants_input), 0, 0 },
		BYTES(domain, 1, LIMIT_DOMAIN_BYTES), BYTES(selector, 1, LIMIT_SELECTOR_BYTES),
		BYTES(bytes, 1, LIMIT_PUBKEY_DER_BYTES),
	},
	[WIRE_SIGNED] = { BYTES(bytes, 1, LIMIT_SIGNATURE_BYTES) },
	[WIRE_FAILED] = {
		{ KIND_ERR, AT(error), 0, 0 }, BYTES(text, 0, sizeof(struct err_detail) - 1),
		BYTES(domain, 0, LIMIT_DOMAIN_BYTES), BYTES(selector, 0, LIMIT_SELECTOR_BYTES),
	},
};
/* clang-format on */

struct head {
	uint32_t magic;
	uint32_t type;
	uint64_t id;
};

static const void *member(const struct wire_msg *msg, const struct field *f)
{
	return (const char *)msg + f->offset;
}

static enum err encode_field(const struct wire_msg *msg, const struct field *f, struct buf *out)
{
	struct slice bytes;
	uint32_t value = 0;

	switch (f->kind) {
	case KIND_U32:
		memcpy(&value, member(msg, f), sizeof(value));
		break;
	case KIND_BOOL:
		value = msg->wants_input;
		break;
	case KIND_ALG:
		value = msg->alg;
		break;
	case KIND_ERR:
		value = msg->error;
		break;
	case KIND_BYTES:
		memcpy(&bytes, member(msg, f), sizeof(bytes));
		if (bytes.len < f->min || bytes.len > f->max)
			return ERR_LIMIT;
		value = (uint32_t)bytes.len;
		buf_add(out, slice_of(&value, sizeof(value)));
		buf_add(out, bytes);
		return ERR_OK;
	case KIND_END:
		return ERR_INTERNAL;
	}
	buf_add(out, slice_of(&value, sizeof(value)));
	return ERR_OK;
}

enum err wire_encode(const struct wire_msg *msg, struct buf *out)
{
	const struct head head = { WIRE_MAGIC, msg->type, msg->id };
	enum err e = ERR_OK;

	buf_add(out, slice_of(&head, sizeof(head)));
	for (const struct field *f = fields[msg->type]; f->kind != KIND_END && e == ERR_OK; f++)
		e = encode_field(msg, f, out);
	return e != ERR_OK ? e : out->error;
}

static bool take(struct slice *rest, void *to, size_t len)
{
	if (rest->len < len)
		return false;
	memcpy(to, rest->ptr, len);
	*rest = slice_sub(*rest, len, rest->len);
	return true;
}

static bool decode_field(struct slice *rest, const struct field *f, struct wire_msg *msg)
{
	struct slice bytes;
	uint32_t value;

	if (!take(rest, &value, sizeof(value)))
		return false;
	switch (f->kind) {
	case KIND_U32:
		memcpy((char *)msg + f->offset, &value, sizeof(value));
		return true;
	case KIND_BOOL:
		msg->wants_input = value == 1;
		return value <= 1;
	case KIND_ALG:
		msg->alg = (enum dkim_alg)value;
		return value < DKIM_ALG_COUNT;
	case KIND_ERR:
		msg->error = (enum err)value;
		return value > ERR_OK && value < ERR_COUNT;
	case KIND_BYTES:
		if (value < f->min || value > f->max || value > rest->len)
			return false;
		bytes = slice_sub(*rest, 0, value);
		memcpy((char *)msg + f->offset, &bytes, sizeof(bytes));
		*rest = slice_sub(*rest, value, rest->len);
		return true;
	case KIND_END:
		break;
	}
	return false;
}

enum err wire_decode(struct slice packet, struct wire_msg *ret_msg)
{
	struct wire_msg msg = { 0 };
	struct head head;

	if (!take(&packet, &head, sizeof(head)) || head.magic != WIRE_MAGIC ||
	    head.type < WIRE_OPEN || head.type > WIRE_FAILED)
		return ERR_PROTOCOL;
	msg.type = (enum wire_type)head.type;
	msg.id = head.id;
	for (const struct field *f = fields[msg.type]; f->kind != KIND_END; f++)
		if (!decode_field(&packet, f, &msg))
			return ERR_PROTOCOL;
	if (packet.len != 0)
		return ERR_PROTOCOL;
	*ret_msg = msg;
	return ERR_OK;
}
