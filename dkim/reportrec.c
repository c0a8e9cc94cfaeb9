/* Reporting records: see reportrec.h. */
#include "dkim/reportrec.h"

#include "base/buf.h"
#include "base/limits.h"
#include "dkim/qp.h"
#include "dkim/taglist.h"

/* The word behind rr= of each kind, section 3.3 of the RFC. */
static const struct {
	struct slice word;
	unsigned kinds;
} words[] = {
	{ SLICE_INIT("all"), REPORTREC_ALL },  { SLICE_INIT("d"), REPORTREC_DNS },
	{ SLICE_INIT("o"), REPORTREC_OTHER },  { SLICE_INIT("p"), REPORTREC_POLICY },
	{ SLICE_INIT("s"), REPORTREC_SYNTAX }, { SLICE_INIT("u"), REPORTREC_UNKNOWN },
	{ SLICE_INIT("v"), REPORTREC_VERIFY }, { SLICE_INIT("x"), REPORTREC_EXPIRED },
};

/* Words that nobody knows are kinds that nobody has. */
static unsigned read_kinds(const struct tag *rr)
{
	unsigned kinds = 0;
	struct slice rest;
	struct slice word;

	if (rr == NULL)
		return REPORTREC_ALL;
	rest = rr->value;
	while (slice_next(&rest, ':', &word))
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (slice_ieq(slice_trim(word), words[i].word))
				kinds |= words[i].kinds;
	return kinds;
}

static bool read_percent(const struct tag *rp, unsigned *ret_percent)
{
	unsigned long long percent = 100;

	if (rp != NULL && (!slice_u64(rp->value, &percent) || percent > 100))
		return false;
	*ret_percent = (unsigned)percent;
	return true;
}

/* Narrower than RFC 5322's atoms on purpose: nothing that some MTA takes for a route, a pipe or a
 * file, and no option. */
static bool is_plain(struct slice local)
{
	static const struct slice signs = SLICE_INIT("._+-=");

	if (slice_empty(local) || local.len > REPORTREC_LOCAL_BYTES)
		return false;
	for (size_t i = 0; i < local.len; i++) {
		char c = local.ptr[i];

		if (!ch_is_alpha(c) && !ch_is_digit(c) && slice_find(signs, c) == signs.len)
			return false;
		if (c == '.' && (i == 0 || i + 1 == local.len || local.ptr[i - 1] == '.'))
			return false;
	}
	return local.ptr[0] != '-';
}

static bool read_local(const struct tag *ra, char *ret_local)
{
	AUTO(buf_done) struct buf decoded;
	struct slice local;

	buf_init(&decoded, REPORTREC_LOCAL_BYTES);
	if (ra == NULL || dkim_qp_decode(ra->value, &decoded) != ERR_OK ||
	    buf_finish(&decoded, &local) != ERR_OK || !is_plain(local))
		return false;
	memcpy(ret_local, local.ptr, local.len);
	ret_local[local.len] = '\0';
	return true;
}

bool reportrec_parse(struct slice text, struct reportrec *ret_record)
{
	struct reportrec record = { .kinds = 0 };
	struct taglist list;

	if (text.len > LIMIT_KEY_RECORD_BYTES || taglist_parse(text, &list) != ERR_OK ||
	    !read_percent(taglist_find(&list, "rp"), &record.percent) ||
	    !read_local(taglist_find(&list, "ra"), record.local))
		return false;
	record.kinds = read_kinds(taglist_find(&list, "rr"));
	*ret_record = record;
	return true;
}

unsigned reportrec_kind_of(enum dkim_reason reason)
{
	static const unsigned char kinds[DKIM_REASON_COUNT] = {
		[DKIM_REASON_SIG_TOO_LONG] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_SYNTAX] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_DUPLICATE_TAG] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_VERSION] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_VERSION] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_ALGORITHM] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_ALGORITHM] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_DOMAIN] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_DOMAIN] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_SELECTOR] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_SELECTOR] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_IDENTITY] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_COVERAGE] = REPORTREC_OTHER,
		[DKIM_REASON_SIG_NO_HEADERS] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_HEADERS] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_HEADERS_MANY] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_FROM] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_DATA] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_EMPTY_DATA] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_DATA] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_NO_BODY_HASH] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_EMPTY_BODY_HASH] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_BODY_HASH] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_HEADER_CANON] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_BODY_CANON] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_QUERY] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_LENGTH] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_TIME] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_TIME_ORDER] = REPORTREC_SYNTAX,
		[DKIM_REASON_SIG_FUTURE] = REPORTREC_OTHER,
		[DKIM_REASON_SIG_EXPIRED] = REPORTREC_EXPIRED,
		[DKIM_REASON_SIG_SHA1] = REPORTREC_POLICY,
		[DKIM_REASON_MSG_AUTHOR] = REPORTREC_OTHER,
		[DKIM_REASON_MSG_HEADER_LARGE] = REPORTREC_OTHER,
		[DKIM_REASON_MSG_UNSIGNED_FIELD] = REPORTREC_POLICY,
		[DKIM_REASON_KEY_NOT_FOUND] = REPORTREC_DNS,
		[DKIM_REASON_KEY_RECORDS] = REPORTREC_DNS,
		[DKIM_REASON_KEY_SYNTAX] = REPORTREC_DNS | REPORTREC_SYNTAX,
		[DKIM_REASON_KEY_MULTIPLE] = REPORTREC_DNS,
		[DKIM_REASON_KEY_VERSION] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_TYPE] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_TYPE_MISMATCH] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_HASH] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_SERVICE] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_NO_DATA] = REPORTREC_DNS | REPORTREC_SYNTAX,
		[DKIM_REASON_KEY_REVOKED] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_DATA] = REPORTREC_DNS | REPORTREC_SYNTAX,
		[DKIM_REASON_KEY_SUBDOMAIN] = REPORTREC_OTHER,
		[DKIM_REASON_KEY_WEAK] = REPORTREC_POLICY,
		[DKIM_REASON_KEY_SMALL] = REPORTREC_POLICY,
		[DKIM_REASON_KEY_LARGE] = REPORTREC_POLICY,
		[DKIM_REASON_KEY_BOGUS] = REPORTREC_POLICY,
		[DKIM_REASON_KEY_UNPROTECTED] = REPORTREC_POLICY,
		[DKIM_REASON_BODY_LENGTH] = REPORTREC_SYNTAX,
		[DKIM_REASON_BODY_CHANGED] = REPORTREC_VERIFY,
		[DKIM_REASON_BODY_PARTIAL] = REPORTREC_POLICY,
		[DKIM_REASON_BAD_SIGNATURE] = REPORTREC_VERIFY,
	};

	return kinds[reason];
}
