/* signer/client against a fake signer: late answers, restarts, deadlines, a full queue, nonsense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fake_signer.h"

#define PENDING 16u
/* For waits that are expected to end by the deadline. */
#define SOON_MS 30
#define DOMAIN SLICE_LIT("from.example")

static struct sigclient *client;
static struct fake_signer signer = { .fd = -1 };

static int64_t in_ms(int64_t ms)
{
	return clock_mono_ms() + ms;
}

static int start(void **state)
{
	(void)state;
	if (sigclient_new(PENDING, &client) != ERR_OK)
		return -1;
	fake_start(&signer, client);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	sigclient_free(&client);
	fake_crash(&signer);
	return 0;
}

static struct sigjob *ask_key(const char *name, int64_t deadline_ms)
{
	struct sigjob *job = NULL;

	assert_int_equal(sigclient_open(client, 1, slice_str(name), DOMAIN, deadline_ms, &job),
			 ERR_OK);
	return job;
}

static struct sigkey *open_key(const char *name, const char *pubkey)
{
	struct sigjob *job = ask_key(name, in_ms(FAKE_PATIENCE_MS));
	struct sigkey *key = NULL;

	fake_next(&signer);
	fake_answer_key(&signer, signer.request.id, pubkey);
	assert_int_equal(sigclient_open_wait(&job, &key, NULL, NULL), ERR_OK);
	return key;
}

static struct sigjob *ask_signature(struct sigkey *key, const char *bytes, int64_t deadline_ms)
{
	struct sigjob *job = NULL;

	assert_int_equal(
		sigclient_sign(client, 1, key, DOMAIN, slice_str(bytes), deadline_ms, &job),
		ERR_OK);
	return job;
}

static void assert_signature(struct sigjob *job, const char *expected)
{
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len = 0;

	assert_int_equal(sigclient_sign_wait(&job, signature, &len, NULL), ERR_OK);
	assert_null(job);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(signature, expected, len);
}

static enum err key_error(struct sigjob *job, struct err_detail *detail)
{
	struct sigkey *key = NULL;
	enum err err = sigclient_open_wait(&job, &key, NULL, detail);

	assert_null(job);
	sigkey_unref(&key);
	return err;
}

/* --- keys --------------------------------------------------------------------------------------
 */

