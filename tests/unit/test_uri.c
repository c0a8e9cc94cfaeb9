/* pkcs11/uri: what RFC 7512 and we allow is read; what p11-kit would let pass is refused by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "pkcs11/uri.h"
#include "pkcs11/uri_priv.h"

struct good {
	enum p11_uri_use use;
	const char *text;
	const char *label; /* NULL: not there */
	const char *id;
};

static const struct good goods[] = {
	{ P11_URI_KEY, "pkcs11:object=a", "a", NULL },
	{ P11_URI_KEY, "pkcs11:id=%01", NULL, "\x01" },
	{ P11_URI_KEY, "pkcs11:id=01", NULL, "01" },
	{ P11_URI_KEY, "pkcs11:token=Mail%20A;object=mail%3b1;id=%ff%0A", "mail;1", "\xff\x0a" },
	{ P11_URI_KEY, "pkcs11:serial=12;type=private;object=x", "x", NULL },
	{ P11_URI_KEY, "pkcs11:slot-id=3;object=x", "x", NULL },
	{ P11_URI_KEY, "pkcs11:object=%C3%A4", "\xc3\xa4", NULL },
	{ P11_URI_KEY, "pkcs11:object=a%26b", "a&b", NULL },
	{ P11_URI_KEY, "pkcs11:manufacturer=M;model=X;object=k", "k", NULL },
	{ P11_URI_TOKEN, "pkcs11:token=dkim", NULL, NULL },
	{ P11_URI_TOKEN, "pkcs11:serial=12;slot-description=r;library-version=3.1", NULL, NULL },
};

static void what_is_allowed_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		const struct good *g = &goods[i];
		AUTO(p11_uri_free) struct p11_uri *uri = NULL;
		struct err_detail detail = { "" };
		enum err err = p11_uri_parse(slice_str(g->text), g->use, &uri, &detail);

		if (err != ERR_OK)
			fail_msg("%s: %s", g->text, detail.text);
		assert_string_equal(p11_uri_text(uri), g->text);
		if (g->use != P11_URI_KEY)
			continue;
		assert_int_equal(p11_uri_label(uri).ptr != NULL, g->label != NULL);
		assert_true(slice_eq(p11_uri_label(uri), slice_str(g->label)));
		assert_int_equal(p11_uri_id(uri).ptr != NULL, g->id != NULL);
		assert_true(slice_eq(p11_uri_id(uri), slice_str(g->id)));
	}
}

struct bad {
	enum p11_uri_use use;
	const char *text;
	const char *names; /* what the message must hold */
};

static const struct bad bads[] = {
	{ P11_URI_KEY, "", "pkcs11:" },
	{ P11_URI_KEY, "file:/x", "pkcs11:" },
	{ P11_URI_KEY, "pkcs11:", "" },
	{ P11_URI_KEY, "pkcs11:;object=x",
	  "" }, /* p11-kit reads no attribute: every key would match */
	{ P11_URI_KEY, "pkcs11:object=x;", "" },
	{ P11_URI_KEY, "pkcs11:object=", "object" },
	{ P11_URI_KEY, "pkcs11:id=", "id" },
	{ P11_URI_KEY, "pkcs11:token=", "token" },
	{ P11_URI_KEY, "pkcs11:token=t", "object" },
	{ P11_URI_KEY, "pkcs11:object=a;object=b", "twice" },
	{ P11_URI_KEY, "pkcs11:id=%01;id=%02", "twice" },
	{ P11_URI_KEY, "pkcs11:object=a b", "0x20" },
	{ P11_URI_KEY, "pkcs11:object=a\tb", "0x09" },
	{ P11_URI_KEY, "pkcs11:object=a#b", "0x23" },
	{ P11_URI_KEY, "pkcs11:object=a&id=%01", "&" },
	{ P11_URI_KEY, "pkcs11:object=\xc3\xa4", "0xc3" },
	{ P11_URI_KEY, "pkcs11:object=%00", "" },
	{ P11_URI_KEY, "pkcs11:object=a%00b", "" },
	{ P11_URI_KEY, "pkcs11:object=a%4", "" },
	{ P11_URI_KEY, "pkcs11:object=a%zz", "" },
	{ P11_URI_KEY, "pkcs11:Object=a", "Object" },
	{ P11_URI_KEY, "pkcs11:colour=red;object=a", "colour" },
	{ P11_URI_KEY, "pkcs11:object", "object" },
	{ P11_URI_KEY, "pkcs11:object=a;type=public", "type" },
	{ P11_URI_KEY, "pkcs11:object=a;type=cert", "type" },
	{ P11_URI_KEY, "pkcs11:object=a;pin-value=1234", "pin-value" },
	{ P11_URI_KEY, "pkcs11:object=a?pin-value=1234", "pin-value" },
	{ P11_URI_KEY, "pkcs11:object=a?pin-source=file:/x", "pin-source" },
	{ P11_URI_KEY, "pkcs11:object=a?module-path=/x.so", "module-path" },
	{ P11_URI_KEY, "pkcs11:object=a?module-name=x", "module-name" },
	{ P11_URI_KEY, "pkcs11:object=a?colour=red", "colour" },
	{ P11_URI_KEY, "pkcs11:object=a?", "NAME=VALUE" },
	{ P11_URI_KEY, "pkcs11:object=a?token=t", "'?'" },
	{ P11_URI_TOKEN, "pkcs11:token=t?pin-source=|cat", "pin-source" },
	{ P11_URI_TOKEN, "pkcs11:token=t?module-path=/x.so", "module-path" },
	{ P11_URI_TOKEN, "pkcs11:token=t;pin-value=1234", "pin-value" },
	{ P11_URI_TOKEN, "pkcs11:token=t;token=u", "twice" },
	{ P11_URI_TOKEN, "pkcs11:token=t;object=x", "object" },
	{ P11_URI_TOKEN, "pkcs11:token=t;slot-id=x", "" },
};

