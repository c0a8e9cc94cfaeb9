/* Key records, read leniently. */
#include "tools/keyrecord.h"

#include "base/base64.h"
#include "base/limits.h"

static void take_tag(struct slice part, bool is_first, struct keyrecord_tags *tags)
{
	size_t equals = slice_find(part, '=');
	struct slice name = slice_trim(slice_sub(part, 0, equals));
	struct slice *value;

	if (equals == part.len) {
		tags->broken = true;
		return;
	}
	if (name.len != 1 || name.ptr[0] < 'a' || name.ptr[0] > 'z')
		return;
	value = &tags->value[name.ptr[0] - 'a'];
	if (value->ptr != NULL)
		tags->broken = true;
	*value = slice_trim(slice_sub(part, equals + 1, part.len));
	if (is_first)
		tags->first = name.ptr[0];
}

void keyrecord_parse(struct slice text, struct keyrecord_tags *ret_tags)
{
	struct slice rest = text;
	struct slice part;
	struct slice type;
	bool is_first = true;

	*ret_tags = (struct keyrecord_tags){ .first = 0 };
	while (slice_next(&rest, ';', &part)) {
		if (rest.ptr == NULL && slice_trim(part).len == 0)
			break; /* behind the last ';' */
		take_tag(part, is_first, ret_tags);
		is_first = false;
	}
	if (is_first)
		ret_tags->broken = true;
	type = keyrecord_has_tag(ret_tags, 'k') ? ret_tags->value['k' - 'a'] : SLICE_LIT("rsa");
	ret_tags->type = slice_ieq(type, SLICE_LIT("ed25519")) ? KEY_TYPE_ED25519 : KEY_TYPE_RSA;
	ret_tags->type_known =
		ret_tags->type == KEY_TYPE_ED25519 || slice_ieq(type, SLICE_LIT("rsa"));
}

bool keyrecord_has_tag(const struct keyrecord_tags *tags, char letter)
{
	return tags->value[letter - 'a'].ptr != NULL;
}

bool keyrecord_lists(const struct keyrecord_tags *tags, char letter, struct slice word)
{
	struct slice rest = tags->value[letter - 'a'];
	struct slice part;

	if (rest.ptr == NULL)
		return true;
	while (slice_next(&rest, ':', &part))
		if (slice_ieq(slice_trim(part), word))
			return true;
	return false;
}

void keyrecord_add_without_blanks(struct slice value, struct buf *out)
{
	for (size_t i = 0; i < value.len; i++)
		if (!ch_is_fws(value.ptr[i]))
			buf_add_ch(out, value.ptr[i]);
}

enum dkim_reason keyrecord_key(const struct keyrecord_tags *tags, struct slice p,
			       struct pubtext *ret_key, enum weakkey *ret_weak)
{
	AUTO(pubkey_free) struct pubkey *key = NULL;
	uint8_t bytes[LIMIT_KEY_RECORD_BYTES];
	struct keyrec record = { .type = tags->type };
	struct rsa_numbers rsa;
	unsigned bits = 0;
	size_t len = 0;
	enum dkim_reason reason;

	*ret_weak = WEAKKEY_NONE;
	if (base64_decode(p, BASE64_NO_BLANKS, bytes, sizeof(bytes), &len) != ERR_OK)
		return DKIM_REASON_KEY_DATA;
	record.data = slice_of(bytes, len);
	if (tags->type == KEY_TYPE_RSA && rsader_parse(record.data, &rsa))
		*ret_weak = weakkey_judge(&rsa);
	reason = keyrec_pubkey(
		&record, tags->type == KEY_TYPE_RSA ? DKIM_ALG_RSA_SHA256 : DKIM_ALG_ED25519_SHA256,
		0, &key, &bits);
	if (reason == DKIM_REASON_GOOD && pubtext_from_pubkey(key, ret_key) != ERR_OK)
		reason = DKIM_REASON_INTERNAL;
	return reason;
}
