/* signer/lane: oldest first, answered in time whatever a worker does, bounded, no job lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/clock.h"
#include "signer/lane.h"

#define PATIENCE_MS 10000

/* Jobs that hang do so until the gate is open. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;

static atomic_int freed;
static atomic_int expired; /* in a queue */
static atomic_int expired_running;
static atomic_int lanes_gone;

struct job {
	struct lane_job lane; /* first */
	enum lane_result result;
	bool hangs;
	bool always;   /* the result is the same each time */
	int undecided; /* so often it cannot be expired yet */
	int number;
	atomic_int *order; /* where the number is stored when it runs; NULL: nowhere */
};

static atomic_int runs;
static atomic_int place;

static void wait_gate(void)
{
	(void)pthread_mutex_lock(&gate_lock);
	while (!gate_open)
		(void)pthread_cond_wait(&gate_moved, &gate_lock);
	(void)pthread_mutex_unlock(&gate_lock);
}

static void open_gate(bool open)
{
	(void)pthread_mutex_lock(&gate_lock);
	gate_open = open;
	(void)pthread_cond_broadcast(&gate_moved);
	(void)pthread_mutex_unlock(&gate_lock);
}

static enum lane_result run(struct lane_job *lane_job, void *worker)
{
	struct job *job = (struct job *)lane_job;
	enum lane_result result = job->result;

	(void)worker;
	atomic_fetch_add(&runs, 1);
	if (job->order != NULL)
		atomic_store(&job->order[atomic_fetch_add(&place, 1)], job->number);
	if (job->hangs)
		wait_gate();
	if (!job->always)
		job->result = LANE_DONE; /* the second time it just ends */
	return result;
}

static bool expire(struct lane_job *lane_job, bool running)
{
	struct job *job = (struct job *)lane_job;

	if (running && job->undecided-- > 0)
		return false;
	atomic_fetch_add(running ? &expired_running : &expired, 1);
	return true;
}

static void job_free(struct lane_job *job)
{
	free(job);
	atomic_fetch_add(&freed, 1);
}

static struct job *job_new(int64_t in_ms)
{
	struct job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->lane = (struct lane_job){ .deadline_ms = clock_mono_ms() + in_ms,
				       .run = run,
				       .expire = expire,
				       .free = job_free };
	return job;
}

static void ctx_free(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&lanes_gone, 1);
}

static const struct lane_ops ops = { .ctx_free = ctx_free };

static struct lane *start(unsigned workers, size_t max)
{
	struct lane *lane = NULL;

	open_gate(false);
	atomic_store(&freed, 0);
	atomic_store(&expired, 0);
	atomic_store(&expired_running, 0);
	atomic_store(&runs, 0);
	atomic_store(&place, 0);
	atomic_store(&lanes_gone, 0);
	assert_int_equal(lane_new("test", workers, max, &ops, NULL, &lane), ERR_OK);
	return lane;
}

static void wait_for(atomic_int *counter, int value)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (atomic_load(counter) < value && clock_mono_ms() < until)
		(void)poll(NULL, 0, 1);
	assert_int_equal(atomic_load(counter), value);
}

static void stop(struct lane **lane)
{
	int gone = atomic_load(&lanes_gone);

	open_gate(true);
	lane_close(lane);
	assert_null(*lane);
	wait_for(&lanes_gone, gone + 1);
}

static void submit(struct lane *lane, struct job *job)
{
	assert_int_equal(lane_submit(lane, &job->lane), ERR_OK);
}

/* A worker that is busy until the gate opens. */
static void occupy(struct lane *lane, int64_t in_ms)
{
	struct job *job = job_new(in_ms);
	int before = atomic_load(&runs);

	job->hangs = true;
	submit(lane, job);
	wait_for(&runs, before + 1);
}

static void the_oldest_job_is_first(void **state)
{
	struct lane *lane = start(1, 100);
	atomic_int order[10];

	(void)state;
	occupy(lane, PATIENCE_MS);
	for (int i = 0; i < 10; i++) {
		struct job *job = job_new(PATIENCE_MS);

		job->number = i;
		job->order = order;
		submit(lane, job);
	}
	open_gate(true);
	wait_for(&freed, 11);
	for (int i = 0; i < 10; i++)
		assert_int_equal(atomic_load(&order[i]), i);
	assert_int_equal(atomic_load(&expired), 0);
	stop(&lane);
}

static void a_full_queue_refuses(void **state)
{
	struct lane *lane = start(1, 3);
	struct job *more = job_new(PATIENCE_MS);

	(void)state;
	occupy(lane, PATIENCE_MS);
	for (int i = 0; i < 3; i++)
		submit(lane, job_new(PATIENCE_MS));
	assert_int_equal(lane_submit(lane, &more->lane), ERR_BUSY);
	assert_int_equal(lane_load(lane), 4);
	free(more);
	stop(&lane);
	assert_int_equal(atomic_load(&freed), 4); /* a lane that closes ends its work first */
}

