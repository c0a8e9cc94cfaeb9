/* Reading a DKIM-Signature field: one row for each tag that we look at. */
#include "dkim/sighdr.h"

#include "base/base64.h"
#include "base/limits.h"
#include "base/text.h"
#include "dkim/digest.h"
#include "dkim/domain.h"
#include "dkim/qp.h"
#include "dkim/taglist.h"

/* RFC 6376 section 3.5 */
#define TIME_DIGITS_MAX 12u
#define LENGTH_DIGITS_MAX 76u
/* Local parts have 64 octets (RFC 5321 section 4.5.3.1.1); some senders put a whole VERP address
 * there. */
#define LOCAL_BYTES_MAX 320u

struct parse {
	struct arena *arena;
	const struct taglist *list;
	const struct sighdr_time *time;
	struct slice value;
	struct sighdr *sig;
	enum err error; /* of ours: memory */
};

static enum dkim_reason failed(struct parse *p, enum err e)
{
	p->error = e;
	return DKIM_REASON_INTERNAL;
}

/* It goes into Authentication-Results as it is, where a reader must see the name that DNS saw. */
static bool is_name(struct slice name)
{
	struct idn_name ascii;

	return dkim_domain_valid(name) && idn_to_ascii(name, &ascii) == ERR_OK &&
	       idn_well_spelled(name);
}

static enum dkim_reason read_domain(struct parse *p, const struct tag *tag)
{
	if (!is_name(tag->value))
		return DKIM_REASON_SIG_DOMAIN;
	p->sig->domain = tag->value;
	p->sig->identity_domain = tag->value;
	return DKIM_REASON_GOOD;
}

static enum dkim_reason read_selector(struct parse *p, const struct tag *tag)
{
	if (!is_name(tag->value))
		return DKIM_REASON_SIG_SELECTOR;
	p->sig->selector = tag->value;
	return DKIM_REASON_GOOD;
}

static enum dkim_reason read_algorithm(struct parse *p, const struct tag *tag)
{
	if (!dkim_alg_find(tag->value, &p->sig->alg))
		return DKIM_REASON_SIG_ALGORITHM;
	p->sig->has_alg = true;
	/* RFC 8301 section 3.1: not to be trusted any more, so not worth a look-up either. */
	if (dkim_alg_info(p->sig->alg)->hash == DKIM_HASH_SHA1)
		return DKIM_REASON_SIG_SHA1;
	return DKIM_REASON_GOOD;
}

/* @return a copy without blanks and folds; empty and p->error when memory is short */
static struct slice without_blanks(struct parse *p, struct slice text)
{
	char *copy = arena_alloc(p->arena, text.len + 1);
	size_t len = 0;

	if (copy == NULL) {
		(void)failed(p, ERR_NOMEM);
		return slice_of("", 0);
	}
	for (size_t i = 0; i < text.len; i++)
		if (!ch_is_fws(text.ptr[i]))
			copy[len++] = text.ptr[i];
	copy[len] = '\0';
	return slice_of(copy, len);
}

/* @return false: no base64, or memory is short (p->error) */
static bool decode(struct parse *p, struct slice base64, struct slice *ret_bytes)
{
	size_t room = base64.len / 4 * 3 + 3;
	uint8_t *bytes = arena_alloc(p->arena, room);
	size_t len = 0;

	if (bytes == NULL) {
		(void)failed(p, ERR_NOMEM);
		return false;
	}
	if (base64_decode(base64, BASE64_NO_BLANKS, bytes, room, &len) != ERR_OK)
		return false;
	*ret_bytes = slice_of(bytes, len);
	return true;
}

/* The text before and behind the value, which goes with all blanks around it. */
static bool cut_signature(struct parse *p, struct slice raw)
{
	size_t before = (size_t)(raw.ptr - p->value.ptr);
	size_t behind = p->value.len - before - raw.len;
	char *copy = arena_alloc(p->arena, before + behind + 1);

	if (copy == NULL)
		return false;
	memcpy(copy, p->value.ptr, before);
	memcpy(copy + before, raw.ptr + raw.len, behind);
	copy[before + behind] = '\0';
	p->sig->hashed = slice_of(copy, before + behind);
	return true;
}

