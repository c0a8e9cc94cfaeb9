/* A key record taken apart leniently: enough of a broken one to say what broke it. The key itself
 * is read by dkim/keyrec.h, which verifying uses, and which is strict about the rest. */
#ifndef TOOLS_KEYRECORD_H
#define TOOLS_KEYRECORD_H

#include "base/buf.h"
#include "base/slice.h"
#include "dkim/keyrec.h"
#include "tools/pubtext.h"
#include "tools/weakkey.h"

struct keyrecord_tags {
	struct slice value[26]; /**< of the one-letter tags; ptr is NULL when it is not there */
	char first;		/**< the first tag's letter; 0 when it is longer or broken */
	bool broken;		/**< a part without '=', or a tag that comes twice */
	bool type_known;	/**< k= is rsa (also by default) or ed25519 */
	enum key_type type;
};

/** All slices borrow from text. */
void keyrecord_parse(struct slice text, struct keyrecord_tags *ret_tags);

bool keyrecord_has_tag(const struct keyrecord_tags *tags, char letter);

/** True when the tag's colon list holds word, or when the tag is not there (its default is all). */
bool keyrecord_lists(const struct keyrecord_tags *tags, char letter, struct slice word);

/** value without space, tab, CR, LF. */
void keyrecord_add_without_blanks(struct slice value, struct buf *out);

/**
 * p= (base64 without blanks) as a key, as a verifier reads it (dkim/keyrec.h).
 * @param ret_weak judged as soon as an RSA key's numbers can be read, also when it is no GOOD one
 */
NODISCARD enum dkim_reason keyrecord_key(const struct keyrecord_tags *tags, struct slice p,
					 struct pubtext *ret_key, enum weakkey *ret_weak);

#endif
