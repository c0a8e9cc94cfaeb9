/* One row of hsmdkim-testkey: the question, the verdict, and where else the record may be. */
#include "base/text.h"
#include "tools/authcheck.h"
#include "tools/testkey.h"

#include <stdio.h>

/* Texts of one row: 32 servers at a line each. */
#define FOUND_BYTES_MAX 8192U
/* Other selectors of the same domain that are looked at. */
#define OTHER_SELECTORS_MAX 20U

void testkey_row_init(struct testkey_row *row, const struct keyset_row *key)
{
	*row = (struct testkey_row){ .key = key };
	keycheck_result_init(&row->result);
	buf_init(&row->found, FOUND_BYTES_MAX);
	(void)snprintf(row->name, sizeof(row->name), "%s._domainkey.%s", key->selector,
		       key->domain);
}

void testkey_row_done(struct testkey_row *row)
{
	keycheck_result_done(&row->result);
	buf_done(&row->found);
}

static struct keycheck_want want_of(const struct keyset_row *key)
{
	return (struct keycheck_want){ .has_key = key->has_key,
				       .type = key->key.type,
				       .p = buf_slice(&key->key.p) };
}

/* Foreign text for people, in one line. */
static void add_found(struct testkey_row *row, struct slice text)
{
	char shown[600];

	buf_add_str(&row->found, text_sanitize(text, shown, sizeof(shown)));
}

static void ask_txt(const struct testkey_plan *plan, const char *name, struct dns_answer *answer)
{
	dns_answer_init(answer);
	dns_resolver_ask(plan->resolver, name, DNS_TYPE_TXT, plan->timeout_ms, answer);
}

/* Is a record there that may be ours? Without a key of ours any key record counts. */
static bool is_at(const struct testkey_plan *plan, const struct testkey_row *row, const char *name)
{
	struct keycheck_want want = want_of(row->key);
	struct dns_answer answer;
	struct keycheck_result result;
	bool there;

	ask_txt(plan, name, &answer);
	keycheck_result_init(&result);
	keycheck_answer(&answer, &want, &result);
	there = answer.status == DNS_FOUND &&
		(want.has_key ? keycheck_holds(&answer, want.p) : result.p.len != 0);
	keycheck_result_done(&result);
	dns_answer_done(&answer);
	return there;
}

static bool found_at(const struct testkey_plan *plan, struct testkey_row *row, const char *name,
		     enum keycheck_id id)
{
	if (!is_at(plan, row, name))
		return false;
	row->result.id = id;
	buf_add_fmt(&row->found, "at %s", name);
	return true;
}

static bool search_cname(const struct testkey_plan *plan, struct testkey_row *row)
{
	struct dns_answer answer;
	char target[DNS_NAME_TEXT_MAX];
	bool found;

	dns_answer_init(&answer);
	dns_resolver_ask(plan->resolver, row->name, DNS_TYPE_CNAME, plan->timeout_ms, &answer);
	found = answer.status == DNS_FOUND && answer.count != 0;
	if (found) {
		row->result.id = KEY_DANGLING;
		if (dns_name_text(answer.data[0], target, NULL) == ERR_OK)
			buf_add_fmt(&row->found, "CNAME to %s", target);
	}
	dns_answer_done(&answer);
	return found;
}

/* The whole name with the zone behind it once more; the zone is the domain or a parent of it. */
static bool search_doubled(const struct testkey_plan *plan, struct testkey_row *row)
{
	const char *zone = row->key->domain;

	while (zone != NULL && strchr(zone, '.') != NULL) {
		char name[DNS_NAME_TEXT_MAX];
		int n = snprintf(name, sizeof(name), "%s.%s", row->name, zone);

		if (n > 0 && (size_t)n < sizeof(name) && found_at(plan, row, name, KEY_DOUBLED))
			return true;
		zone = strchr(zone, '.') + 1;
	}
	return false;
}

static bool search_bare(const struct testkey_plan *plan, struct testkey_row *row)
{
	char name[DNS_NAME_TEXT_MAX];

	(void)snprintf(name, sizeof(name), "%s.%s", row->key->selector, row->key->domain);
	if (found_at(plan, row, name, KEY_AT_SELECTOR))
		return true;
	(void)snprintf(name, sizeof(name), "%s.domainkey.%s", row->key->selector, row->key->domain);
	return found_at(plan, row, name, KEY_AT_SELECTOR);
}

static bool search_selector(const struct testkey_plan *plan, struct testkey_row *row,
			    const char *selector)
{
	char name[DNS_NAME_TEXT_MAX];

	if (strcmp(selector, row->key->selector) == 0)
		return false;
	(void)snprintf(name, sizeof(name), "%s._domainkey.%s", selector, row->key->domain);
	return found_at(plan, row, name, KEY_AT_OTHER);
}

