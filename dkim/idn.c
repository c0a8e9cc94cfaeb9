/* A-labels, by libidn2. */
#include "dkim/idn.h"

#include "dkim/domain.h"

#include <idn2.h>
#include <string.h>

static enum err store(struct slice ascii, struct idn_name *ret_name)
{
	while (ascii.len != 0 && ascii.ptr[ascii.len - 1] == '.')
		ascii.len--;
	if (ascii.len > LIMIT_DOMAIN_BYTES)
		return ERR_LIMIT;
	if (!dkim_domain_valid(ascii))
		return ERR_SYNTAX;
	for (size_t i = 0; i < ascii.len; i++)
		ret_name->text[i] = ch_lower(ascii.ptr[i]);
	ret_name->text[ascii.len] = '\0';
	ret_name->len = ascii.len;
	return ERR_OK;
}

static enum err convert(const char *utf8, struct idn_name *ret_name)
{
	char *ascii = NULL;
	int rc = idn2_to_ascii_8z(utf8, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	enum err e;

	if (rc != IDN2_OK)
		return rc == IDN2_MALLOC ? ERR_NOMEM : ERR_SYNTAX;
	e = store(slice_str(ascii), ret_name);
	idn2_free(ascii);
	return e;
}

enum err idn_to_ascii(struct slice domain, struct idn_name *ret_name)
{
	/* U-labels are never longer than 4 bytes for each of their A-label. */
	char utf8[4 * LIMIT_DOMAIN_BYTES + 1];

	if (slice_is_ascii(domain))
		return store(domain, ret_name);
	if (domain.len >= sizeof(utf8))
		return ERR_LIMIT;
	if (memchr(domain.ptr, '\0', domain.len) != NULL)
		return ERR_SYNTAX;
	memcpy(utf8, domain.ptr, domain.len);
	utf8[domain.len] = '\0';
	return convert(utf8, ret_name);
}

enum err idn_for_wire(struct slice domain, struct idn_name *room, struct slice *ret_name)
{
	enum err e;

	if (slice_is_ascii(domain)) {
		*ret_name = domain;
		return ERR_OK;
	}
	e = idn_to_ascii(domain, room);
	if (e == ERR_OK)
		*ret_name = slice_of(room->text, room->len);
	return e;
}

static bool has_a_label(struct slice domain)
{
	struct slice label;

	while (slice_next(&domain, '.', &label))
		if (slice_istarts(label, SLICE_LIT("xn--")))
			return true;
	return false;
}

static void add_spelling(struct idn_spellings *s, struct slice name)
{
	for (size_t i = 0; i < s->count; i++)
		if (slice_eq(s->names[i], name))
			return;
	s->names[s->count++] = name;
}

static void add_unicode(struct idn_spellings *s)
{
	char *utf8 = NULL;
	size_t len;

	if (idn2_to_unicode_8z8z(s->ascii.text, &utf8, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return;
	len = strlen(utf8);
	if (len < sizeof(s->unicode)) {
		memcpy(s->unicode, utf8, len + 1);
		add_spelling(s, slice_of(s->unicode, len));
	}
	idn2_free(utf8);
}

void idn_spell(struct slice domain, struct idn_spellings *ret)
{
	ret->names[0] = domain;
	ret->count = 1;
	if (slice_is_ascii(domain) && !has_a_label(domain))
		return;
	if (idn_to_ascii(domain, &ret->ascii) != ERR_OK)
		return;
	add_spelling(ret, slice_of(ret->ascii.text, ret->ascii.len));
	add_unicode(ret);
}

bool idn_spellings_parent(struct idn_spellings *s, bool with_dot)
{
	size_t count = s->count;
	size_t keep = with_dot ? 1 : 0;

	s->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct slice name = s->names[i];
		struct slice rest = slice_sub(name, keep, name.len);

		name = slice_sub(rest, slice_find(rest, '.') + 1 - keep, rest.len);
		if (name.len != 0)
			add_spelling(s, name);
	}
	return s->count != 0;
}

static bool both_to_ascii(struct slice a, struct slice b, struct idn_name *ret_a,
			  struct idn_name *ret_b)
{
	return idn_to_ascii(a, ret_a) == ERR_OK && idn_to_ascii(b, ret_b) == ERR_OK;
}

bool idn_equal(struct slice a, struct slice b)
{
	struct idn_name x;
	struct idn_name y;

	return both_to_ascii(a, b, &x, &y) &&
	       slice_eq(slice_of(x.text, x.len), slice_of(y.text, y.len));
}

static bool is_u_label(struct slice label)
{
	struct idn_name ascii;
	char *utf8 = NULL;
	bool same;

	if (idn_to_ascii(label, &ascii) != ERR_OK ||
	    idn2_to_unicode_8z8z(ascii.text, &utf8, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	same = slice_ieq(label, slice_str(utf8));
	idn2_free(utf8);
	return same;
}

bool idn_well_spelled(struct slice domain)
{
	struct slice label;

	while (slice_next(&domain, '.', &label))
		if (!slice_is_ascii(label) && !is_u_label(label))
			return false;
	return true;
}

bool idn_in(struct slice domain, struct slice parent)
{
	struct idn_name x;
	struct idn_name y;

	return both_to_ascii(domain, parent, &x, &y) &&
	       dkim_domain_in(slice_of(x.text, x.len), slice_of(y.text, y.len));
}
