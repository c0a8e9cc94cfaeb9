/* Public keys as key records have them. */
#include "tools/pubtext.h"

#include "base/base64.h"

#define ED25519_BYTES 32U
/* p= of an 8192-bit key is below 1.5 KB. */
#define PUBTEXT_BYTES_MAX 8192U

void pubtext_done(struct pubtext *text)
{
	if (text != NULL)
		buf_done(&text->p);
}

enum err pubtext_from_pubkey(const struct pubkey *key, struct pubtext *ret_text)
{
	struct pubtext text = { .type = pubkey_type(key), .bits = pubkey_bits(key) };
	struct slice bytes = pubkey_spki(key);

	/* An Ed25519 SubjectPublicKeyInfo ends with the key itself (RFC 8410 section 4). */
	if (text.type == KEY_TYPE_ED25519)
		bytes = slice_sub(bytes, bytes.len - ED25519_BYTES, bytes.len);
	buf_init(&text.p, PUBTEXT_BYTES_MAX);
	base64_encode(bytes, &text.p);
	if (text.p.error != ERR_OK) {
		enum err e = text.p.error;

		pubtext_done(&text);
		return e;
	}
	*ret_text = text;
	return ERR_OK;
}