static void what_waits_too_long_expires_and_is_not_run(void **state)
{
	struct lane *lane = start(1, 10);

	(void)state;
	occupy(lane, PATIENCE_MS);
	submit(lane, job_new(0));
	submit(lane, job_new(PATIENCE_MS));
	submit(lane, job_new(0));
	(void)lane_tick(lane, clock_mono_ms());
	assert_int_equal(atomic_load(&expired), 2);
	assert_int_equal(atomic_load(&freed), 2);
	open_gate(true);
	wait_for(&freed, 4);
	assert_int_equal(atomic_load(&runs), 2);
	stop(&lane);
}

static void a_job_that_hangs_expires_once_and_is_freed_when_it_comes_back(void **state)
{
	struct lane *lane = start(2, 10);
	int64_t now;

	(void)state;
	occupy(lane, 20);
	now = clock_mono_ms() + 100;
	assert_int_equal(lane_tick(lane, now).all_ms, 0); /* the other worker is free */
	assert_true(lane_tick(lane, now).longest_ms >= 80);
	assert_int_equal(atomic_load(&expired_running), 1);
	submit(lane, job_new(PATIENCE_MS));
	wait_for(&freed, 1);
	occupy(lane, 20);
	now = clock_mono_ms() + 100;
	assert_true(lane_tick(lane, now).all_ms >= 80);
	assert_int_equal(atomic_load(&expired_running), 2);
	open_gate(true);
	wait_for(&freed, 3);
	assert_int_equal(lane_tick(lane, clock_mono_ms()).all_ms, 0);
	assert_int_equal(atomic_load(&expired_running), 2);
	assert_int_equal(atomic_load(&expired), 0); /* none waited */
	stop(&lane);
}

static void a_job_that_is_being_decided_is_asked_again(void **state)
{
	struct lane *lane = start(1, 10);
	struct job *job = job_new(PATIENCE_MS);
	int64_t now = clock_mono_ms() + (int64_t)2 * PATIENCE_MS;

	(void)state;
	job->hangs = true;
	job->undecided = 2;
	submit(lane, job);
	wait_for(&runs, 1);
	for (int i = 0; i < 2; i++) {
		(void)lane_tick(lane, now);
		assert_int_equal(atomic_load(&expired_running), 0);
	}
	for (int i = 0; i < 2; i++) {
		(void)lane_tick(lane, now);
		assert_int_equal(atomic_load(&expired_running), 1);
	}
	stop(&lane);
}

/* The worker that has a job may give it another deadline while the others look after it. */
static enum lane_result run_and_change(struct lane_job *job, void *worker)
{
	enum lane_result result = run(job, worker);

	job->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	return result;
}

static void a_job_that_moves_gets_another_deadline(void **state)
{
	struct lane *first = start(1, 1000);
	struct lane *second = NULL;

	(void)state;
	assert_int_equal(lane_new("second", 1, 1000, &ops, NULL, &second), ERR_OK);
	for (int i = 0; i < 200; i++) {
		struct job *job = job_new(PATIENCE_MS);

		job->result = LANE_MOVE;
		job->lane.next_lane = second;
		job->lane.run = run_and_change;
		submit(first, job);
	}
	while (atomic_load(&freed) < 200) {
		(void)lane_tick(first, clock_mono_ms());
		(void)lane_tick(second, clock_mono_ms());
	}
	assert_int_equal(atomic_load(&runs), 400);
	stop(&first);
	stop(&second);
}

static void a_job_moves_to_another_lane(void **state)
{
	struct lane *first = start(1, 10);
	struct lane *second = NULL;
	struct job *job = job_new(PATIENCE_MS);

	(void)state;
	assert_int_equal(lane_new("second", 1, 10, &ops, NULL, &second), ERR_OK);
	job->result = LANE_MOVE;
	job->lane.next_lane = second;
	submit(first, job);
	wait_for(&runs, 2);
	wait_for(&freed, 1);
	assert_int_equal(atomic_load(&expired), 0);
	stop(&first);
	stop(&second);
}

static void a_job_that_cannot_move_expires(void **state)
{
	struct lane *first = start(1, 10);
	struct lane *full = NULL;
	struct job *job = job_new(PATIENCE_MS);

	(void)state;
	assert_int_equal(lane_new("full", 1, 0, &ops, NULL, &full), ERR_OK);
	job->result = LANE_MOVE;
	job->lane.next_lane = full;
	submit(first, job);
	wait_for(&freed, 1);
	assert_int_equal(atomic_load(&expired), 1);
	stop(&first);
	stop(&full);
}