static void a_key_is_described_as_the_signer_said(void **state)
{
	struct sigjob *job = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	unsigned char fingerprint[32];
	struct sigkey *key = NULL;

	(void)state;
	fake_next(&signer);
	assert_int_equal(signer.request.type, WIRE_OPEN);
	assert_int_equal(signer.request.generation, 1);
	assert_true(slice_eq(signer.request.key_name, SLICE_LIT("k")));
	assert_true(slice_eq(signer.request.from_domain, DOMAIN));
	assert_in_range(signer.request.left_ms, 1, FAKE_PATIENCE_MS);
	fake_answer_key(&signer, signer.request.id, "public");
	assert_int_equal(sigclient_open_wait(&job, &key, NULL, NULL), ERR_OK);
	assert_string_equal(key->name, "k");
	assert_string_equal(key->domain, "d.example");
	assert_string_equal(key->selector, "s1");
	assert_int_equal(key->alg, DKIM_ALG_RSA_SHA256);
	assert_int_equal(key->bits, 2048);
	assert_false(key->wants_input);
	assert_int_equal(EVP_Digest("public", 6, fingerprint, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(key->fingerprint, fingerprint, sizeof(fingerprint));
	sigkey_unref(&key);
}

static void a_known_key_costs_no_request(void **state)
{
	struct sigkey *first = open_key("k", "public");
	struct sigjob *job = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	struct sigkey *again = NULL;

	(void)state;
	assert_int_equal(sigclient_open_wait(&job, &again, NULL, NULL), ERR_OK);
	assert_ptr_equal(first, again);
	sigkey_unref(&again);
	again = sigclient_known(client, 1, SLICE_LIT("k"), DOMAIN);
	assert_ptr_equal(first, again);
	assert_null(sigclient_known(client, 2, SLICE_LIT("k"), DOMAIN));
	assert_null(sigclient_known(client, 1, SLICE_LIT("other"), DOMAIN));
	assert_false(fake_next_within(&signer, 0));
	sigkey_unref(&first);
	sigkey_unref(&again);
}

static void generation_and_from_domain_belong_to_the_key(void **state)
{
	struct sigkey *key = open_key("k", "public");
	struct sigjob *other_domain = NULL;
	struct sigjob *other_generation = NULL;

	(void)state;
	assert_int_equal(sigclient_open(client, 1, SLICE_LIT("k"), SLICE_LIT("other.example"),
					in_ms(FAKE_PATIENCE_MS), &other_domain),
			 ERR_OK);
	fake_next(&signer);
	assert_true(slice_eq(signer.request.from_domain, SLICE_LIT("other.example")));
	assert_int_equal(sigclient_open(client, 2, SLICE_LIT("k"), DOMAIN, in_ms(FAKE_PATIENCE_MS),
					&other_generation),
			 ERR_OK);
	fake_next(&signer);
	assert_int_equal(signer.request.generation, 2);
	sigjob_free(&other_domain);
	sigjob_free(&other_generation);
	sigkey_unref(&key);
}

static void a_key_that_changed_is_asked_for_anew(void **state)
{
	struct sigkey *key = open_key("k", "old");
	struct sigjob *job = ask_signature(key, "digest", in_ms(FAKE_PATIENCE_MS));
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	struct sigkey *renewed;
	size_t len;

	(void)state;
	fake_next(&signer);
	fake_answer_failure(&signer, signer.request.id, ERR_KEY_CHANGED, "another key");
	assert_int_equal(sigclient_sign_wait(&job, signature, &len, NULL), ERR_KEY_CHANGED);
	renewed = open_key("k", "new");
	assert_memory_not_equal(renewed->fingerprint, key->fingerprint, 32);
	sigkey_unref(&renewed);
	sigkey_unref(&key);
}

static void what_the_signer_says_of_a_failure_is_passed_on(void **state)
{
	struct sigjob *job = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	struct err_detail detail = { "" };

	(void)state;
	fake_next(&signer);
	fake_answer_failure(&signer, signer.request.id, ERR_KEY_MISSING, "no object=x on token t");
	assert_int_equal(key_error(job, &detail), ERR_KEY_MISSING);
	assert_string_equal(detail.text, "no object=x on token t");
}

/* --- signatures --------------------------------------------------------------------------------
 */

static void a_signature_is_asked_for_by_name_and_fingerprint(void **state)
{
	struct sigkey *key = open_key("k", "public");
	struct sigjob *job = ask_signature(key, "digest", in_ms(FAKE_PATIENCE_MS));

	(void)state;
	fake_next(&signer);
	assert_int_equal(signer.request.type, WIRE_SIGN);
	assert_int_equal(signer.request.alg, DKIM_ALG_RSA_SHA256);
	assert_true(slice_eq(signer.request.key_name, SLICE_LIT("k")));
	assert_true(slice_eq(signer.request.fingerprint, slice_of(key->fingerprint, 32)));
	assert_true(slice_eq(signer.request.bytes, SLICE_LIT("digest")));
	fake_answer_signature(&signer, signer.request.id, SLICE_LIT("signature"));
	assert_signature(job, "signature");
	sigkey_unref(&key);
}

static void answers_come_in_any_order(void **state)
{
	static const char *const bytes[] = { "0", "1", "2", "3", "4", "5", "6", "7" };
	struct sigkey *key = open_key("k", "public");
	struct sigjob *jobs[ARRAY_LEN(bytes)];
	uint64_t ids[ARRAY_LEN(bytes)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
		jobs[i] = ask_signature(key, bytes[i], in_ms(FAKE_PATIENCE_MS));
	for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
		fake_next(&signer);
		assert_true(slice_eq(signer.request.bytes, slice_str(bytes[i])));
		ids[i] = signer.request.id;
	}
	for (size_t i = ARRAY_LEN(bytes); i-- > 0;)
		fake_answer_signature(&signer, ids[i], slice_str(bytes[i]));
	for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
		assert_signature(jobs[i], bytes[i]);
	sigkey_unref(&key);
}

static void the_longest_input_passes(void **state)
{
	struct sigkey *key = open_key("k", "public");
	char *input = malloc(LIMIT_SIGN_INPUT_BYTES + 1);
	struct sigjob *job = NULL;

	(void)state;
	assert_non_null(input);
	memset(input, 'h', LIMIT_SIGN_INPUT_BYTES + 1);
	assert_int_equal(sigclient_sign(client, 1, key, DOMAIN,
					slice_of(input, LIMIT_SIGN_INPUT_BYTES + 1),
					in_ms(FAKE_PATIENCE_MS), &job),
			 ERR_LIMIT);
	assert_null(job);
	assert_int_equal(sigclient_sign(client, 1, key, DOMAIN,
					slice_of(input, LIMIT_SIGN_INPUT_BYTES),
					in_ms(FAKE_PATIENCE_MS), &job),
			 ERR_OK);
	fake_next(&signer);
	assert_true(slice_eq(signer.request.bytes, slice_of(input, LIMIT_SIGN_INPUT_BYTES)));
	fake_answer_signature(&signer, signer.request.id, SLICE_LIT("s"));
	assert_signature(job, "s");
	free(input);
	sigkey_unref(&key);
}

/* --- deadlines ---------------------------------------------------------------------------------
 */

static void a_late_answer_is_nobodys(void **state)
{
	struct sigkey *key = open_key("k", "public");
	struct sigjob *late = ask_signature(key, "late", in_ms(SOON_MS));
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	struct sigjob *next;
	uint64_t late_id;
	size_t len;

	(void)state;
	fake_next(&signer);
	late_id = signer.request.id;
	assert_int_equal(sigclient_sign_wait(&late, signature, &len, NULL), ERR_TIMEOUT);
	next = ask_signature(key, "next", in_ms(FAKE_PATIENCE_MS));
	fake_next(&signer);
	assert_true(signer.request.id != late_id);
	fake_answer_signature(&signer, late_id, SLICE_LIT("wrong"));
	fake_answer_signature(&signer, signer.request.id, SLICE_LIT("right"));
	assert_signature(next, "right");
	sigkey_unref(&key);
}

static void without_a_signer_the_deadline_ends_it(void **state)
{
	struct sigjob *job;

	(void)state;
	fake_crash(&signer);
	job = ask_key("k", in_ms(SOON_MS));
	assert_int_equal(key_error(job, NULL), ERR_PEER_LOST);
	assert_false(sigclient_attached(client));
}

static void a_deadline_that_has_passed_ends_it_at_once(void **state)
{
	struct sigjob *job = ask_key("k", in_ms(-1000));

	(void)state;
	assert_int_equal(key_error(job, NULL), ERR_TIMEOUT);
}

static void a_job_is_given_up_without_waiting(void **state)
{
	struct sigjob *job = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	struct sigkey *key;

	(void)state;
	fake_next(&signer);
	sigjob_free(&job);
	assert_null(job);
	fake_answer_key(&signer, signer.request.id, "given up");
	key = open_key("other", "public"); /* the reader took the answer above and lives */
	sigkey_unref(&key);
}

/* --- restarts ----------------------------------------------------------------------------------
 */

static void what_waits_is_sent_to_the_next_signer(void **state)
{
	struct sigkey *key = open_key("k", "public");
	struct sigjob *job = ask_signature(key, "digest", in_ms(FAKE_PATIENCE_MS));

	(void)state;
	for (int restarts = 0; restarts < 3; restarts++) {
		fake_next(&signer);
		assert_true(slice_eq(signer.request.bytes, SLICE_LIT("digest")));
		fake_crash(&signer);
		fake_start(&signer, client);
	}
	fake_next(&signer);
	fake_answer_signature(&signer, signer.request.id, SLICE_LIT("signature"));
	assert_signature(job, "signature");
	sigkey_unref(&key);
}

static void what_was_asked_without_a_signer_is_sent_when_one_comes(void **state)
{
	struct sigjob *jobs[3];

	(void)state;
	fake_crash(&signer);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		jobs[i] = ask_key((const char *[]){ "a", "b", "c" }[i], in_ms(FAKE_PATIENCE_MS));
	fake_start(&signer, client);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		fake_next(&signer);
		fake_answer_key(&signer, signer.request.id, "public");
	}
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(key_error(jobs[i], NULL), ERR_OK);
}

static void a_new_signer_is_asked_for_known_keys(void **state)
{
	struct sigkey *key = open_key("k", "public");
	struct sigkey *again;

	(void)state;
	fake_crash(&signer);
	fake_start(&signer, client);
	again = open_key("k", "public");
	sigkey_unref(&again);
	sigkey_unref(&key);
}

/* --- a bounded queue ---------------------------------------------------------------------------
 */

static void a_full_queue_refuses_and_recovers(void **state)
{
	struct sigjob *jobs[PENDING];
	struct sigjob *more = NULL;

	(void)state;
	for (size_t i = 0; i < PENDING; i++)
		jobs[i] = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	assert_int_equal(
		sigclient_open(client, 1, SLICE_LIT("k"), DOMAIN, in_ms(FAKE_PATIENCE_MS), &more),
		ERR_BUSY);
	assert_null(more);
	sigjob_free(&jobs[3]);
	jobs[3] = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	for (size_t i = 0; i < PENDING; i++)
		sigjob_free(&jobs[i]);
}

/* More bytes than the socket takes at once, to a signer that reads slowly. */
static void a_slow_signer_gets_every_request(void **state)
{
	struct sigkey *key = open_key("k", "public");
	char *input = malloc(LIMIT_SIGN_INPUT_BYTES);
	struct sigjob *jobs[PENDING];

	(void)state;
	assert_non_null(input);
	memset(input, 'x', LIMIT_SIGN_INPUT_BYTES);
	for (size_t i = 0; i < PENDING; i++)
		assert_int_equal(sigclient_sign(client, 1, key, DOMAIN,
						slice_of(input, LIMIT_SIGN_INPUT_BYTES),
						in_ms(FAKE_PATIENCE_MS), &jobs[i]),
				 ERR_OK);
	for (size_t i = 0; i < PENDING; i++) {
		fake_next(&signer);
		fake_answer_signature(&signer, signer.request.id, SLICE_LIT("s"));
	}
	for (size_t i = 0; i < PENDING; i++)
		assert_signature(jobs[i], "s");
	free(input);
	sigkey_unref(&key);
}

static void names_are_bounded(void **state)
{
	static const char longest[LIMIT_KEY_NAME_BYTES + 1];
	struct sigjob *job = NULL;

	(void)state;
	assert_int_equal(sigclient_open(client, 1, slice_of(longest, LIMIT_KEY_NAME_BYTES + 1),
					DOMAIN, in_ms(FAKE_PATIENCE_MS), &job),
			 ERR_LIMIT);
	assert_int_equal(sigclient_open(client, 1, SLICE_LIT("k"),
					slice_of(longest, LIMIT_DOMAIN_BYTES + 1),
					in_ms(FAKE_PATIENCE_MS), &job),
			 ERR_LIMIT);
	assert_null(job);
}

/* --- a signer that was taken over --------------------------------------------------------------
 */

static void nonsense_harms_nobody(void **state)
{
	static const char nonsense[] = "this is no packet";
	struct sigkey *key = open_key("k", "public");
	struct sigjob *job = ask_signature(key, "digest", in_ms(FAKE_PATIENCE_MS));

	(void)state;
	fake_next(&signer);
	for (size_t len = 1; len < sizeof(nonsense); len++)
		assert_true(send(signer.fd, nonsense, len, MSG_NOSIGNAL) > 0);
	fake_answer_signature(&signer, signer.request.id + 1, SLICE_LIT("of another"));
	fake_answer_signature(&signer, UINT64_MAX, SLICE_LIT("of none"));
	fake_answer(&signer,
		    &(struct wire_msg){ .type = WIRE_OPEN, .id = signer.request.id + PENDING });
	fake_answer_signature(&signer, signer.request.id, SLICE_LIT("signature"));
	assert_signature(job, "signature");
	sigkey_unref(&key);
}

static void an_answer_of_the_wrong_kind_ends_the_request(void **state)
{
	struct sigkey *key = open_key("k", "public");
	struct sigjob *sign = ask_signature(key, "digest", in_ms(FAKE_PATIENCE_MS));
	struct sigjob *open = ask_key("other", in_ms(FAKE_PATIENCE_MS));
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len;

	(void)state;
	fake_next(&signer);
	fake_answer_key(&signer, signer.request.id, "public");
	fake_next(&signer);
	fake_answer_signature(&signer, signer.request.id, SLICE_LIT("signature"));
	assert_int_equal(sigclient_sign_wait(&sign, signature, &len, NULL), ERR_PROTOCOL);
	assert_int_equal(key_error(open, NULL), ERR_PROTOCOL);
	sigkey_unref(&key);
}

/* --- threads -----------------------------------------------------------------------------------
 */

#define THREADS 4
#define ROUNDS 200

static atomic_int threads_done;

static void *asking_thread(void *arg)
{
	char bytes[32];
	bool ok = true;

	for (int i = 0; ok && i < ROUNDS; i++) {
		unsigned char signature[LIMIT_SIGNATURE_BYTES];
		struct sigjob *job = NULL;
		struct sigkey *key = NULL;
		size_t len = 0;

		(void)snprintf(bytes, sizeof(bytes), "%s %d", (const char *)arg, i);
		ok = sigclient_open(client, 1, slice_str(arg), DOMAIN, in_ms(FAKE_PATIENCE_MS),
				    &job) == ERR_OK &&
		     sigclient_open_wait(&job, &key, NULL, NULL) == ERR_OK &&
		     sigclient_sign(client, 1, key, DOMAIN, slice_str(bytes),
				    in_ms(FAKE_PATIENCE_MS), &job) == ERR_OK &&
		     sigclient_sign_wait(&job, signature, &len, NULL) == ERR_OK &&
		     slice_eq(slice_of(signature, len), slice_str(bytes));
		sigkey_unref(&key);
	}
	atomic_fetch_add(&threads_done, 1);
	return ok ? arg : NULL;
}

/* Signs by giving the bytes back; dies now and then with requests unanswered. */
static void serve_with_crashes(void)
{
	for (int i = 1; atomic_load(&threads_done) < THREADS; i++) {
		if (!fake_next_within(&signer, 10))
			continue;
		if (i % 37 == 0) {
			fake_crash(&signer);
			fake_start(&signer, client);
			continue;
		}
		if (signer.request.type == WIRE_OPEN)
			fake_answer_key(&signer, signer.request.id, "public");
		else
			fake_answer_signature(&signer, signer.request.id, signer.request.bytes);
	}
}

static void many_threads_and_a_signer_that_crashes(void **state)
{
	static char names[THREADS][8] = { "a", "b", "c", "d" };
	pthread_t threads[THREADS];
	void *result;

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, asking_thread, names[i]), 0);
	serve_with_crashes();
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, names[i]);
	}
}

