/* Judging a published key. One rule a function; the first that objects decides. */
#include "tools/keycheck.h"

#include "base/base64.h"
#include "base/limits.h"
#include "tools/keyrecord.h"

const struct keycheck_info *keycheck_info(enum keycheck_id id)
{
	static const struct keycheck_info table[] = {
#define X(id, code, exit_status, message, hint) { code, exit_status, message, hint },
		KEYCHECK_LIST(X)
#undef X
	};

	return &table[id];
}

void keycheck_result_init(struct keycheck_result *result)
{
	*result = (struct keycheck_result){ .id = KEY_OK };
	buf_init(&result->p, LIMIT_KEY_RECORD_BYTES);
	buf_init(&result->text, LIMIT_KEY_RECORD_BYTES);
}

void keycheck_result_done(struct keycheck_result *result)
{
	buf_done(&result->p);
	buf_done(&result->text);
}

/* What the rules look at. */
struct subject {
	const struct dns_answer *answer;
	const struct keycheck_want *want;
	struct keycheck_result *result;
	struct slice text;	    /* of the first record */
	struct keyrecord_tags tags; /* of it */
	struct pubtext key;	    /* of p=, once rule_p_is_key passed */
	enum keycheck_id weakness;  /* of that key */
};

void keycheck_remark(struct keycheck_result *r, enum keycheck_id id)
{
	if (r->remark_count < KEYCHECK_REMARKS_MAX)
		r->remarks[r->remark_count++] = id;
	if (r->id == KEY_OK)
		r->id = id;
}

static enum keycheck_id rule_dns(struct subject *s)
{
	static const enum keycheck_id by_status[DNS_STATUS_COUNT] = {
		[DNS_FOUND] = KEY_OK,	       [DNS_NXDOMAIN] = KEY_NO_RECORD,
		[DNS_NODATA] = KEY_NO_RECORD,  [DNS_BOGUS] = KEY_BOGUS,
		[DNS_SERVFAIL] = KEY_SERVFAIL, [DNS_REFUSED] = KEY_REFUSED,
		[DNS_TIMEOUT] = KEY_TIMEOUT,   [DNS_BROKEN] = KEY_DNS_BROKEN,
	};

	return by_status[s->answer->status];
}

static enum keycheck_id rule_one_record(struct subject *s)
{
	return s->answer->count > 1 ? KEY_SEVERAL : KEY_OK;
}

static enum keycheck_id rule_quotes(struct subject *s)
{
	struct slice t = slice_trim(s->text);

	if (t.len != 0 && (t.ptr[0] == '"' || t.ptr[t.len - 1] == '"'))
		return KEY_QUOTES;
	return keyrecord_has_tag(&s->tags, 'p') && slice_find(s->tags.value['p' - 'a'], '"') !=
							   s->tags.value['p' - 'a'].len
		       ? KEY_QUOTES
		       : KEY_OK;
}

static enum keycheck_id rule_backslashes(struct subject *s)
{
	size_t at = slice_find(s->text, '\\');
	struct slice rest = s->text;

	if (at == s->text.len)
		return KEY_OK;
	for (; at < rest.len; at = slice_find(rest, '\\')) {
		rest = slice_sub(rest, at + 1, rest.len);
		if (rest.len != 0 && rest.ptr[0] == ';')
			return KEY_SEMICOLON_ESCAPED;
	}
	return KEY_BACKSLASH;
}

static enum keycheck_id rule_syntax(struct subject *s)
{
	return s->tags.broken ? KEY_SYNTAX : KEY_OK;
}

static enum keycheck_id version_fault(struct slice v)
{
	static const char *const others[] = { "spf1", "DMARC1", "STSv1", "TLSRPTv1", "BIMI1" };

	if (slice_starts(v, SLICE_LIT("DKIM1")) && ch_is_fws(v.ptr[strlen("DKIM1")]))
		return KEY_NO_SEMICOLON;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (slice_istarts(v, slice_str(others[i])))
			return KEY_OTHER_RECORD;
	return KEY_VERSION;
}

static enum keycheck_id rule_version(struct subject *s)
{
	struct slice v;

	if (!keyrecord_has_tag(&s->tags, 'v'))
		return KEY_OK;
	v = s->tags.value['v' - 'a'];
	if (!slice_eq(v, SLICE_LIT("DKIM1")))
		return version_fault(v);
	return s->tags.first == 'v' ? KEY_OK : KEY_V_NOT_FIRST;
}

static enum keycheck_id rule_has_p(struct subject *s)
{
	if (!keyrecord_has_tag(&s->tags, 'p'))
		return KEY_NO_P;
	return s->result->p.len == 0 ? KEY_REVOKED : KEY_OK;
}

/* Without the end of the right key. A p= that merely differs is another rule's. */
static enum keycheck_id rule_not_cut(struct subject *s)
{
	struct slice have = buf_slice(&s->result->p);
	bool begins =
		s->want->has_key && have.len < s->want->p.len && slice_starts(s->want->p, have);

	return begins ? KEY_CUT : KEY_OK;
}

static enum keycheck_id rule_type_known(struct subject *s)
{
	return s->tags.type_known ? KEY_OK : KEY_TYPE_UNKNOWN;
}