static bool is_base64_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ch_is_alpha(s.ptr[i]) && !ch_is_digit(s.ptr[i]) && s.ptr[i] != '+' &&
		    s.ptr[i] != '/' && s.ptr[i] != '=')
			return false;
	return true;
}

static enum dkim_reason read_signature(struct parse *p, const struct tag *tag)
{
	struct slice text = without_blanks(p, tag->value);

	if (p->error != ERR_OK)
		return DKIM_REASON_INTERNAL;
	if (text.len == 0)
		return DKIM_REASON_SIG_EMPTY_DATA;
	if (!is_base64_text(text))
		return DKIM_REASON_SIG_DATA;
	p->sig->b_text = text;
	if (!decode(p, text, &p->sig->signature))
		return p->error != ERR_OK ? DKIM_REASON_INTERNAL : DKIM_REASON_SIG_DATA;
	return cut_signature(p, tag->raw) ? DKIM_REASON_GOOD : failed(p, ERR_NOMEM);
}

/* UTF-8 without control characters. */
static bool is_printing(struct slice s)
{
	size_t i = 0;

	while (i < s.len) {
		size_t n = text_utf8_len(slice_sub(s, i, s.len));

		if (n == 0 || (unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
		i += n;
	}
	return true;
}

/* The local part may say anything, but it must be text: its encoded form can hide line ends. */
static enum dkim_reason read_identity_local(struct parse *p, struct slice encoded)
{
	AUTO(buf_done) struct buf local;
	enum err e;

	buf_init(&local, LOCAL_BYTES_MAX);
	e = dkim_qp_decode(encoded, &local);
	if (e == ERR_NOMEM)
		return failed(p, e);
	if (e != ERR_OK || !is_printing(buf_slice(&local)))
		return DKIM_REASON_SIG_IDENTITY;
	e = arena_dup(p->arena, buf_slice(&local), &p->sig->identity_local);
	return e == ERR_OK ? DKIM_REASON_GOOD : failed(p, e);
}

static enum dkim_reason read_identity(struct parse *p, const struct tag *tag)
{
	size_t at = slice_rfind(tag->value, '@');
	struct slice domain = slice_trim(slice_sub(tag->value, at + 1, tag->value.len));

	if (at == tag->value.len || !is_name(domain))
		return DKIM_REASON_SIG_IDENTITY;
	if (!idn_in(domain, p->sig->domain))
		return DKIM_REASON_SIG_COVERAGE;
	p->sig->identity_domain = domain;
	return read_identity_local(p, slice_sub(tag->value, 0, at));
}

static enum dkim_reason read_version(UNUSED struct parse *p, const struct tag *tag)
{
	return slice_eq(tag->value, SLICE_LIT("1")) ? DKIM_REASON_GOOD : DKIM_REASON_SIG_VERSION;
}

/* RFC 6651 section 3.1: other values mean nothing. */
static enum dkim_reason read_report(struct parse *p, const struct tag *tag)
{
	p->sig->wants_report = slice_eq(tag->value, SLICE_LIT("y"));
	return DKIM_REASON_GOOD;
}

static bool field_name_valid(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] > '~')
			return false;
	return name.len != 0;
}

static enum dkim_reason read_headers(struct parse *p, const struct tag *tag)
{
	struct slice rest = tag->value;
	struct slice name;
	size_t room = 1;
	bool has_from = false;

	for (size_t i = 0; i < rest.len; i++)
		room += rest.ptr[i] == ':' ? 1 : 0;
	if (room > LIMIT_H_LISTED)
		return DKIM_REASON_SIG_HEADERS_MANY;
	p->sig->names = arena_calloc(p->arena, room, sizeof(*p->sig->names));
	if (p->sig->names == NULL)
		return failed(p, ERR_NOMEM);
	while (slice_next(&rest, ':', &name)) {
		name = slice_trim(name);
		if (!field_name_valid(name))
			return DKIM_REASON_SIG_HEADERS;
		p->sig->names[p->sig->names_count++] = name;
		has_from = has_from || slice_ieq(name, SLICE_LIT("From"));
	}
	return has_from ? DKIM_REASON_GOOD : DKIM_REASON_SIG_NO_FROM;
}

