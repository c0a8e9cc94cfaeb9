/* Probes: see probe.h. */
#include "signer/probe.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct probe {
	struct lane_job job; /* first: the lanes know nothing else */
	const struct request_env *env;
	struct tokenlane *token;
	bool first;
	atomic_bool reported; /* by the worker or by its deadline, whoever is first */
};

static void report_failure(struct probe *p, enum err error, const struct err_detail *detail)
{
	char why[sizeof(detail->text) + 64];

	if (atomic_exchange(&p->reported, true))
		return;
	if (!health_probe_failed(tokenlane_health(p->token), error, detail))
		return;
	(void)snprintf(why, sizeof(why), "token %s does not come back (%s)",
		       token_name(tokenlane_token(p->token)), detail->text);
	p->env->restart(p->env->ctx, why);
}

/* @param key the one that signed; NULL: none is known */
static void report_success(struct probe *p, struct signkey *key, const struct token_key *replica)
{
	char what[256];

	if (atomic_exchange(&p->reported, true))
		return;
	if (key != NULL)
		health_worked(tokenlane_health(p->token), key, replica);
	else
		health_answered(tokenlane_health(p->token));
	if (p->first)
		log_line(LOG_LEVEL_INFO, "token %s: in service (%s)",
			 token_name(tokenlane_token(p->token)),
			 token_describe(tokenlane_token(p->token), what, sizeof(what)));
}

/* With a key that signed before. *ret_again: it is gone, and the token not; another one may do. */
static enum err sign_once(struct probe *p, struct token_worker *w, bool *ret_again,
			  struct err_detail *detail)
{
	struct health *health = tokenlane_health(p->token);
	const struct token_key *replica = NULL;
	struct signkey *key = health_probe_key(health, &replica);
	bool reload = false;
	enum err e = ERR_OK;

	if (key != NULL)
		e = token_key_test(w->session, replica, &reload, detail);
	else
		e = token_session_check(w->session, detail);
	*ret_again = e != ERR_OK && !reload && !health_blames_token(e);
	if (*ret_again)
		health_forget_key(health, key);
	if (e == ERR_OK)
		report_success(p, key, replica);
	signkey_unref(&key);
	return e;
}

static enum err sign(struct probe *p, struct token_worker *w, struct err_detail *detail)
{
	bool again;
	enum err e;

	do {
		e = sign_once(p, w, &again, detail);
	} while (again); /* each time with a key less */
	return e;
}

static enum lane_result run(struct lane_job *job, void *worker)
{
	struct probe *p = (struct probe *)job;
	struct token_worker *w = worker;
	struct err_detail detail = { "" };
	enum err e = w != NULL ? ERR_OK : ERR_NOMEM;

	if (e == ERR_OK && w->session == NULL)
		e = token_session_open(tokenlane_token(p->token), &w->session, &detail);
	if (e == ERR_TOKEN_BUSY && token_open_sessions(tokenlane_token(p->token)) > 0) {
		report_success(p, NULL, NULL); /* others of its sessions are at work */
		return LANE_DONE;
	}
	if (e == ERR_OK)
		e = sign(p, w, &detail);
	if (e == ERR_OK)
		return LANE_DONE;
	if (w != NULL)
		token_session_close(&w->session);
	report_failure(p, e, &detail);
	return LANE_DONE;
}

static bool expire(struct lane_job *job, bool running)
{
	static const struct err_detail detail = { "it did not answer" };
	struct probe *p = (struct probe *)job;

	if (running && !tokenlane_reads(p->token))
		report_failure(p, ERR_TOKEN_TIMEOUT, &detail);
	else if (!atomic_exchange(&p->reported, true)) /* no session was free: nothing was tried */
		health_probe_lost(tokenlane_health(p->token));
	return true;
}

static void probe_free(struct lane_job *job)
{
	struct probe *p = (struct probe *)job;
	const struct request_env *env = p->env;

	tokenlane_unref(&p->token);
	free(p);
	env->done(env->ctx, 0);
}

enum err probe_start(const struct request_env *env, struct tokenlane *token, int64_t deadline_ms,
		     bool first)
{
	struct probe *p = calloc(1, sizeof(*p));
	enum err e;

	if (p == NULL)
		return ERR_NOMEM;
	p->job = (struct lane_job){
		.deadline_ms = deadline_ms, .run = run, .expire = expire, .free = probe_free
	};
	p->env = env;
	p->token = tokenlane_ref(token);
	p->first = first;
	env->begun(env->ctx, 0);
	e = lane_submit(tokenlane_lane(token), &p->job);
	if (e != ERR_OK)
		probe_free(&p->job);
	return e;
}
