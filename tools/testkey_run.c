/* All rows at once: a thread a row up to a limit, so that a slow one holds up no other. */
#include "tools/testkey.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A thread waits nearly all its time; 256 of them are 16 MB of stacks. */
#define THREADS_MAX 256U
#define THREAD_STACK_BYTES ((size_t)256 * 1024)

struct pool {
	const struct testkey_plan *plan;
	struct testkey_row *rows;
	size_t count;
	atomic_size_t next;
	pthread_mutex_t lock; /* guards done() */
	void (*done)(void *ctx, const struct testkey_row *row);
	void *ctx;
};

static void *work(void *ctx)
{
	struct pool *pool = ctx;
	size_t i;

	while ((i = atomic_fetch_add(&pool->next, 1)) < pool->count) {
		testkey_check(pool->plan, &pool->rows[i]);
		(void)pthread_mutex_lock(&pool->lock);
		pool->done(pool->ctx, &pool->rows[i]);
		(void)pthread_mutex_unlock(&pool->lock);
	}
	return NULL;
}

enum err testkey_run(const struct testkey_plan *plan, struct testkey_row *rows, size_t count,
		     void (*done)(void *ctx, const struct testkey_row *row), void *ctx)
{
	struct pool pool = { .plan = plan, .rows = rows, .count = count, .done = done, .ctx = ctx };
	pthread_t threads[THREADS_MAX];
	pthread_attr_t attr;
	size_t started = 0;

	if (pthread_mutex_init(&pool.lock, NULL) != 0 || pthread_attr_init(&attr) != 0)
		return ERR_NOMEM;
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	while (started < count && started < THREADS_MAX &&
	       pthread_create(&threads[started], &attr, work, &pool) == 0)
		started++;
	if (started == 0)
		(void)work(&pool);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_mutex_destroy(&pool.lock);
	return ERR_OK;
}