static enum keycheck_id rule_p_is_key(struct subject *s)
{
	static const enum keycheck_id by_weakness[] = {
		[WEAKKEY_NONE] = KEY_OK,
		[WEAKKEY_EXPONENT] = KEY_EXPONENT,
		[WEAKKEY_FACTOR] = KEY_FACTOR,
		[WEAKKEY_ROCA] = KEY_ROCA,
		[WEAKKEY_SMALL_EXPONENT] = KEY_SMALL_EXPONENT,
	};
	enum weakkey weak = WEAKKEY_NONE;
	enum dkim_reason reason = keyrecord_key(&s->tags, buf_slice(&s->result->p), &s->key, &weak);

	if (reason == DKIM_REASON_KEY_WEAK)
		return KEY_TOO_SMALL;
	s->weakness = by_weakness[weak];
	if (reason == DKIM_REASON_GOOD)
		return KEY_OK;
	if (s->weakness == KEY_EXPONENT || s->weakness == KEY_FACTOR)
		return s->weakness;
	/* 255 octets and no key: the usual accident, also when the key is not at hand. */
	return s->text.len == 255 ? KEY_CUT : KEY_BAD_P;
}

static enum keycheck_id rule_own_type(struct subject *s)
{
	return s->want->has_key && s->want->type != s->key.type ? KEY_TYPE_DIFFERS : KEY_OK;
}

static enum keycheck_id rule_own_key(struct subject *s)
{
	if (!s->want->has_key)
		keycheck_remark(s->result, KEY_NOT_COMPARED);
	return s->want->has_key && !slice_eq(s->want->p, buf_slice(&s->key.p)) ? KEY_WRONG : KEY_OK;
}

static enum keycheck_id rule_sha256(struct subject *s)
{
	return keyrecord_lists(&s->tags, 'h', SLICE_LIT("sha256")) ? KEY_OK : KEY_NO_SHA256;
}

static enum keycheck_id rule_email(struct subject *s)
{
	return keyrecord_lists(&s->tags, 's', SLICE_LIT("email")) ||
			       keyrecord_lists(&s->tags, 's', SLICE_LIT("*"))
		       ? KEY_OK
		       : KEY_NOT_EMAIL;
}

static enum keycheck_id rule_strength(struct subject *s)
{
	if (s->key.type == KEY_TYPE_RSA && s->key.bits < 2048)
		keycheck_remark(s->result, KEY_SHORT);
	if (s->weakness != KEY_SMALL_EXPONENT)
		return s->weakness;
	keycheck_remark(s->result, KEY_SMALL_EXPONENT);
	return KEY_OK;
}

static enum keycheck_id rule_remarks(struct subject *s)
{
	struct slice p = s->tags.value['p' - 'a'];

	if (keyrecord_has_tag(&s->tags, 't') && keyrecord_lists(&s->tags, 't', SLICE_LIT("y")))
		keycheck_remark(s->result, KEY_TEST_MODE);
	if (p.len != s->result->p.len)
		keycheck_remark(s->result, KEY_BLANKS);
	return KEY_OK;
}

static void read_record(struct subject *s)
{
	if (s->answer->status != DNS_FOUND || s->answer->count == 0)
		return;
	if (dns_txt_join(s->answer->data[0], &s->result->text, NULL) != ERR_OK)
		buf_reset(&s->result->text);
	s->text = buf_slice(&s->result->text);
	keyrecord_parse(s->text, &s->tags);
	if (keyrecord_has_tag(&s->tags, 'p'))
		keyrecord_add_without_blanks(s->tags.value['p' - 'a'], &s->result->p);
}

void keycheck_answer(const struct dns_answer *answer, const struct keycheck_want *want,
		     struct keycheck_result *result)
{
	static enum keycheck_id (*const rules[])(struct subject *) = {
		rule_dns,	 rule_one_record, rule_quotes,	 rule_backslashes,
		rule_syntax,	 rule_version,	  rule_has_p,	 rule_not_cut,
		rule_type_known, rule_p_is_key,	  rule_own_type, rule_own_key,
		rule_sha256,	 rule_email,	  rule_strength, rule_remarks,
	};
	struct subject s = { .answer = answer, .want = want, .result = result };
	enum keycheck_id fault = KEY_OK;

	result->secure = answer->secure;
	result->id = KEY_OK;
	read_record(&s);
	for (size_t i = 0; i < ARRAY_LEN(rules) && fault == KEY_OK; i++)
		fault = rules[i](&s);
	if (fault != KEY_OK)
		result->id = fault;
	pubtext_done(&s.key);
}

bool keycheck_holds(const struct dns_answer *answer, struct slice p)
{
	struct keycheck_want want = { .has_key = false };
	bool holds = false;

	for (size_t i = 0; i < answer->count && !holds; i++) {
		struct dns_answer one = { .status = DNS_FOUND, .count = 1 };
		struct keycheck_result result;

		one.data[0] = answer->data[i];
		keycheck_result_init(&result);
		keycheck_answer(&one, &want, &result);
		holds = result.p.len != 0 && slice_eq(buf_slice(&result.p), p);
		keycheck_result_done(&result);
	}
	return holds;
}

static bool has_record(const struct dns_answer *answer, struct slice data)
{
	for (size_t i = 0; i < answer->count; i++)
		if (slice_eq(answer->data[i], data))
			return true;
	return false;
}

bool keycheck_same(const struct dns_answer *a, const struct dns_answer *b)
{
	if (a->status != b->status || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!has_record(b, a->data[i]))
			return false;
	return true;
}
