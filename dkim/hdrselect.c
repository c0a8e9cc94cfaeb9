/* The lists of header field names: parsed at load into small hash sets, asked for every field of a
 * message. */
#include "dkim/hdrselect.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"

#include <stdint.h>
#include <stdlib.h>

/* A power of two, at least twice LIMIT_H_NAMES: a probe always ends. */
#define SLOTS 512u
/* A longer name is no name of a standard: it is not signed, so patterns stay cheap on hostile mail.
 */
#define NAME_BYTES_MAX 255u

/* One list: exact names in a hash set, patterns in order. */
struct namelist {
	char *text; /* the setting's own copy; names point into it or into the defaults */
	struct slice names[LIMIT_H_NAMES];
	size_t count;
	size_t patterns;
	uint16_t slots[SLOTS]; /* 0: free, else index + 1 of an exact name */
};

struct dkim_hdrselect {
	struct namelist sign;
	struct namelist omit;
	struct namelist oversign;
};

/* What one setting is built from. */
struct list_spec {
	const char *setting; /* its name, for messages */
	const char *value;   /* NULL: the defaults */
	const struct slice *defaults;
	size_t default_count;
	bool oversigns;
};

/* RFC 6376 section 5.4.1, in OpenDKIM's order. */
static const struct slice default_sign[] = {
	SLICE_INIT("From"),
	SLICE_INIT("Reply-To"),
	SLICE_INIT("Subject"),
	SLICE_INIT("Date"),
	SLICE_INIT("To"),
	SLICE_INIT("Cc"),
	SLICE_INIT("Resent-Date"),
	SLICE_INIT("Resent-From"),
	SLICE_INIT("Resent-Sender"),
	SLICE_INIT("Resent-To"),
	SLICE_INIT("Resent-Cc"),
	SLICE_INIT("In-Reply-To"),
	SLICE_INIT("References"),
	SLICE_INIT("List-Id"),
	SLICE_INIT("List-Help"),
	SLICE_INIT("List-Unsubscribe"),
	SLICE_INIT("List-Subscribe"),
	SLICE_INIT("List-Post"),
	SLICE_INIT("List-Owner"),
	SLICE_INIT("List-Archive"),
};

/* What MTAs change or remove; the manual of OpenDKIM names the last three, its code does not. */
static const struct slice default_omit[] = {
	SLICE_INIT("Return-Path"),    SLICE_INIT("Received"), SLICE_INIT("Comments"),
	SLICE_INIT("Keywords"),	      SLICE_INIT("Bcc"),      SLICE_INIT("Resent-Bcc"),
	SLICE_INIT("DKIM-Signature"),
};

static const struct slice default_oversign[] = { SLICE_INIT("From") };

/* ftext of RFC 5322 section 3.6.8, less ';': it would end the h= tag. */
static bool name_valid(struct slice name)
{
	if (name.len == 0 || name.len > NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] < 33 || name.ptr[i] > 126 || name.ptr[i] == ':' ||
		    name.ptr[i] == ';')
			return false;
	return true;
}

static bool is_pattern(struct slice name)
{
	return slice_find(name, '*') != name.len;
}

