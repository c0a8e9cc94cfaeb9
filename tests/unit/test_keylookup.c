/* daemon/keylookup and what is under it, against a name server that does all that can go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/keylookup.h"
#include "tests/unit/folder.h"
#include "tests/unit/nameserver.h"

static struct nameserver server;
static struct dns_source *source;
static struct arena *arena;

static int start(void **state)
{
	struct dns_resolver_config config = { .nameservers = server.spec };
	struct dns_resolver *resolver = NULL;
	struct err_detail detail;

	(void)state;
	if (!nameserver_start(&server))
		return -1;
	arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	if (arena == NULL || dns_resolver_new(&config, &resolver, &detail) != ERR_OK)
		return -1;
	assert_int_equal(dns_resolver_warm_up(resolver), ERR_OK);
	return dns_source_new_resolver(resolver, &source) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	dns_source_free(&source);
	arena_free(&arena);
	nameserver_stop(&server);
	return 0;
}

static struct idn_name name_of(const char *text)
{
	struct idn_name name;

	assert_int_equal(idn_to_ascii(slice_str(text), &name), ERR_OK);
	return name;
}

static struct dkim_key_answer ask(const char *text, int64_t timeout_ms)
{
	struct idn_name name = name_of(text);
	const struct dkim_key_answer *answers;
	struct dkim_key_answer answer;
	struct keylookup *lookup = NULL;

	assert_int_equal(keylookup_start(arena, source, &name, 1, &lookup), ERR_OK);
	assert_int_equal(keylookup_finish(lookup, clock_mono_ms() + timeout_ms, false, &answers),
			 ERR_OK);
	answer = answers[0];
	keylookup_free(&lookup);
	return answer;
}

static void each_kind_of_answer(void **state)
{
	static const struct {
		const char *name;
		enum dkim_key_status status;
		size_t count;
		size_t bytes; /* of the first record */
	} rows[] = {
		{ "txt1._domainkey.a.example", DKIM_KEY_FOUND, 1, 14 },
		{ "two1._domainkey.a.example", DKIM_KEY_FOUND, 2, 0 },
		{ "long1._domainkey.a.example", DKIM_KEY_FOUND, 1, 700 },
		{ "tcp1._domainkey.a.example", DKIM_KEY_FOUND, 1, 14 },
		{ "huge1._domainkey.a.example", DKIM_KEY_TOO_LARGE, 0, 0 },
		{ "many1._domainkey.a.example", DKIM_KEY_TOO_LARGE, 0, 0 },
		{ "chain5._domainkey.a.example", DKIM_KEY_FOUND, 1, 14 },
		{ "loop1._domainkey.a.example", DKIM_KEY_FAILED, 0, 0 },
		{ "nxdomain1._domainkey.a.example", DKIM_KEY_NOT_FOUND, 0, 0 },
		{ "nodata1._domainkey.a.example", DKIM_KEY_NOT_FOUND, 0, 0 },
		{ "servfail1._domainkey.a.example", DKIM_KEY_FAILED, 0, 0 },
		{ "refused1._domainkey.a.example", DKIM_KEY_FAILED, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dkim_key_answer answer = ask(rows[i].name, 20000);

		if (answer.status != rows[i].status || answer.count != rows[i].count)
			fail_msg("%s: status %d, %zu records", rows[i].name, (int)answer.status,
				 answer.count);
		if (rows[i].bytes != 0)
			assert_int_equal(answer.records[0].len, rows[i].bytes);
		assert_int_equal(answer.dnssec, DKIM_DNSSEC_UNKNOWN);
	}
}

static void strings_are_joined_without_anything_between(void **state)
{
	struct dkim_key_answer answer = ask("txt2._domainkey.a.example", 20000);

	(void)state;
	assert_int_equal(answer.count, 1);
	assert_true(slice_eq(answer.records[0], SLICE_LIT("v=DKIM1; p=abc")));
}

/* No answer that a reader could take for a key, and within the deadline. */
static void broken_answers_are_no_answers(void **state)
{
	static const char *const names[] = { "garbage1._domainkey.a.example",
					     "badtxt1._domainkey.a.example",
					     "never1._domainkey.a.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int64_t began = clock_mono_ms();
		struct dkim_key_answer answer = ask(names[i], 400);

		assert_true(answer.status == DKIM_KEY_TIMEOUT || answer.status == DKIM_KEY_FAILED ||
			    answer.status == DKIM_KEY_GARBAGE);
		assert_int_equal(answer.count, 0);
		assert_true(clock_mono_ms() - began < 3000);
	}
}

