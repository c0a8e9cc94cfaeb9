/* PKCS#11 URIs: our checks, then p11-kit's parser. */
#include "pkcs11/uri_priv.h"

#include "base/limits.h"

#include <p11-kit/uri.h>
#include <stdlib.h>

struct p11_uri {
	P11KitUri *kit;
	char *text;
	struct slice label; /* borrowed from kit */
	struct slice id;
};

/* Every attribute that may stand in the path of a URI of ours, and in which URI. */
static const struct {
	struct slice name;
	bool in_key;
	bool in_token;
} attributes[] = {
	{ SLICE_INIT("token"), true, true },
	{ SLICE_INIT("manufacturer"), true, true },
	{ SLICE_INIT("serial"), true, true },
	{ SLICE_INIT("model"), true, true },
	{ SLICE_INIT("slot-id"), true, true },
	{ SLICE_INIT("slot-description"), true, true },
	{ SLICE_INIT("slot-manufacturer"), true, true },
	{ SLICE_INIT("library-manufacturer"), true, true },
	{ SLICE_INIT("library-description"), true, true },
	{ SLICE_INIT("library-version"), true, true },
	{ SLICE_INIT("object"), true, false },
	{ SLICE_INIT("id"), true, false },
	{ SLICE_INIT("type"), true, false },
	/* known, so that the message can say why not */
	{ SLICE_INIT("module-path"), false, false },
	{ SLICE_INIT("module-name"), false, false },
	{ SLICE_INIT("pin-source"), false, false },
	{ SLICE_INIT("pin-value"), false, false },
};

struct checker {
	enum p11_uri_use use;
	bool seen[ARRAY_LEN(attributes)];
	struct err_detail *detail;
};

/* A NUL in a name would end it early somewhere; ids are bytes of any kind. */
static bool holds_nul(struct slice value)
{
	for (size_t i = 0; i + 2 < value.len; i++)
		if (value.ptr[i] == '%' && value.ptr[i + 1] == '0' && value.ptr[i + 2] == '0')
			return true;
	return false;
}

static enum err check_value(const struct checker *c, struct slice name, struct slice value)
{
	if (value.len == 0) {
		err_detail_set(c->detail, "%.*s= is empty", SLICE_FMT(name));
		return ERR_SYNTAX;
	}
	if (!slice_eq(name, SLICE_LIT("id")) && holds_nul(value)) {
		err_detail_set(c->detail, "%.*s= holds %%00", SLICE_FMT(name));
		return ERR_SYNTAX;
	}
	if (slice_eq(name, SLICE_LIT("type")) && !slice_eq(value, SLICE_LIT("private"))) {
		err_detail_set(c->detail,
			       "type=%.*s: a signing key is type=private (or leave type out)",
			       SLICE_FMT(value));
		return ERR_SYNTAX;
	}
	return ERR_OK;
}

static enum err check_known(struct checker *c, size_t i, struct slice value)
{
	struct slice name = attributes[i].name;

	if (!(c->use == P11_URI_TOKEN ? attributes[i].in_token : attributes[i].in_key)) {
		err_detail_set(c->detail,
			       "%.*s is not allowed here: modules and PINs are named in the "
			       "TokenTable, PKCS11Module and PKCS11PinSource, keys in the KeyTable",
			       SLICE_FMT(name));
		return ERR_DENIED;
	}
	if (c->seen[i]) {
		err_detail_set(c->detail, "%.*s stands twice", SLICE_FMT(name));
		return ERR_SYNTAX;
	}
	c->seen[i] = true;
	return check_value(c, name, value);
}

static enum err check_attribute(struct checker *c, struct slice text)
{
	size_t eq = slice_find(text, '=');
	struct slice name = slice_sub(text, 0, eq);

	if (eq == text.len) {
		err_detail_set(c->detail, "\"%.*s\" is not NAME=VALUE", SLICE_FMT(text));
		return ERR_SYNTAX;
	}
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if (slice_eq(name, attributes[i].name))
			return check_known(c, i, slice_sub(text, eq + 1, text.len));
	err_detail_set(c->detail, "unknown attribute \"%.*s\" (names are lower case)",
		       SLICE_FMT(name));
	return ERR_SYNTAX;
}

/* Characters that p11-kit drops or takes into a value in silence. */
static enum err check_characters(struct slice text, struct err_detail *detail)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.ptr[i];

		if (ch > ' ' && ch < 0x7f && ch != '#' && ch != '"')
			continue;
		err_detail_set(detail, "character 0x%02x in the URI: write %%%02X", ch, ch);
		return ERR_SYNTAX;
	}
	return ERR_OK;
}

/* What stands behind a '?' says how to reach a token: no business of a table of keys. */
static enum err check_query(struct checker *c, struct slice query)
{
	struct slice part;

