/* Key records. */
#include "dkim/keyrec.h"

#include "base/base64.h"
#include "base/limits.h"
#include "dkim/rsader.h"
#include "dkim/taglist.h"

#define EXPONENT_BITS_MAX 64u
#define ED25519_BYTES 32u

/* @return true: the colon list has this word */
static bool list_has(struct slice list, struct slice word)
{
	struct slice item;

	while (slice_next(&list, ':', &item))
		if (slice_ieq(slice_trim(item), word))
			return true;
	return false;
}

/* v= must be the first tag when it is there. */
static bool version_valid(const struct taglist *list)
{
	const struct tag *v = taglist_find(list, "v");

	return v == NULL || (v == &list->tags[0] && slice_eq(v->value, SLICE_LIT("DKIM1")));
}

static bool read_type(const struct taglist *list, enum key_type *ret_type)
{
	const struct tag *k = taglist_find(list, "k");

	*ret_type = KEY_TYPE_RSA;
	if (k == NULL)
		return true;
	for (unsigned i = 0; i < DKIM_ALG_COUNT; i++) {
		const struct dkim_alg_info *info = dkim_alg_info((enum dkim_alg)i);

		if (slice_ieq(k->value, info->key_name)) {
			*ret_type = info->key_type;
			return true;
		}
	}
	return false;
}

static enum dkim_reason read_data(struct arena *arena, const struct taglist *list,
				  struct slice *ret_data)
{
	const struct tag *p = taglist_find(list, "p");
	uint8_t *bytes;
	size_t len = 0;
	size_t room;

	if (p == NULL)
		return DKIM_REASON_KEY_NO_DATA;
	if (p->value.len == 0)
		return DKIM_REASON_KEY_REVOKED;
	room = p->value.len / 4 * 3 + 3;
	bytes = arena_alloc(arena, room);
	if (bytes == NULL)
		return DKIM_REASON_INTERNAL;
	if (base64_decode(p->value, BASE64_SKIP_FWS, bytes, room, &len) != ERR_OK)
		return DKIM_REASON_KEY_DATA;
	*ret_data = slice_of(bytes, len);
	return DKIM_REASON_GOOD;
}

static enum dkim_reason read_record(struct arena *arena, const struct taglist *list,
				    struct keyrec *record)
{
	const struct tag *service = taglist_find(list, "s");
	const struct tag *flags = taglist_find(list, "t");
	const struct tag *hashes = taglist_find(list, "h");

	if (!version_valid(list))
		return DKIM_REASON_KEY_VERSION;
	if (flags != NULL) {
		record->testing = list_has(flags->value, SLICE_LIT("y"));
		record->strict = list_has(flags->value, SLICE_LIT("s"));
	}
	record->has_hashes = hashes != NULL;
	if (hashes != NULL)
		record->hashes = hashes->value;
	if (!read_type(list, &record->type))
		return DKIM_REASON_KEY_TYPE;
	if (service != NULL && !list_has(service->value, SLICE_LIT("*")) &&
	    !list_has(service->value, SLICE_LIT("email")))
		return DKIM_REASON_KEY_SERVICE;
	return read_data(arena, list, &record->data);
}

enum dkim_reason keyrec_parse(struct arena *arena, struct slice text, struct keyrec *ret_record)
{
	struct taglist list;

	*ret_record = (struct keyrec){ .type = KEY_TYPE_RSA };
	if (text.len > LIMIT_KEY_RECORD_BYTES || taglist_parse(text, &list) != ERR_OK ||
	    list.count == 0)
		return DKIM_REASON_KEY_SYNTAX;
	return read_record(arena, &list, ret_record);
}

/* Whether a record means to be a key: it says so, or it has a p=. Read as far as it can be. */
static bool is_key_record(struct slice text)
{
	struct taglist list;
	const struct tag *v;

	if (text.len > LIMIT_KEY_RECORD_BYTES)
		return false;
	if (taglist_parse(text, &list) != ERR_OK && list.count == 0)
		return false;
	v = taglist_find(&list, "v");
	return v != NULL ? slice_istarts(v->value, SLICE_LIT("DKIM"))
			 : taglist_find(&list, "p") != NULL;
}

enum dkim_reason keyrec_select(struct arena *arena, const struct slice *records, size_t count,
			       struct keyrec *ret_record)
{
	size_t chosen = count;