/* Selectors can't be listed: those of the table for this domain, then those that people use. */
static bool search_other_selectors(const struct testkey_plan *plan, struct testkey_row *row)
{
	static const char *const usual[] = { "default", "mail", "dkim", "selector1",
					     "s1",	"key1", "k1",	"smtp" };
	size_t tried = 0;

	if (!row->key->has_key)
		return false; /* nothing would tell whose key it is */
	for (size_t i = 0; i < plan->set->count && tried < OTHER_SELECTORS_MAX; i++) {
		const struct keyset_row *other = &plan->set->rows[i];

		if (!slice_ieq(slice_str(other->domain), slice_str(row->key->domain)))
			continue;
		tried++;
		if (search_selector(plan, row, other->selector))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (search_selector(plan, row, usual[i]))
			return true;
	return false;
}

void testkey_search(const struct testkey_plan *plan, struct testkey_row *row)
{
	static bool (*const places[])(const struct testkey_plan *, struct testkey_row *) = {
		search_cname,
		search_doubled,
		search_bare,
		search_other_selectors,
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (places[i](plan, row))
			return;
}

static void describe_server(struct testkey_row *row, const struct dns_server *server,
			    const struct dns_answer *answer)
{
	struct keycheck_want want = want_of(row->key);
	struct keycheck_result result;

	keycheck_result_init(&result);
	keycheck_answer(answer, &want, &result);
	buf_add_fmt(&row->found, "%s%s (%s): %s", row->found.len != 0 ? "; " : "", server->name,
		    server->address, keycheck_info(result.id)->message);
	keycheck_result_done(&result);
}

static bool is_failure(enum dns_status status)
{
	return status != DNS_FOUND && status != DNS_NXDOMAIN && status != DNS_NODATA;
}

void testkey_compare_servers(const struct testkey_plan *plan, struct testkey_row *row,
			     const struct dns_answer *seen)
{
	struct authcheck *check = NULL;
	struct keycheck_want want = { .has_key = false };
	enum dns_status status = authcheck_ask(
		plan->resolver, row->name, (uint16_t)plan->options->port, plan->timeout_ms, &check);
	enum keycheck_id id = KEY_OK;

	if (status != DNS_FOUND && !is_failure(seen->status)) {
		buf_add_fmt(&row->found, "the zone's name servers could not be found: %s",
			    dns_status_text(status));
		id = KEY_TIMEOUT;
	}
	for (size_t i = 0; status == DNS_FOUND && i < check->servers.count; i++) {
		const struct dns_answer *answer = &check->answers[i];
		struct keycheck_result result;

		if (keycheck_same(answer, seen) ||
		    (answer->count == 0 && seen->count == 0 && !is_failure(answer->status)))
			continue;
		describe_server(row, &check->servers.list[i], answer);
		keycheck_result_init(&result);
		keycheck_answer(answer, &want, &result);
		if (id != KEY_NOT_EVERYWHERE)
			id = is_failure(answer->status) ? result.id : KEY_NOT_EVERYWHERE;
		keycheck_result_done(&result);
	}
	if (id != KEY_OK)
		row->result.id = id;
	authcheck_free(&check);
}

static void name_owner(const struct testkey_plan *plan, struct testkey_row *row)
{
	row->owner = keyset_owner(plan->set, buf_slice(&row->result.p));
	if (row->owner == NULL)
		return;
	row->result.id = KEY_OTHERS;
	buf_add_fmt(&row->found, "the key of %s (%s._domainkey.%s)", row->owner->name,
		    row->owner->selector, row->owner->domain);
}

/* One key under two names of DNS. Two rows with the same record are only two ways to it. */
static void note_twin(struct testkey_row *row)
{
	const struct keyset_row *twin = row->key->twin;

	if (twin == NULL || keycheck_info(row->result.id)->exit_status != EX_OK)
		return;
	keycheck_remark(&row->result, KEY_SHARED);
	if (row->result.id != KEY_SHARED)
		return;
	row->owner = twin;
	buf_add_fmt(&row->found, "the key of %s (%s._domainkey.%s), too", twin->name,
		    twin->selector, twin->domain);
}

static void add_what_was_seen(struct testkey_row *row, const struct dns_answer *answer)
{
	if (row->found.len != 0 || row->result.id == KEY_OK)
		return;
	if (answer->count > 1)
		buf_add_fmt(&row->found, "%zu records, the first is: ", answer->count);
	if (answer->status == DNS_BOGUS)
		add_found(row, slice_str(answer->why));
	add_found(row, buf_slice(&row->result.text));
}

void testkey_check(const struct testkey_plan *plan, struct testkey_row *row)
{
	struct keycheck_want want = want_of(row->key);
	struct dns_answer answer;

	if (row->key->any_domain || row->key->why != ERR_OK) {
		row->result.id = row->key->any_domain ? KEY_NO_DOMAIN : KEY_UNREADABLE;
		buf_add_str(&row->found, row->key->error.text);
		return;
	}
	ask_txt(plan, row->name, &answer);
	keycheck_answer(&answer, &want, &row->result);
	if (row->result.id == KEY_NO_RECORD)
		testkey_search(plan, row);
	if (row->result.id == KEY_WRONG || row->result.id == KEY_TYPE_DIFFERS)
		name_owner(plan, row);
	note_twin(row);
	if (plan->options->authoritative && !is_failure(answer.status))
		testkey_compare_servers(plan, row, &answer);
	add_what_was_seen(row, &answer);
	dns_answer_done(&answer);
}