	while (slice_next(&query, '&', &part)) {
		enum err e = check_attribute(c, part);

		if (e != ERR_OK)
			return e;
	}
	err_detail_set(c->detail, "attributes stand before the '?', and nothing behind it");
	return ERR_SYNTAX;
}

static enum err check_text(struct slice text, enum p11_uri_use use, struct err_detail *detail)
{
	struct checker c = { .use = use, .detail = detail };
	struct slice rest = slice_sub(text, strlen("pkcs11:"), text.len);
	size_t mark = slice_find(rest, '?');
	struct slice path = slice_sub(rest, 0, mark);
	struct slice part;
	enum err e = check_characters(text, detail);

	if (e == ERR_OK && slice_find(path, '&') != path.len) {
		err_detail_set(
			detail,
			"'&' in the path: attributes are separated by ';' (a real & is %%26)");
		e = ERR_SYNTAX;
	}
	while (e == ERR_OK && slice_next(&path, ';', &part))
		e = check_attribute(&c, part);
	if (e == ERR_OK && mark < rest.len)
		e = check_query(&c, slice_sub(rest, mark + 1, rest.len));
	return e;
}

static struct slice attribute(P11KitUri *kit, CK_ATTRIBUTE_TYPE type)
{
	const CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(kit, type);

	return a != NULL ? slice_of(a->pValue, a->ulValueLen) : slice_of(NULL, 0);
}

static enum err parse_kit(struct p11_uri *uri, struct err_detail *detail)
{
	int rc = p11_kit_uri_parse(uri->text, P11_KIT_URI_FOR_ANY, uri->kit);

	if (rc != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(uri->kit)) {
		err_detail_set(detail, "%s",
			       rc != P11_KIT_URI_OK ? p11_kit_uri_message(rc)
						    : "a value is not valid");
		return ERR_SYNTAX;
	}
	uri->label = attribute(uri->kit, CKA_LABEL);
	uri->id = attribute(uri->kit, CKA_ID);
	return ERR_OK;
}

static enum err fill(struct p11_uri *uri, struct slice text, enum p11_uri_use use,
		     struct err_detail *detail)
{
	enum err e;

	uri->text = slice_dup(text);
	uri->kit = p11_kit_uri_new();
	if (uri->text == NULL || uri->kit == NULL)
		return ERR_NOMEM;
	e = parse_kit(uri, detail);
	if (e == ERR_OK && use == P11_URI_KEY && uri->label.ptr == NULL && uri->id.ptr == NULL) {
		err_detail_set(detail, "the URI names no key: add object=LABEL or id=%%01");
		e = ERR_SYNTAX;
	}
	return e;
}

enum err p11_uri_parse(struct slice text, enum p11_uri_use use, struct p11_uri **ret_uri,
		       struct err_detail *detail)
{
	struct p11_uri *uri;
	enum err e;

	if (!slice_starts(text, SLICE_LIT("pkcs11:"))) {
		err_detail_set(detail, "a PKCS#11 URI starts with pkcs11:");
		return ERR_SYNTAX;
	}
	if (text.len > LIMIT_URI_BYTES) {
		err_detail_set(detail, "a URI of more than %u bytes", LIMIT_URI_BYTES);
		return ERR_LIMIT;
	}
	e = check_text(text, use, detail);
	if (e != ERR_OK)
		return e;
	uri = calloc(1, sizeof(*uri));
	e = uri != NULL ? fill(uri, text, use, detail) : ERR_NOMEM;
	if (e != ERR_OK) {
		p11_uri_free(&uri);
		return e;
	}
	*ret_uri = uri;
	return ERR_OK;
}

void p11_uri_free(struct p11_uri **uri)
{
	if (uri == NULL || *uri == NULL)
		return;
	if ((*uri)->kit != NULL)
		p11_kit_uri_free((*uri)->kit);
	free((*uri)->text);
	free(*uri);
	*uri = NULL;
}

const char *p11_uri_text(const struct p11_uri *uri)
{
	return uri->text;
}

struct slice p11_uri_label(const struct p11_uri *uri)
{
	return uri->label;
}

struct slice p11_uri_id(const struct p11_uri *uri)
{
	return uri->id;
}

bool p11_uri_matches(const struct p11_uri *uri, CK_SLOT_ID slot, const CK_SLOT_INFO *slot_info,
		     const CK_TOKEN_INFO *token)
{
	CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri->kit);

	return (wanted == (CK_SLOT_ID)-1 || wanted == slot) &&
	       p11_kit_uri_match_slot_info(uri->kit, slot_info) == 1 &&
	       p11_kit_uri_match_token_info(uri->kit, token) == 1;
}
