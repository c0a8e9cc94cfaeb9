/* What a KeyTable row says, and what it may not say. */
#include "keytable/keyref.h"

#include "base/alg.h"
#include "base/limits.h"
#include "base/text.h"
#include "dkim/address.h"

/* The shortest private key, an Ed25519 PKCS#8, has 64 characters of base64. */
#define INLINE_KEY_BYTES_MIN 64

static enum err bad(struct err_detail *detail, const char *what, struct slice shown_text,
		    const char *mend)
{
	char shown[120];

	err_detail_set(detail, "%s '%s' %s", what, text_sanitize(shown_text, shown, sizeof(shown)),
		       mend);
	return ERR_CONFIG;
}

/* "name=value" of a URI; *rest moves behind the next ';' (path) or '&' (query). */
static enum err check_attribute(struct slice attribute, struct err_detail *detail)
{
	static const struct slice forbidden[] = {
		SLICE_INIT("module-path"),
		SLICE_INIT("module-name"),
		SLICE_INIT("pin-value"),
		SLICE_INIT("pin-source"),
	};
	size_t equals = slice_find(attribute, '=');
	struct slice name = slice_sub(attribute, 0, equals);

	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
		if (slice_ieq(name, forbidden[i])) /* the value may be a PIN: not shown */
			return bad(detail, "pkcs11: URI names", name,
				   "which has no place with a key: modules and PINs stand in "
				   "TokenTable or in PKCS11Module and PKCS11PinSource");
	if (equals == attribute.len || equals == 0 || slice_find(name, '%') != name.len)
		return bad(detail, "pkcs11: URI: attribute", name, "must be name=value (RFC 7512)");
	return ERR_OK;
}

static enum err check_uri(struct slice uri, struct err_detail *detail)
{
	struct slice path = slice_sub(uri, slice_find(uri, ':') + 1, uri.len);
	size_t question = slice_find(path, '?');
	struct slice query = slice_sub(path, question + 1, path.len);
	struct slice attribute;

	if (uri.len > LIMIT_URI_BYTES)
		return bad(detail, "pkcs11: URI", slice_sub(uri, 0, 40),
			   "is longer than 2048 bytes");
	for (size_t i = 0; i < uri.len; i++)
		if ((unsigned char)uri.ptr[i] <= ' ' || (unsigned char)uri.ptr[i] >= 0x7f)
			return bad(detail, "pkcs11: URI", slice_sub(uri, 0, i),
				   "goes on with a blank or a byte that must be written as %XX");
	path = slice_sub(path, 0, question);
	if (path.len == 0)
		return bad(detail, "pkcs11: URI", slice_sub(uri, 0, 7),
			   "names no key; write token=...;object=... or id=...");
	while (slice_next(&path, ';', &attribute)) {
		enum err e = check_attribute(attribute, detail);

		if (e != ERR_OK)
			return e;
	}
	while (query.len != 0 && slice_next(&query, '&', &attribute)) {
		enum err e = check_attribute(attribute, detail);

		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static bool is_base64(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!ch_is_alpha(c) && !ch_is_digit(c) && c != '+' && c != '/' && c != '=' &&
		    !ch_is_fws(c))
			return false;
	}
	return true;
}

/* OpenDKIM 2.11's fourth field names the algorithm. The key decides it, so it is taken off. */
static struct slice strip_algorithm(struct slice ref)
{
	size_t colon = slice_rfind(ref, ':');
	enum dkim_alg alg;

	if (colon < ref.len && dkim_alg_find(slice_sub(ref, colon + 1, ref.len), &alg))
		return slice_sub(ref, 0, colon);
	return ref;
}

static enum err parse_ref(struct slice ref, struct keytable_row *row, struct err_detail *detail)
{
	row->ref = ref;
	if (slice_istarts(ref, SLICE_LIT("pkcs11:"))) {
		row->kind = KEYREF_URI;
		return check_uri(ref, detail);
	}
	if (slice_starts(ref, SLICE_LIT("/")) || slice_starts(ref, SLICE_LIT("./")) ||
	    slice_starts(ref, SLICE_LIT("../"))) {
		row->kind = KEYREF_FILE;
		return ERR_OK;
	}
	row->kind = KEYREF_PEM;
	if (slice_starts(ref, SLICE_LIT("-----BEGIN")) ||
	    (ref.len >= INLINE_KEY_BYTES_MIN && is_base64(ref)))
		return ERR_OK;
	if (ref.len == 0) {
		err_detail_set(detail, "the key is missing; write domain:selector:key");
		return ERR_CONFIG;
	}
	return bad(detail, "the key", slice_sub(ref, 0, 60),
		   "is neither a pkcs11: URI nor a path nor a PEM text; write an absolute path or "
		   "./name for a file (OpenDKIM would take it as a key in base64 and fail for "
		   "every message)");
}

enum err keyref_parse(struct slice value, struct keytable_row *row, struct err_detail *detail)
{
	size_t first = slice_find(value, ':');
	struct slice rest = slice_sub(value, first + 1, value.len);
	size_t second = slice_find(rest, ':');
	struct slice ref = slice_sub(rest, second + 1, rest.len);

	row->domain = slice_trim(slice_sub(value, 0, first));
	row->selector = slice_trim(slice_sub(rest, 0, second));
	if (first == value.len || second == rest.len)
		return bad(detail, "the value", slice_sub(value, 0, 60),
			   "is not domain:selector:key");
	if (!slice_eq(row->domain, SLICE_LIT("%")) && !dkim_domain_valid(row->domain))
		return bad(detail, "domain", row->domain,
			   "is neither a domain name nor % alone (the author's domain)");
	if (!dkim_domain_valid(row->selector))
		return bad(detail, "selector", row->selector,
			   "is not made of DNS labels (letters, digits, '-', '_', 63 bytes each)");
	return parse_ref(strip_algorithm(slice_trim(ref)), row, detail);
}
