/* PKCS#11 URIs: a key URI that is accepted names a key, a token URI never does. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "pkcs11/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_key(struct slice text)
{
	struct p11_uri *uri = NULL;
	struct p11_uri *again = NULL;
	struct err_detail detail = { "" };

	if (p11_uri_parse(text, P11_URI_KEY, &uri, &detail) != ERR_OK) {
		check(uri == NULL);
		return;
	}
	check(p11_uri_label(uri).len != 0 || p11_uri_id(uri).len != 0);
	check(slice_find(p11_uri_label(uri), '\0') == p11_uri_label(uri).len);
	check(slice_eq(slice_str(p11_uri_text(uri)), text));
	check(p11_uri_parse(slice_str(p11_uri_text(uri)), P11_URI_KEY, &again, NULL) == ERR_OK);
	check(slice_eq(p11_uri_label(uri), p11_uri_label(again)));
	check(slice_eq(p11_uri_id(uri), p11_uri_id(again)));
	p11_uri_free(&uri);
	p11_uri_free(&again);
}

static void check_token(struct slice text)
{
	struct p11_uri *uri = NULL;

	if (p11_uri_parse(text, P11_URI_TOKEN, &uri, NULL) != ERR_OK)
		return;
	check(p11_uri_label(uri).ptr == NULL && p11_uri_id(uri).ptr == NULL);
	p11_uri_free(&uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_key(slice_of(data, size));
	check_token(slice_of(data, size));
	return 0;
}