static void what_was_asked_is_remembered_and_asked_once_at_a_time(void **state)
{
	struct idn_name names[20];
	const struct dkim_key_answer *answers;
	struct keylookup *lookup = NULL;
	unsigned before = atomic_load(&server.questions);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		names[i] = name_of("txt3._domainkey.a.example");
	assert_int_equal(keylookup_start(arena, source, names, ARRAY_LEN(names), &lookup), ERR_OK);
	assert_int_equal(keylookup_finish(lookup, clock_mono_ms() + 20000, false, &answers),
			 ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(answers[i].status, DKIM_KEY_FOUND);
	keylookup_free(&lookup);
	assert_int_equal(ask("TXT3._domainkey.A.example", 20000).status, DKIM_KEY_FOUND);
	assert_int_equal(atomic_load(&server.questions), before + 1);
}

/* Until what libunbound still tries is given up. */
static void wait_for_descriptors(size_t count)
{
	int64_t deadline_ms = clock_mono_ms() + 30000;

	while (count_entries("/proc/self/fd") > count) {
		assert_true(clock_mono_ms() < deadline_ms);
		(void)poll(NULL, 0, 20);
	}
}

/* Until there is room for questions again. */
static void wait_for_answers(void)
{
	int64_t deadline_ms = clock_mono_ms() + 30000;

	while (ask("txt7._domainkey.a.example", 20000).status != DKIM_KEY_FOUND) {
		assert_true(clock_mono_ms() < deadline_ms);
		(void)poll(NULL, 0, 20);
	}
}

/* Eight silent names a message, 1,000 messages, 50 at a time; each keeps its deadline. */
static void a_thousand_messages_without_dns_leave_nothing_behind(void **state)
{
	enum { AT_ONCE = 50, ROUNDS = 20, NAMES = 8 };
	struct keylookup *lookups[AT_ONCE] = { NULL };
	struct idn_name names[NAMES];
	size_t threads = count_entries("/proc/self/task");
	size_t descriptors = count_entries("/proc/self/fd");

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t began = clock_mono_ms();
		const struct dkim_key_answer *answers;

		for (unsigned i = 0; i < AT_ONCE; i++) {
			for (unsigned n = 0; n < NAMES; n++) {
				char text[64];

				(void)snprintf(text, sizeof(text),
					       "never%u-%u._domainkey.b%u.example", round, n, i);
				names[n] = name_of(text);
			}
			assert_int_equal(keylookup_start(arena, source, names, NAMES, &lookups[i]),
					 ERR_OK);
		}
		for (unsigned i = 0; i < AT_ONCE; i++) {
			assert_int_equal(keylookup_finish(lookups[i], began + 100, false, &answers),
					 ERR_OK);
			for (unsigned n = 0; n < NAMES; n++)
				assert_true(answers[n].status == DKIM_KEY_TIMEOUT ||
					    answers[n].status == DKIM_KEY_FAILED);
			keylookup_free(&lookups[i]);
		}
		assert_true(clock_mono_ms() - began < 3000);
		arena_reset(arena);
	}
	assert_int_equal(count_entries("/proc/self/task"), threads);
	wait_for_descriptors(descriptors);
	wait_for_answers();
}

static void a_message_that_ends_early_gives_its_questions_up(void **state)
{
	struct idn_name names[] = { name_of("never9._domainkey.a.example"),
				    name_of("txt9._domainkey.a.example") };
	int64_t began = clock_mono_ms();
	struct keylookup *lookup = NULL;

	(void)state;
	assert_int_equal(keylookup_start(arena, source, names, 2, &lookup), ERR_OK);
	keylookup_free(&lookup);
	assert_null(lookup);
	keylookup_free(&lookup);
	assert_true(clock_mono_ms() - began < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_answer),
		cmocka_unit_test(strings_are_joined_without_anything_between),
		cmocka_unit_test(what_was_asked_is_remembered_and_asked_once_at_a_time),
		cmocka_unit_test(broken_answers_are_no_answers),
		cmocka_unit_test(a_message_that_ends_early_gives_its_questions_up),
		cmocka_unit_test(a_thousand_messages_without_dns_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