static enum dkim_reason read_body_hash(struct parse *p, const struct tag *tag)
{
	struct slice text = without_blanks(p, tag->value);

	if (p->error != ERR_OK)
		return DKIM_REASON_INTERNAL;
	if (text.len == 0)
		return DKIM_REASON_SIG_EMPTY_BODY_HASH;
	if (!decode(p, text, &p->sig->body_hash) || p->sig->body_hash.len != DKIM_DIGEST_MAX)
		return p->error != ERR_OK ? DKIM_REASON_INTERNAL : DKIM_REASON_SIG_BODY_HASH;
	return DKIM_REASON_GOOD;
}

static enum dkim_reason read_canon(struct parse *p, const struct tag *tag)
{
	size_t slash = slice_find(tag->value, '/');

	if (!dkim_canon_find(slice_sub(tag->value, 0, slash), &p->sig->header_canon))
		return DKIM_REASON_SIG_HEADER_CANON;
	if (slash != tag->value.len &&
	    !dkim_canon_find(slice_sub(tag->value, slash + 1, tag->value.len), &p->sig->body_canon))
		return DKIM_REASON_SIG_BODY_CANON;
	return DKIM_REASON_GOOD;
}

/* A list of methods, of which one must be ours; "dns" alone is what the drafts had. */
static enum dkim_reason read_query(UNUSED struct parse *p, const struct tag *tag)
{
	struct slice rest = tag->value;
	struct slice method;

	while (slice_next(&rest, ':', &method)) {
		method = slice_trim(method);
		if (slice_ieq(method, SLICE_LIT("dns/txt")) || slice_ieq(method, SLICE_LIT("dns")))
			return DKIM_REASON_GOOD;
	}
	return DKIM_REASON_SIG_QUERY;
}

static enum dkim_reason read_length(struct parse *p, const struct tag *tag)
{
	unsigned long long length = 0;

	if (tag->value.len == 0 || tag->value.len > LENGTH_DIGITS_MAX)
		return DKIM_REASON_SIG_LENGTH;
	for (size_t i = 0; i < tag->value.len; i++)
		if (!ch_is_digit(tag->value.ptr[i]))
			return DKIM_REASON_SIG_LENGTH;
	/* What does not fit 64 bits is longer than any body, and nothing else. */
	if (!slice_u64(tag->value, &length) || length == SIGHDR_NO_LENGTH)
		length = SIGHDR_NO_LENGTH - 1;
	p->sig->length = length;
	return DKIM_REASON_GOOD;
}

/* @return false: the tag is there and is no time */
static bool read_time(const struct taglist *list, const char *name, int64_t *ret_time)
{
	const struct tag *tag = taglist_find(list, name);
	unsigned long long value = 0;

	if (tag == NULL)
		return true;
	if (tag->value.len > TIME_DIGITS_MAX || !slice_u64(tag->value, &value))
		return false;
	*ret_time = (int64_t)value;
	return true;
}

static enum dkim_reason check_times(const struct parse *p)
{
	int64_t made = -1;
	int64_t expires = -1;

	if (!read_time(p->list, "t", &made) || !read_time(p->list, "x", &expires))
		return DKIM_REASON_SIG_TIME;
	if (expires >= 0 && made >= 0 && expires <= made)
		return DKIM_REASON_SIG_TIME_ORDER;
	if (made >= 0 && made > p->time->now + p->time->drift_s)
		return DKIM_REASON_SIG_FUTURE;
	if (expires >= 0 && expires < p->time->now - p->time->drift_s)
		return DKIM_REASON_SIG_EXPIRED;
	return DKIM_REASON_GOOD;
}

static void add_name(struct idn_name *name, struct slice s)
{
	memcpy(name->text + name->len, s.ptr, s.len);
	name->len += s.len;
	name->text[name->len] = '\0';
}

static enum dkim_reason make_key_name(struct sighdr *sig)
{
	static const struct slice middle = SLICE_INIT("._domainkey.");
	struct idn_name domain;