	*ret_record = (struct keyrec){ .type = KEY_TYPE_RSA };
	if (count == 1)
		return keyrec_parse(arena, records[0], ret_record);
	for (size_t i = 0; i < count; i++) {
		if (!is_key_record(records[i]))
			continue;
		if (chosen != count)
			return DKIM_REASON_KEY_MULTIPLE;
		chosen = i;
	}
	if (chosen == count)
		return DKIM_REASON_KEY_SYNTAX;
	return keyrec_parse(arena, records[chosen], ret_record);
}

enum dkim_reason keyrec_allows(const struct keyrec *record, enum dkim_alg alg)
{
	const struct dkim_alg_info *info = dkim_alg_info(alg);

	if (record->type != info->key_type)
		return DKIM_REASON_KEY_TYPE_MISMATCH;
	if (record->has_hashes && !list_has(record->hashes, info->hash_name))
		return DKIM_REASON_KEY_HASH;
	return DKIM_REASON_GOOD;
}

/* Cheap checks on the numbers, before a library computes with them. */
static enum dkim_reason check_rsa(const struct rsa_numbers *rsa, const struct dkim_alg_info *info,
				  unsigned min_bits, unsigned *ret_bits)
{
	size_t bits = rsader_bits(rsa->modulus);
	unsigned char modulus_end = (unsigned char)rsa->modulus.ptr[rsa->modulus.len - 1];
	unsigned char exponent_end = (unsigned char)rsa->exponent.ptr[rsa->exponent.len - 1];

	*ret_bits = (unsigned)bits;
	if (bits < info->min_bits)
		return DKIM_REASON_KEY_WEAK;
	if (bits > info->max_bits)
		return DKIM_REASON_KEY_LARGE;
	if (bits < min_bits)
		return DKIM_REASON_KEY_SMALL;
	if (rsader_bits(rsa->exponent) > EXPONENT_BITS_MAX || rsader_bits(rsa->exponent) < 2 ||
	    (exponent_end & 1) == 0 || (modulus_end & 1) == 0)
		return DKIM_REASON_KEY_DATA;
	return DKIM_REASON_GOOD;
}

static enum dkim_reason made(enum err e)
{
	if (e == ERR_OK)
		return DKIM_REASON_GOOD;
	return e == ERR_NOMEM ? DKIM_REASON_INTERNAL : DKIM_REASON_KEY_DATA;
}

/*
 * The points of order 1, 2, 4 and 8 in every encoding, without the sign of x. With such a key
 * anyone can write a signature that is good, as with an RSA exponent of 1: libraries compute, and
 * ask no more (RFC 8032 section 5.1.7 does not either).
 */
static bool ed25519_is_weak(struct slice point)
{
	static const unsigned char weak[][ED25519_BYTES] = {
		{ 0 },
		{ 1 },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
		  0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
		  0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
		  0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
		  0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	};
	unsigned char last = (unsigned char)point.ptr[ED25519_BYTES - 1] & 0x7f;

	for (size_t i = 0; i < ARRAY_LEN(weak); i++)
		if (last == weak[i][ED25519_BYTES - 1] &&
		    memcmp(point.ptr, weak[i], ED25519_BYTES - 1) == 0)
			return true;
	return false;
}

enum dkim_reason keyrec_pubkey(const struct keyrec *record, enum dkim_alg alg, unsigned min_bits,
			       struct pubkey **ret_key, unsigned *ret_bits)
{
	const struct dkim_alg_info *info = dkim_alg_info(alg);
	struct rsa_numbers rsa;
	enum dkim_reason reason;

	if (record->type == KEY_TYPE_ED25519) {
		if (record->data.len != ED25519_BYTES || ed25519_is_weak(record->data))
			return DKIM_REASON_KEY_DATA;
		*ret_bits = info->max_bits;
		return made(pubkey_from_ed25519(record->data, ret_key));
	}
	if (!rsader_parse(record->data, &rsa))
		return DKIM_REASON_KEY_DATA;
	reason = check_rsa(&rsa, info, min_bits, ret_bits);
	if (reason != DKIM_REASON_GOOD)
		return reason;
	return made(pubkey_from_rsa(rsa.modulus, rsa.exponent, ret_key));
}
