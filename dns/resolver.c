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
};

/* How long the pump may sleep, and so how long dns_resolver_free() takes at most. */
#define PUMP_POLL_MS 100

/* One question under way. The asker frees it only when the callback has run or is sure never to
 * run. */
struct dns_query {
	struct dns_resolver *resolver;
	int id;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t came;
	bool done;
	int error;
	struct ub_result *result;
};

static void question_answered(void *ctx, int error, struct ub_result *result)
{
	struct dns_query *q = ctx;

	(void)pthread_mutex_lock(&q->lock);
	q->error = error;
	q->result = result;
	q->done = true;
	(void)pthread_cond_signal(&q->came);
	(void)pthread_mutex_unlock(&q->lock);
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

/* Room for many questions at once; the defaults of the library are for one or two. */
static void set_sizes(struct ub_ctx *ub)
{
	static const char *const options[][2] = {
		{ "outgoing-range:", "512" },
		{ "num-queries-per-thread:", "1024" },
		{ "do-not-query-localhost:", "no" },
		{ "qname-minimisation:", "no" },
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)ub_ctx_set_option(ub, options[i][0], options[i][1]);
}

static enum err configure(struct ub_ctx *ub, const struct dns_resolver_config *c,
			  struct err_detail *detail)
{
	enum err e = ERR_OK;
	int error = 0;

	set_sizes(ub);
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

	if (r == NULL)
		return;
	atomic_store(&r->stop, true);
	if (r->pump_runs)
		(void)pthread_join(r->pump, NULL);
	if (r->ub != NULL)
		ub_ctx_delete(r->ub);
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
	for (size_t i = 0; u->havedata != 0 && u->data[i] != NULL; i++)
		if (dns_answer_add(answer, u->data[i], (size_t)u->len[i]) != ERR_OK)
			return;
}

static void wait_until(struct dns_query *q, int64_t deadline_ms)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ms / 1000),
				  .tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
	int error = 0;

	(void)pthread_mutex_lock(&q->lock);
	while (!q->done && error == 0)
		error = deadline_ms < 0 ? pthread_cond_wait(&q->came, &q->lock)
					: pthread_cond_timedwait(&q->came, &q->lock, &until);
	(void)pthread_mutex_unlock(&q->lock);
}

static struct dns_query *query_new(struct dns_resolver *resolver)
{
	struct dns_query *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (q == NULL)
		return NULL;
	q->resolver = resolver;
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&q->came, &attr);
	(void)pthread_condattr_destroy(&attr);
	return q;
}

static void query_free(struct dns_query *q)
{
	ub_resolve_free(q->result);
	(void)pthread_cond_destroy(&q->came);
	(void)pthread_mutex_destroy(&q->lock);
	free(q);
}

static bool is_done(struct dns_query *q)
{
	bool done;

	(void)pthread_mutex_lock(&q->lock);
	done = q->done;
	(void)pthread_mutex_unlock(&q->lock);
	return done;
}

enum err dns_query_start(struct dns_resolver *resolver, const char *name, enum dns_type type,
			 struct dns_query **ret_query)
{
	struct dns_query *q = query_new(resolver);

	if (q == NULL)
		return ERR_NOMEM;
	if (ub_resolve_async(resolver->ub, name, (int)type, 1, q, question_answered, &q->id) != 0) {
		query_free(q);
		return ERR_IO;
	}
	*ret_query = q;
	return ERR_OK;
}

void dns_query_finish(struct dns_query **query, int64_t deadline_ms, struct dns_answer *answer)
{
	struct dns_query *q = *query;

	*query = NULL;
	wait_until(q, deadline_ms);
	/* Not found any more: the callback has run or is running. */
	if (!is_done(q) && ub_cancel(q->resolver->ub, q->id) != 0)
		wait_until(q, -1);
	if (answer != NULL) {
		answer->status = q->done ? DNS_SERVFAIL : DNS_TIMEOUT;
		if (q->done && q->error == 0 && q->result != NULL)
			take_result(q->result, answer);
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

void dns_resolver_warm_up(struct dns_resolver *resolver)
{
	struct ub_result *result = NULL;

	if (ub_resolve(resolver->ub, "localhost.", DNS_TYPE_A, 1, &result) == 0)
		ub_resolve_free(result);
}
