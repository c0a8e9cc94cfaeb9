/* libunbound behind questions that block only their asker: one pump thread runs its callbacks. */
#include "dns/resolver.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unbound.h>

struct dns_resolver {
	struct ub_ctx *ub;
	pthread_t pump;
	bool pump_runs;
	atomic_bool stop;
	pthread_mutex_t lock; /* guards all below, and what the queries say it guards */
	struct dns_query *under_way;
	size_t under_way_count;
};

/* For a question that libunbound answers out of its head. */
#define WARM_UP_MS 5000
/* How long the pump may sleep, and so how long dns_resolver_free() takes at most. */
#define PUMP_POLL_MS 100

/*
 * One question. libunbound works on until it has an answer or gives up, also for an asker that went
 * away, so a question is under way until its callback has run: only so can they be counted.
 */
struct dns_query {
	struct dns_resolver *resolver;
	pthread_cond_t came;
	/* The resolver's lock guards all below. */
	struct dns_query *next;
	struct dns_query **prev; /* what points to us; NULL: not under way */
	bool abandoned;		 /* no asker any more: the callback frees it */
	int error;
	struct ub_result *result;
	int64_t started_ms;
	int64_t answered_ms;
};

/* libunbound says SERVFAIL when nobody answered, too, but not before its three attempts are over
 * (set_options()): 376 + 752 + 1504 ms. */
#define SILENCE_MS 2500

static void query_free(struct dns_query *q)
{
	ub_resolve_free(q->result);
	(void)pthread_cond_destroy(&q->came);
	free(q);
}

static void link_query(struct dns_resolver *r, struct dns_query *q)
{
	q->next = r->under_way;
	q->prev = &r->under_way;
	if (q->next != NULL)
		q->next->prev = &q->next;
	r->under_way = q;
	r->under_way_count++;
}

static void unlink_query(struct dns_resolver *r, struct dns_query *q)
{
	*q->prev = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	q->prev = NULL;
	r->under_way_count--;
}

static void question_answered(void *ctx, int error, struct ub_result *result)
{
	struct dns_query *q = ctx;
	struct dns_resolver *r = q->resolver;
	bool abandoned;

	(void)pthread_mutex_lock(&r->lock);
	unlink_query(r, q);
	q->error = error;
	q->result = result;
	q->answered_ms = clock_mono_ms();
	abandoned = q->abandoned;
	if (!abandoned)
		(void)pthread_cond_signal(&q->came);
	(void)pthread_mutex_unlock(&r->lock);
	if (abandoned)
		query_free(q);
}

static void *pump_main(void *ctx)
{
	struct dns_resolver *r = ctx;

	while (!atomic_load(&r->stop)) {
		struct pollfd fd = { .fd = ub_fd(r->ub), .events = POLLIN };

		if (poll(&fd, 1, PUMP_POLL_MS) > 0)
			(void)ub_process(r->ub);
	}
	return NULL;
}

static enum err bad(struct err_detail *detail, const char *what, const char *value, int error)
{
	err_detail_set(detail, "%s %s: %s", what, value, ub_strerror(error));
	return ERR_CONFIG;
}

static enum err set_nameservers(struct ub_ctx *ub, const char *list, struct err_detail *detail)
{
	struct slice rest = slice_str(list);
	struct slice part;