static void the_job_of_a_parked_worker_goes_to_another(void **state)
{
	struct lane *lane = start(2, 10);
	struct job *job = job_new(PATIENCE_MS);

	(void)state;
	job->result = LANE_PARK;
	submit(lane, job);
	wait_for(&runs, 2);
	wait_for(&freed, 1);
	for (int i = 0; i < 5; i++)
		submit(lane, job_new(PATIENCE_MS));
	wait_for(&freed, 6);
	stop(&lane); /* does not wait until the pause is over */
}

/* A lane that closes with work that its last worker cannot do: it waits for the deadline, and not
 * with a whole core. */
static void a_parked_worker_of_a_closing_lane_does_not_spin(void **state)
{
	struct lane *lane = start(1, 10);
	struct job *job = job_new(1000);
	int before;

	(void)state;
	job->result = LANE_PARK;
	job->always = true;
	before = atomic_load(&runs);
	submit(lane, job);
	wait_for(&runs, before + 1);
	stop(&lane); /* until it is over */
	assert_true(atomic_load(&runs) - before < 3 + 1000 / LANE_PARK_CLOSING_MS);
}

static atomic_int rests;

static void count_rest(void *worker)
{
	(void)worker;
	atomic_fetch_add(&rests, 1);
}

static atomic_bool may_rest;

static void rest_long(void *worker)
{
	count_rest(worker);
	while (!atomic_load(&may_rest))
		(void)poll(NULL, 0, 1);
}

/* Its requests would wait for it while another token has sessions that are free. */
static void a_worker_that_lets_go_is_not_free(void **state)
{
	static const struct lane_ops resting_ops = { .worker_rest = rest_long };
	struct lane *lane = NULL;

	(void)state;
	atomic_store(&rests, 0);
	atomic_store(&may_rest, false);
	assert_int_equal(lane_new("rest", 2, 10, &resting_ops, NULL, &lane), ERR_OK);
	lane_rest(lane);
	wait_for(&rests, 2);
	assert_int_equal(lane_free(lane), 0);
	atomic_store(&may_rest, true);
	while (lane_free(lane) < 2)
		(void)poll(NULL, 0, 1);
	lane_close(&lane);
}

static void workers_let_go_when_they_have_nothing_to_do(void **state)
{
	static const struct lane_ops resting_ops = { .worker_rest = count_rest };
	struct lane *lane = NULL;

	(void)state;
	atomic_store(&rests, 0);
	lane = start(1, 1); /* counts anew */
	stop(&lane);
	assert_int_equal(lane_new("rest", 2, 10, &resting_ops, NULL, &lane), ERR_OK);
	submit(lane, job_new(PATIENCE_MS));
	wait_for(&freed, 1);
	assert_int_equal(atomic_load(&rests), 0);
	lane_rest(lane);
	wait_for(&rests, 2);		    /* each once */
	submit(lane, job_new(PATIENCE_MS)); /* served all the same */
	wait_for(&freed, 2);
	wait_for(&rests, 3);
	lane_close(&lane);
}

/* --- under load, for the thread sanitizer -------------------------------------------------------
 */

#define SUBMITTERS 3
#define EACH 300

static void *submit_many(void *arg)
{
	struct lane *lane = arg;

	for (int i = 0; i < EACH; i++) {
		struct job *job = job_new(i % 5 == 0 ? 0 : PATIENCE_MS);

		while (lane_submit(lane, &job->lane) != ERR_OK)
			(void)poll(NULL, 0, 1);
	}
	return NULL;
}

static void every_job_ends_once(void **state)
{
	struct lane *lane = start(4, 50);
	pthread_t threads[SUBMITTERS];

	(void)state;
	for (size_t i = 0; i < SUBMITTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, lane), 0);
	while (atomic_load(&freed) < SUBMITTERS * EACH) {
		(void)lane_tick(lane, clock_mono_ms());
		(void)poll(NULL, 0, 1);
	}
	for (size_t i = 0; i < SUBMITTERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&freed), SUBMITTERS * EACH);
	assert_int_equal(atomic_load(&runs) + atomic_load(&expired), SUBMITTERS * EACH);
	stop(&lane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_job_is_first),
		cmocka_unit_test(a_full_queue_refuses),
		cmocka_unit_test(what_waits_too_long_expires_and_is_not_run),
		cmocka_unit_test(a_job_that_hangs_expires_once_and_is_freed_when_it_comes_back),
		cmocka_unit_test(a_job_that_is_being_decided_is_asked_again),
		cmocka_unit_test(a_job_that_moves_gets_another_deadline),
		cmocka_unit_test(a_job_moves_to_another_lane),
		cmocka_unit_test(a_job_that_cannot_move_expires),
		cmocka_unit_test(the_job_of_a_parked_worker_goes_to_another),
		cmocka_unit_test(a_parked_worker_of_a_closing_lane_does_not_spin),
		cmocka_unit_test(workers_let_go_when_they_have_nothing_to_do),
		cmocka_unit_test(a_worker_that_lets_go_is_not_free),
		cmocka_unit_test(every_job_ends_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
