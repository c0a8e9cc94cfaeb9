/* Between DNS and the verifier: bounds on records, DNSSEC states, statuses. */
#include "daemon/keylookup.h"

#include "base/clock.h"
#include "base/limits.h"

#include <time.h>

#define RETRY_MS 20

struct keylookup {
	struct arena *arena;
	size_t count;
	struct dns_source *source;
	const struct idn_name *names;
	struct dns_ticket **tickets; /* NULL: it could not be asked so far */
	struct dkim_key_answer *answers;
};

enum err keylookup_start(struct arena *arena, struct dns_source *source,
			 const struct idn_name *names, size_t count, struct keylookup **ret_lookup)
{
	struct keylookup *l = arena_calloc(arena, 1, sizeof(*l));

	if (l == NULL)
		return ERR_NOMEM;
	l->arena = arena;
	l->source = source;
	l->names = names;
	l->count = count;
	l->tickets = arena_calloc(arena, count + 1, sizeof(struct dns_ticket *));
	l->answers = arena_calloc(arena, count + 1, sizeof(*l->answers));
	if (l->tickets == NULL || l->answers == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		if (dns_source_ask(source, slice_of(names[i].text, names[i].len), &l->tickets[i]) !=
		    ERR_OK)
			l->tickets[i] = NULL;
	*ret_lookup = l;
	return ERR_OK;
}

static enum dkim_key_status status_of(enum dns_status status)
{
	static const enum dkim_key_status statuses[DNS_STATUS_COUNT] = {
		[DNS_FOUND] = DKIM_KEY_FOUND,	   [DNS_NXDOMAIN] = DKIM_KEY_NOT_FOUND,
		[DNS_NODATA] = DKIM_KEY_NOT_FOUND, [DNS_BOGUS] = DKIM_KEY_FOUND,
		[DNS_SERVFAIL] = DKIM_KEY_FAILED,  [DNS_REFUSED] = DKIM_KEY_FAILED,
		[DNS_TIMEOUT] = DKIM_KEY_TIMEOUT,  [DNS_BROKEN] = DKIM_KEY_GARBAGE,
	};

	return statuses[status];
}

static enum dkim_dnssec dnssec_of(const struct dns_answer *answer, bool validating)
{
	if (answer->status == DNS_BOGUS)
		return DKIM_DNSSEC_BOGUS;
	if (answer->secure)
		return DKIM_DNSSEC_SECURE;
	return validating ? DKIM_DNSSEC_INSECURE : DKIM_DNSSEC_UNKNOWN;
}

/* Bogus data is kept: BogusKey decides. Without data "bogus" is a denial that cannot be trusted,
 * and dkim/verify takes it for that. */
static enum err take_answer(struct keylookup *l, const struct dns_answer *dns, bool validating,
			    struct dkim_key_answer *answer)
{
	struct dns_texts texts;
	enum err e = dns_txt_texts(dns, LIMIT_KEY_RECORD_BYTES, l->arena, &texts);

	*answer = (struct dkim_key_answer){
		.status = status_of(dns->status),
		.dnssec = dnssec_of(dns, validating),
		.records = texts.list,
		.count = texts.count,
	};
	if (texts.too_large)
		answer->status = DKIM_KEY_TOO_LARGE;
	else if (answer->status == DKIM_KEY_FOUND && texts.count == 0)
		answer->status = dns->count == 0 ? DKIM_KEY_NOT_FOUND : DKIM_KEY_GARBAGE;
	return e;
}

/* So many questions are under way that this one was refused: it waits for its turn. */
static void ask_late(struct keylookup *l, size_t i, int64_t deadline_ms)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
	struct slice name = slice_of(l->names[i].text, l->names[i].len);

	while (dns_source_ask(l->source, name, &l->tickets[i]) == ERR_BUSY &&
	       clock_mono_ms() < deadline_ms)
		(void)nanosleep(&pause, NULL);
}

static enum err finish_one(struct keylookup *l, size_t i, int64_t deadline_ms, bool validating)
{
	struct dns_answer dns;
	enum err e;

	if (l->tickets[i] == NULL)
		ask_late(l, i, deadline_ms);
	if (l->tickets[i] == NULL) {
		l->answers[i].status = DKIM_KEY_FAILED;
		return ERR_OK;
	}
	dns_answer_init(&dns);
	dns_ticket_finish(&l->tickets[i], deadline_ms, &dns);
	e = take_answer(l, &dns, validating, &l->answers[i]);
	dns_answer_done(&dns);
	return e;
}

enum err keylookup_finish(struct keylookup *lookup, int64_t deadline_ms, bool validating,
			  const struct dkim_key_answer **ret_answers)
{
	for (size_t i = 0; i < lookup->count; i++) {
		enum err e = finish_one(lookup, i, deadline_ms, validating);

		if (e != ERR_OK)
			return e;
	}
	*ret_answers = lookup->answers;
	return ERR_OK;
}

void keylookup_free(struct keylookup **lookup)
{
	if (lookup == NULL || *lookup == NULL)
		return;
	for (size_t i = 0; i < (*lookup)->count; i++)
		dns_ticket_finish(&(*lookup)->tickets[i], 0, NULL);
	*lookup = NULL;
}