	while (slice_next(&rest, ',', &part)) {
		char *address = slice_dup(slice_trim(part));
		int error;
		enum err e = ERR_OK;

		if (address == NULL)
			return ERR_NOMEM;
		error = ub_ctx_set_fwd(ub, address);
		if (error != 0)
			e = bad(detail, "Nameservers:", address, error);
		free(address);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/*
 * Room for many questions at once; the defaults of the library are for one or two.
 *
 * And an end to questions that nobody answers. By default such a question lives for minutes and
 * holds a socket, and a server that was silent for a few is not asked for anything for 15 minutes:
 * with one forwarder, anyone who can send mail could stop all look-ups with a domain whose servers
 * are silent. So there are three attempts, doubled from 376 ms, which leave the server usable, and
 * what is known of a server's silence is forgotten after a second. It never begins with less,
 * however near a server is: what a forwarder has to look up itself takes its time.
 */
static void set_options(struct ub_ctx *ub)
{
	static const char *const options[][2] = {
		{ "outgoing-range:", "512" },	     { "num-queries-per-thread:", "1024" },
		{ "do-not-query-localhost:", "no" }, { "qname-minimisation:", "no" },
		{ "outbound-msg-retry:", "3" },	     { "infra-cache-max-rtt:", "4000" },
		{ "infra-host-ttl:", "1" },	     { "infra-cache-min-rtt:", "376" },
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)ub_ctx_set_option(ub, options[i][0], options[i][1]);
}

static enum err configure(struct ub_ctx *ub, const struct dns_resolver_config *c,
			  struct err_detail *detail)
{
	enum err e = ERR_OK;
	int error = 0;

	set_options(ub);
	if (c->unbound_config != NULL)
		error = ub_ctx_config(ub, c->unbound_config);
	if (error != 0)
		return bad(detail, "ResolverConfiguration", c->unbound_config, error);
	if (c->nameservers != NULL)
		e = set_nameservers(ub, c->nameservers, detail);
	else if (c->unbound_config == NULL)
		error = ub_ctx_resolvconf(ub, NULL);
	if (error != 0)
		return bad(detail, "resolver list", "/etc/resolv.conf", error);
	if (e == ERR_OK && c->trust_anchor_file != NULL)
		error = ub_ctx_add_ta_file(ub, c->trust_anchor_file);
	if (error != 0)
		return bad(detail, "TrustAnchorFile", c->trust_anchor_file, error);
	return e;
}

static enum err start(struct dns_resolver *r, const struct dns_resolver_config *config,
		      struct err_detail *detail)
{
	enum err e;

	(void)pthread_mutex_init(&r->lock, NULL);
	r->ub = ub_ctx_create();
	if (r->ub == NULL)
		return ERR_NOMEM;
	e = configure(r->ub, config, detail);
	if (e != ERR_OK)
		return e;
	(void)ub_ctx_async(r->ub, 1);
	r->pump_runs = pthread_create(&r->pump, NULL, pump_main, r) == 0;
	return r->pump_runs ? ERR_OK : ERR_NOMEM;
}

enum err dns_resolver_new(const struct dns_resolver_config *config,
			  struct dns_resolver **ret_resolver, struct err_detail *detail)
{
	struct dns_resolver *r = calloc(1, sizeof(*r));
	enum err e = r != NULL ? start(r, config, detail) : ERR_NOMEM;

	if (e == ERR_OK)
		*ret_resolver = r;
	else
		dns_resolver_free(&r);
	return e;
}

void dns_resolver_free(struct dns_resolver **resolver)
{
	struct dns_resolver *r = *resolver;
	struct dns_query *next;

	if (r == NULL)
		return;
	atomic_store(&r->stop, true);
	if (r->pump_runs)
		(void)pthread_join(r->pump, NULL);
	if (r->ub != NULL)
		ub_ctx_delete(r->ub);
	/* Their callbacks will not come any more. */
	for (struct dns_query *q = r->under_way; q != NULL; q = next) {
		next = q->next;
		query_free(q);
	}
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
	*resolver = NULL;
}

static void take_result(const struct ub_result *u, struct dns_answer *answer)
{
	answer->secure = u->secure != 0;
	if (u->why_bogus != NULL)
		(void)snprintf(answer->why, sizeof(answer->why), "%s", u->why_bogus);
	if (u->bogus != 0)
		answer->status = DNS_BOGUS;
	else if (u->havedata != 0)
		answer->status = DNS_FOUND;
	else if (u->rcode == 3)
		answer->status = DNS_NXDOMAIN;
	else if (u->rcode == 0)
		answer->status = DNS_NODATA;
	else
		answer->status = u->rcode == 5 ? DNS_REFUSED : DNS_SERVFAIL;
	for (size_t i = 0; u->havedata != 0 && u->data[i] != NULL; i++) {
		enum err e = dns_answer_add(answer, u->data[i], (size_t)u->len[i]);

		if (e == ERR_OK)
			continue;
		if (e != ERR_LIMIT)
			answer->status = DNS_BROKEN;
		return;
	}
}

static struct dns_query *query_new(struct dns_resolver *resolver)
{
	struct dns_query *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (q == NULL)
		return NULL;
	q->resolver = resolver;
	q->started_ms = clock_mono_ms();
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&q->came, &attr);
	(void)pthread_condattr_destroy(&attr);
	return q;
}

/* @return false: too many are under way */
static bool admit(struct dns_resolver *r, struct dns_query *q)
{
	bool ok;

	(void)pthread_mutex_lock(&r->lock);
	ok = r->under_way_count < DNS_QUERIES_MAX;
	if (ok)
		link_query(r, q);
	(void)pthread_mutex_unlock(&r->lock);
	return ok;
}

static void withdraw(struct dns_resolver *r, struct dns_query *q)
{
	(void)pthread_mutex_lock(&r->lock);
	unlink_query(r, q);
	(void)pthread_mutex_unlock(&r->lock);
	query_free(q);
}

enum err dns_query_start(struct dns_resolver *resolver, const char *name, enum dns_type type,
			 struct dns_query **ret_query)
{
	struct dns_query *q = query_new(resolver);

