/* daemon/snapshot: made from settings, pinned while another takes its place, from many threads. */
#include "daemon/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

/* @param text lines of a configuration file */
static enum err make(uint32_t generation, const char *text, struct snapshot **ret,
		     struct err_detail *detail)
{
	struct settings *s = settings_new();
	struct files *files = files_new_closed();

	assert_non_null(s);
	assert_non_null(files);
	assert_int_equal(
		settings_load_text(s, slice_str(text), "test", &settings_reader_files, NULL, NULL),
		ERR_OK);
	return snapshot_new(generation, s, files, ret, detail);
}

static void the_settings_become_rules(void **state)
{
	struct snapshot *snapshot = NULL;

	(void)state;
	assert_int_equal(make(7,
			      "Mode s\nSigningTable csl:example.com=k1\nMultipleSignatures yes\n"
			      "SenderHeaders Sender,From\nPeerList 10.0.0.1\nMTA MSA\n",
			      &snapshot, NULL),
			 ERR_OK);
	assert_int_equal(snapshot->generation, 7);
	assert_int_equal(snapshot->rules.mode, MODE_SIGN);
	assert_non_null(snapshot->rules.signing_table);
	assert_true(snapshot->rules.multiple_signatures);
	assert_int_equal(snapshot->rules.sender_headers_count, 2);
	assert_true(slice_eq(snapshot->rules.sender_headers[0], SLICE_LIT("Sender")));
	assert_true(slice_eq(snapshot->rules.sender_headers[1], SLICE_LIT("From")));
	assert_non_null(snapshot->peer_list);
	assert_non_null(snapshot->rules.mta);
	assert_null(snapshot->rules.macro_list);
	assert_null(snapshot->rules.domain);
	assert_non_null(snapshot->hdrselect);
	snapshot_unref(&snapshot);
	assert_null(snapshot);
}

static void a_bad_table_gives_no_snapshot_and_says_which(void **state)
{
	static const struct {
		const char *text;
		const char *named;
	} cases[] = {
		{ "InternalHosts 10.0.0.1/8\n", "InternalHosts" },
		{ "SigningTable csl:example.com=k1:nobody\n", "SigningTable" },
		{ "SigningTable refile:/no/such/file\n", "/no/such/file" },
		{ "ExemptDomains ldap://x/\n", "ExemptDomains" },
		{ "SignHeaders From,B:ad\n", "B:ad" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct snapshot *snapshot = NULL;
		struct err_detail detail = { "" };

		assert_int_not_equal(make(1, cases[i].text, &snapshot, &detail), ERR_OK);
		assert_null(snapshot);
		if (strstr(detail.text, cases[i].named) == NULL)
			fail_msg("%s: \"%s\"", cases[i].text, detail.text);
	}
}

static void loopback_must_be_internal_or_it_is_told(void **state)
{
	static const struct {
		const char *text;
		bool signs;
	} cases[] = {
		{ "", true },
		{ "InternalHosts 127.0.0.0/8\n", true },
		{ "InternalHosts localhost\n", true },
		{ "InternalHosts 10.0.0.0/8\n", false },
		{ "InternalHosts 10.0.0.0/8\nMode v\n", true },
		{ "InternalHosts !127.0.0.1,127.0.0.0/8\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct snapshot *snapshot = NULL;

		assert_int_equal(make(1, cases[i].text, &snapshot, NULL), ERR_OK);
		if (snapshot_signs_loopback(snapshot) != cases[i].signs)
			fail_msg("%s", cases[i].text);
		snapshot_unref(&snapshot);
	}
}

static void a_pinned_snapshot_outlives_a_switch(void **state)
{
	struct snapshot_slot *slot = snapshot_slot_new();
	struct snapshot *first = NULL;
	struct snapshot *second = NULL;
	struct snapshot *pinned;
	struct snapshot *later;

	(void)state;
	assert_non_null(slot);
	assert_null(snapshot_pin(slot));
	assert_int_equal(make(1, "Domain a.example\n", &first, NULL), ERR_OK);
	assert_int_equal(make(2, "Domain b.example\n", &second, NULL), ERR_OK);
	snapshot_switch(slot, first);
	pinned = snapshot_pin(slot);
	snapshot_switch(slot, second);
	later = snapshot_pin(slot);
	assert_int_equal(pinned->generation, 1);
	assert_string_equal(pinned->settings->domain, "a.example");
	assert_int_equal(later->generation, 2);
	snapshot_unref(&pinned);
	snapshot_unref(&later);
	snapshot_slot_free(&slot);
	assert_null(slot);
}

struct race {
	struct snapshot_slot *slot;
	atomic_bool stop;
	atomic_uint wrong;
};

static void *pin_and_look(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		struct snapshot *s = snapshot_pin(race->slot);
		struct slice value;

		if (dataset_find(s->rules.domain, slice_str(s->settings->domain), &value) != ERR_OK)
			atomic_fetch_add(&race->wrong, 1);
		snapshot_unref(&s);
	}
	return NULL;
}

static void switching_while_others_pin_is_safe(void **state)
{
	struct race race = { .slot = snapshot_slot_new() };
	pthread_t threads[4];
	struct snapshot *s = NULL;

	(void)state;
	assert_non_null(race.slot);
	assert_int_equal(make(1, "Domain a.example\n", &s, NULL), ERR_OK);
	snapshot_switch(race.slot, s);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pin_and_look, &race), 0);
	for (uint32_t i = 2; i < 200; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "Domain d%u.example\n", i);
		assert_int_equal(make(i, text, &s, NULL), ERR_OK);
		snapshot_switch(race.slot, s);
	}
	atomic_store(&race.stop, true);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&race.wrong), 0);
	snapshot_slot_free(&race.slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_settings_become_rules),
		cmocka_unit_test(a_bad_table_gives_no_snapshot_and_says_which),
		cmocka_unit_test(loopback_must_be_internal_or_it_is_told),
		cmocka_unit_test(a_pinned_snapshot_outlives_a_switch),
		cmocka_unit_test(switching_while_others_pin_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
