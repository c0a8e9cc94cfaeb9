/* The PINs of one generation: see pins.h. */
#include "daemon/pins.h"

#include "base/limits.h"
#include "keytable/dataset.h"
#include "keytable/tokentable.h"

static const struct slice attribute = SLICE_INIT("pin-source=");

struct reading {
	const struct pinsource_rules *rules;
	struct files *files;
	enum err err;
	struct err_detail *detail;
};

static int hex_digit(char c)
{
	if (ch_is_digit(c))
		return c - '0';
	c = ch_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 7512: %xx in an attribute's value. @return false: it is not well-formed or does not fit */
static bool decode(struct slice value, char *out, size_t out_size, size_t *ret_len)
{
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (c == '%') {
			int high = i + 2 < value.len ? hex_digit(value.ptr[i + 1]) : -1;
			int low = i + 2 < value.len ? hex_digit(value.ptr[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (len == out_size)
			return false;
		out[len++] = c;
	}
	*ret_len = len;
	return true;
}

/* The value of pin-source= in the query part of the row's URI, NULL: it has none. */
static struct slice find_source(struct slice row)
{
	struct slice uri = slice_trim(row);
	struct slice query;
	struct slice one;

	for (size_t i = 0; i < uri.len; i++) {
		if (ch_is_wsp(uri.ptr[i]))
			uri.len = i; /* options follow */
	}
	query = slice_sub(uri, slice_find(uri, '?') + 1, uri.len);
	while (slice_next(&query, '&', &one)) {
		if (slice_starts(one, attribute))
			return slice_sub(one, attribute.len, one.len);
	}
	return (struct slice){ NULL, 0 };
}

static bool read_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct reading *r = ctx;
	struct slice source = find_source(value);
	char text[LIMIT_URI_BYTES];
	size_t len = 0;

	if (source.ptr == NULL)
		return true;
	if (!decode(source, text, sizeof(text), &len))
		return true; /* the signer says so */
	r->err = pinsource_read(slice_of(text, len), key, r->rules, r->files, r->detail);
	if (r->err == ERR_OK)
		return true;
	err_detail_prefix(r->detail, "%s: ", origin);
	r->err = files_fault(r->files, "TokenTable", r->err, r->detail);
	return r->err == ERR_OK;
}

/* What is wrong with the table itself the signer tells, with all else that is: tokentable_load().
 */
static enum err read_table(const char *spec, struct reading *r)
{
	AUTO(dataset_free) struct dataset *table = NULL;
	enum err err = dataset_open("TokenTable", spec, DATASET_WALKED, r->files, &table, NULL);

	if (err != ERR_OK)
		return err == ERR_NOMEM ? err : ERR_OK;
	err = dataset_each(table, read_row, r);
	return err == ERR_OK ? r->err : err;
}

enum err pins_read(const struct settings *settings, const struct pinsource_rules *rules,
		   struct files *files, struct err_detail *detail)
{
	struct reading r = { .rules = rules, .files = files, .detail = detail };
	enum err err = ERR_OK;

	if (settings->pkcs11_module != NULL && settings->pkcs11_pin_source != NULL) {
		err = pinsource_read(slice_str(settings->pkcs11_pin_source),
				     SLICE_LIT(TOKENTABLE_SINGLE_NAME), rules, files, detail);
		if (err != ERR_OK)
			err_detail_prefix(detail, "PKCS11PinSource: ");
	}
	if (err == ERR_OK && settings->token_table != NULL)
		err = read_table(settings->token_table, &r);
	return err;
}