	if (q == NULL)
		return ERR_NOMEM;
	if (!admit(resolver, q)) {
		query_free(q);
		return ERR_BUSY;
	}
	if (ub_resolve_async(resolver->ub, name, (int)type, 1, q, question_answered, NULL) != 0) {
		withdraw(resolver, q);
		return ERR_IO;
	}
	*ret_query = q;
	return ERR_OK;
}

/* @return true: the callback has run; false: it will free the query */
static bool wait_or_abandon(struct dns_query *q, int64_t deadline_ms)
{
	struct dns_resolver *r = q->resolver;
	struct timespec until = { .tv_sec = (time_t)(deadline_ms / 1000),
				  .tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
	int error = 0;
	bool done;

	(void)pthread_mutex_lock(&r->lock);
	while (q->prev != NULL && error == 0)
		error = pthread_cond_timedwait(&q->came, &r->lock, &until);
	done = q->prev == NULL;
	q->abandoned = !done;
	(void)pthread_mutex_unlock(&r->lock);
	return done;
}

void dns_query_finish(struct dns_query **query, int64_t deadline_ms, struct dns_answer *answer)
{
	struct dns_query *q = *query;

	*query = NULL;
	if (!wait_or_abandon(q, deadline_ms)) {
		if (answer != NULL)
			answer->status = DNS_TIMEOUT;
		return;
	}
	if (answer != NULL) {
		answer->status = DNS_SERVFAIL;
		if (q->error == 0 && q->result != NULL)
			take_result(q->result, answer);
		if (answer->status == DNS_SERVFAIL && q->answered_ms - q->started_ms >= SILENCE_MS)
			answer->status = DNS_TIMEOUT;
	}
	query_free(q);
}

void dns_resolver_ask(struct dns_resolver *resolver, const char *name, enum dns_type type,
		      int timeout_ms, struct dns_answer *answer)
{
	struct dns_query *q = NULL;

	answer->status = DNS_BROKEN;
	if (dns_query_start(resolver, name, type, &q) == ERR_OK)
		dns_query_finish(&q, clock_mono_ms() + timeout_ms, answer);
}

enum err dns_resolver_warm_up(struct dns_resolver *resolver)
{
	struct dns_query *q = NULL;
	enum err e = dns_query_start(resolver, "localhost", DNS_TYPE_A, &q);

	if (e == ERR_OK)
		dns_query_finish(&q, clock_mono_ms() + WARM_UP_MS, NULL);
	return e;
}