	if (idn_to_ascii(sig->selector, &sig->key_name) != ERR_OK)
		return DKIM_REASON_SIG_SELECTOR;
	if (idn_to_ascii(sig->domain, &domain) != ERR_OK)
		return DKIM_REASON_SIG_DOMAIN;
	if (sig->key_name.len + middle.len + domain.len > LIMIT_DOMAIN_BYTES)
		return DKIM_REASON_SIG_SELECTOR;
	add_name(&sig->key_name, middle);
	add_name(&sig->key_name, slice_of(domain.text, domain.len));
	return DKIM_REASON_GOOD;
}

/* In the order in which they are read; what is reported comes first, and is read after a fault,
 * too. GOOD as the reason of a missing tag: it has a default. */
static const struct {
	const char *name;
	enum dkim_reason missing;
	bool reported;
	enum dkim_reason (*read)(struct parse *p, const struct tag *tag);
} rows[] = {
	{ "d", DKIM_REASON_SIG_NO_DOMAIN, true, read_domain },
	{ "s", DKIM_REASON_SIG_NO_SELECTOR, true, read_selector },
	{ "b", DKIM_REASON_SIG_NO_DATA, true, read_signature },
	{ "i", DKIM_REASON_GOOD, true, read_identity },
	{ "a", DKIM_REASON_SIG_NO_ALGORITHM, true, read_algorithm },
	{ "r", DKIM_REASON_GOOD, true, read_report },
	{ "v", DKIM_REASON_SIG_NO_VERSION, false, read_version },
	{ "h", DKIM_REASON_SIG_NO_HEADERS, false, read_headers },
	{ "bh", DKIM_REASON_SIG_NO_BODY_HASH, false, read_body_hash },
	{ "c", DKIM_REASON_GOOD, false, read_canon },
	{ "q", DKIM_REASON_GOOD, false, read_query },
	{ "l", DKIM_REASON_GOOD, false, read_length },
};

static enum dkim_reason read_tags(struct parse *p, enum dkim_reason first)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct tag *tag = taglist_find(p->list, rows[i].name);
		enum dkim_reason reason = rows[i].missing;

		if (first != DKIM_REASON_GOOD && !rows[i].reported)
			break;
		if (tag != NULL)
			reason = rows[i].read(p, tag);
		if (first == DKIM_REASON_GOOD)
			first = reason;
	}
	return first;
}

static enum dkim_reason list_fault(enum err e)
{
	switch ((int)e) {
	case ERR_OK:
		return DKIM_REASON_GOOD;
	case ERR_AMBIGUOUS:
		return DKIM_REASON_SIG_DUPLICATE_TAG;
	default:
		return DKIM_REASON_SIG_SYNTAX;
	}
}

enum err sighdr_parse(struct arena *arena, struct slice value, const struct sighdr_time *time,
		      struct sighdr *ret_sig, enum dkim_reason *ret_reason)
{
	struct taglist list;
	struct parse p = { arena, &list, time, value, ret_sig, ERR_OK };
	enum dkim_reason reason;

	*ret_sig = (struct sighdr){ .length = SIGHDR_NO_LENGTH };
	if (value.len > LIMIT_SIG_HEADER_BYTES) {
		*ret_reason = DKIM_REASON_SIG_TOO_LONG;
		return ERR_OK;
	}
	reason = list_fault(taglist_parse(value, &list));
	reason = read_tags(&p, reason);
	if (reason == DKIM_REASON_GOOD)
		reason = check_times(&p);
	if (reason == DKIM_REASON_GOOD)
		reason = make_key_name(ret_sig);
	if (p.error == ERR_OK)
		*ret_reason = reason;
	return p.error;
}

struct slice sighdr_peek_domain(struct slice value)
{
	struct taglist list;
	const struct tag *tag = NULL;

	if (value.len <= LIMIT_SIG_HEADER_BYTES && taglist_parse(value, &list) != ERR_NOMEM)
		tag = taglist_find(&list, "d");
	return tag != NULL ? tag->value : slice_of("", 0);
}