/* '*' is any text. Only the last star is tried again, which is enough: at most len * len steps. */
static bool pattern_matches(struct slice pattern, struct slice name)
{
	size_t p = 0;
	size_t n = 0;
	size_t star = SIZE_MAX; /* behind the last star */
	size_t star_name = 0;

	while (n < name.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = ++p;
			star_name = n;
		} else if (p < pattern.len && ch_lower(pattern.ptr[p]) == ch_lower(name.ptr[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star;
			n = ++star_name;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

/* The slot of this exact name, or the free one where it belongs. */
static size_t find_slot(const struct namelist *l, struct slice name)
{
	size_t i = hash_icase(name) % SLOTS;

	while (l->slots[i] != 0 && !slice_ieq(l->names[l->slots[i] - 1], name))
		i = (i + 1) % SLOTS;
	return i;
}

static bool list_has_exact(const struct namelist *l, struct slice name)
{
	return l->slots[find_slot(l, name)] != 0;
}

static bool list_has(const struct namelist *l, struct slice name)
{
	if (list_has_exact(l, name))
		return true;
	if (l->patterns == 0)
		return false;
	for (size_t i = 0; i < l->count; i++)
		if (is_pattern(l->names[i]) && pattern_matches(l->names[i], name))
			return true;
	return false;
}

static enum err list_add(struct namelist *l, const struct list_spec *spec, struct slice name,
			 struct err_detail *detail)
{
	size_t slot = find_slot(l, name);

	if (l->slots[slot] != 0)
		return ERR_OK;
	if (l->count == LIMIT_H_NAMES) {
		err_detail_set(detail, "%s: more than %u names", spec->setting, LIMIT_H_NAMES);
		return ERR_LIMIT;
	}
	l->names[l->count++] = name;
	if (is_pattern(name))
		l->patterns++;
	else
		l->slots[slot] = (uint16_t)l->count;
	return ERR_OK;
}

static bool value_has(const char *value, char sign, struct slice name)
{
	struct slice rest = slice_str(value);
	struct slice part;

	while (value != NULL && slice_next(&rest, ',', &part)) {
		part = slice_trim(part);
		if (sign != '\0' && (part.len == 0 || part.ptr[0] != sign))
			continue;
		if (slice_ieq(slice_sub(part, sign != '\0' ? 1 : 0, part.len), name))
			return true;
	}
	return false;
}

static enum err check_name(const struct list_spec *spec, struct slice name,
			   struct err_detail *detail)
{
	const char *why = NULL;

	if (!name_valid(name))
		why = "is not a header field name";
	else if (spec->oversigns && is_pattern(name))
		why = "is a pattern, which cannot be oversigned";
	else if (spec->oversigns && slice_ieq(name, SLICE_LIT("DKIM-Signature")))
		why = "cannot be oversigned: the signature itself adds one";
	if (why == NULL)
		return ERR_OK;
	err_detail_set(detail, "%s: \"%.*s\" %s", spec->setting, name.len < 80 ? (int)name.len : 80,
		       name.ptr, why);
	return ERR_SYNTAX;
}

static enum err add_entry(struct namelist *l, const struct list_spec *spec, bool is_delta,
			  struct slice entry, struct err_detail *detail)
{
	bool is_signed = entry.len != 0 && (entry.ptr[0] == '+' || entry.ptr[0] == '-');
	struct slice name = slice_sub(entry, is_signed ? 1 : 0, entry.len);
	enum err e;

	/* "." and "-" are OpenDKIM's ways to say: none. */
	if (entry.len == 0 || slice_eq(entry, SLICE_LIT("*")) || slice_eq(entry, SLICE_LIT(".")) ||
	    slice_eq(entry, SLICE_LIT("-")))
		return ERR_OK;
	if (is_signed && !is_delta) {
		err_detail_set(detail,
			       "%s: \"%c\" needs \"*\" in the list, which stands for the "
			       "default names",
			       spec->setting, entry.ptr[0]);
		return ERR_SYNTAX;
	}
	e = check_name(spec, name, detail);
	if (e != ERR_OK || entry.ptr[0] == '-')
		return e;
	return list_add(l, spec, name, detail);
}

static enum err list_build(struct namelist *l, const struct list_spec *spec,
			   struct err_detail *detail)
{
	bool is_delta = value_has(spec->value, '\0', SLICE_LIT("*"));
	struct slice rest;
	struct slice part;
	enum err e = ERR_OK;

	for (size_t i = 0; i < spec->default_count && e == ERR_OK; i++)
		if (spec->value == NULL ||
		    (is_delta && !value_has(spec->value, '-', spec->defaults[i])))
			e = list_add(l, spec, spec->defaults[i], detail);
	if (spec->value == NULL || e != ERR_OK)
		return e;
	l->text = slice_dup(slice_str(spec->value));
	if (l->text == NULL)
		return ERR_NOMEM;
	rest = slice_str(l->text);
	while (e == ERR_OK && slice_next(&rest, ',', &part))
		e = add_entry(l, spec, is_delta, slice_trim(part), detail);
	return e;
}

enum err dkim_hdrselect_new(const char *sign_headers, const char *omit_headers,
			    const char *oversign_headers, struct dkim_hdrselect **ret_select,
			    struct err_detail *detail)
{
	const struct list_spec sign = { "SignHeaders", sign_headers, default_sign,
					ARRAY_LEN(default_sign), false };
	const struct list_spec omit = { "OmitHeaders", omit_headers, default_omit,
					ARRAY_LEN(default_omit), false };
	const struct list_spec oversign = { "OversignHeaders", oversign_headers, default_oversign,
					    ARRAY_LEN(default_oversign), true };
	AUTO(dkim_hdrselect_free) struct dkim_hdrselect *s = calloc(1, sizeof(*s));
	enum err e;

	if (s == NULL)
		return ERR_NOMEM;
	e = list_build(&s->sign, &sign, detail);
	if (e == ERR_OK)
		e = list_build(&s->omit, &omit, detail);
	if (e == ERR_OK)
		e = list_build(&s->oversign, &oversign, detail);
	if (e != ERR_OK)
		return e;
	*ret_select = s;
	s = NULL; /* handed over */
	return ERR_OK;
}

void dkim_hdrselect_free(struct dkim_hdrselect **select)
{
	if (select == NULL || *select == NULL)
		return;
	free((*select)->sign.text);
	free((*select)->omit.text);
	free((*select)->oversign.text);
	free(*select);
	*select = NULL;
}

bool dkim_hdrselect_signs(const struct dkim_hdrselect *select, struct slice name)
{
	if (!name_valid(name))
		return false;
	if (slice_ieq(name, SLICE_LIT("From")) || list_has_exact(&select->oversign, name))
		return true;
	return list_has(&select->sign, name) && !list_has(&select->omit, name);
}

size_t dkim_hdrselect_oversigned(const struct dkim_hdrselect *select,
				 const struct slice **ret_names)
{
	*ret_names = select->oversign.names;
	return select->oversign.count;
}

static void add_name(struct buf *out, size_t *count, struct slice name)
{
	if ((*count)++ != 0)
		buf_add_ch(out, ':');
	buf_add(out, name);
}

char *dkim_hdrselect_text(const struct dkim_hdrselect *select)
{
	AUTO(buf_done) struct buf out;
	size_t count = 0;
	struct slice text;

	buf_init(&out, (size_t)3 * LIMIT_H_NAMES * (NAME_BYTES_MAX + 1));
	if (!list_has(&select->sign, SLICE_LIT("From")))
		add_name(&out, &count, SLICE_LIT("From"));
	for (size_t i = 0; i < select->sign.count; i++)
		if (is_pattern(select->sign.names[i]) ||
		    dkim_hdrselect_signs(select, select->sign.names[i]))
			add_name(&out, &count, select->sign.names[i]);
	for (size_t i = 0; i < select->oversign.count; i++)
		if (!list_has(&select->sign, select->oversign.names[i]) &&
		    !slice_ieq(select->oversign.names[i], SLICE_LIT("From")))
			add_name(&out, &count, select->oversign.names[i]);
	if (select->oversign.count != 0)
		buf_add_str(&out, " oversigned ");
	count = 0;
	for (size_t i = 0; i < select->oversign.count; i++)
		add_name(&out, &count, select->oversign.names[i]);
	return buf_finish(&out, &text) == ERR_OK ? slice_dup(text) : NULL;
}