static void *waiting_thread(void *arg)
{
	struct sigjob *job = arg;
	struct sigkey *key = NULL;
	enum err err = sigclient_open_wait(&job, &key, NULL, NULL);

	return err == ERR_PEER_LOST ? arg : NULL;
}

static void the_end_of_the_client_wakes_who_waits(void **state)
{
	struct sigjob *job = ask_key("k", in_ms(FAKE_PATIENCE_MS));
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, waiting_thread, job), 0);
	fake_next(&signer);
	sigclient_free(&client);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_non_null(result);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_key_is_described_as_the_signer_said),
		CASE(a_known_key_costs_no_request),
		CASE(generation_and_from_domain_belong_to_the_key),
		CASE(a_key_that_changed_is_asked_for_anew),
		CASE(what_the_signer_says_of_a_failure_is_passed_on),
		CASE(a_signature_is_asked_for_by_name_and_fingerprint),
		CASE(answers_come_in_any_order),
		CASE(the_longest_input_passes),
		CASE(a_late_answer_is_nobodys),
		CASE(without_a_signer_the_deadline_ends_it),
		CASE(a_deadline_that_has_passed_ends_it_at_once),
		CASE(a_job_is_given_up_without_waiting),
		CASE(what_waits_is_sent_to_the_next_signer),
		CASE(what_was_asked_without_a_signer_is_sent_when_one_comes),
		CASE(a_new_signer_is_asked_for_known_keys),
		CASE(a_full_queue_refuses_and_recovers),
		CASE(a_slow_signer_gets_every_request),
		CASE(names_are_bounded),
		CASE(nonsense_harms_nobody),
		CASE(an_answer_of_the_wrong_kind_ends_the_request),
		CASE(many_threads_and_a_signer_that_crashes),
		CASE(the_end_of_the_client_wakes_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