static void what_is_not_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		struct p11_uri *uri = NULL;
		struct err_detail detail = { "" };
		enum err err = p11_uri_parse(slice_str(bads[i].text), bads[i].use, &uri, &detail);

		if (err == ERR_OK)
			fail_msg("accepted: %s", bads[i].text);
		assert_null(uri);
		assert_int_equal(err_class(err), ERR_CLASS_PERM);
		if (detail.text[0] == '\0' || strstr(detail.text, bads[i].names) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", bads[i].text, detail.text,
				 bads[i].names);
		assert_null(strstr(detail.text, "1234")); /* a PIN is not shown */
	}
}

static void a_uri_is_bounded(void **state)
{
	char text[LIMIT_URI_BYTES + 2];
	struct p11_uri *uri = NULL;
	size_t head;

	(void)state;
	memset(text, 'a', sizeof(text));
	head = strlen("pkcs11:object=");
	memcpy(text, "pkcs11:object=", head);
	assert_int_equal(p11_uri_parse(slice_of(text, LIMIT_URI_BYTES), P11_URI_KEY, &uri, NULL),
			 ERR_OK);
	p11_uri_free(&uri);
	assert_int_equal(
		p11_uri_parse(slice_of(text, LIMIT_URI_BYTES + 1), P11_URI_KEY, &uri, NULL),
		ERR_LIMIT);
}

static void pad(CK_UTF8CHAR *to, size_t size, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < size; i++)
		to[i] = i < len ? (CK_UTF8CHAR)text[i] : ' ';
}

static bool matches(const char *text)
{
	AUTO(p11_uri_free) struct p11_uri *uri = NULL;
	CK_SLOT_INFO slot;
	CK_TOKEN_INFO token;

	memset(&slot, 0, sizeof(slot));
	memset(&token, 0, sizeof(token));
	pad(slot.slotDescription, sizeof(slot.slotDescription), "reader");
	pad(slot.manufacturerID, sizeof(slot.manufacturerID), "maker");
	pad(token.label, sizeof(token.label), "Mail A");
	pad(token.serialNumber, sizeof(token.serialNumber), "0042");
	pad(token.model, sizeof(token.model), "m1");
	pad(token.manufacturerID, sizeof(token.manufacturerID), "acme");
	assert_int_equal(p11_uri_parse(slice_str(text), P11_URI_KEY, &uri, NULL), ERR_OK);
	return p11_uri_matches(uri, 5, &slot, &token);
}

static void a_token_is_matched_without_its_padding(void **state)
{
	(void)state;
	assert_true(matches("pkcs11:object=x"));
	assert_true(matches("pkcs11:token=Mail%20A;object=x"));
	assert_true(
		matches("pkcs11:token=Mail%20A;serial=0042;model=m1;manufacturer=acme;object=x"));
	assert_true(matches("pkcs11:slot-id=5;slot-description=reader;object=x"));
	assert_false(matches("pkcs11:token=Mail;object=x"));
	assert_false(matches("pkcs11:token=mail%20a;object=x"));
	assert_false(matches("pkcs11:serial=42;object=x"));
	assert_false(matches("pkcs11:slot-id=6;object=x"));
	assert_false(matches("pkcs11:slot-manufacturer=other;object=x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_allowed_is_read),
		cmocka_unit_test(what_is_not_is_refused_by_name),
		cmocka_unit_test(a_uri_is_bounded),
		cmocka_unit_test(a_token_is_matched_without_its_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
