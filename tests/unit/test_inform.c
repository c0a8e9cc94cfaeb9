/* signer/inform: lists of keys, which let other work pass between their rows. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/question.h"
#include "signer/inform.h"

#define ROWS 6000u

/* What the calls between rows saw: how much of the list was there. */
struct calls {
	const struct buf *out;
	size_t seen;
	unsigned count;
};

static void on_between(void *ctx)
{
	struct calls *c = ctx;

	assert_true(c->out->len > c->seen);
	c->seen = c->out->len;
	c->count++;
}

static struct keyring *ring_with_rows(void)
{
	struct settings *s = settings_new();
	struct files *f = files_new_closed();
	struct keyring *ring = NULL;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	for (unsigned i = 0; i < ROWS; i++)
		assert_true(dprintf(fd, "key%u example.com:s%u:/no/such/file\n", i, i) > 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(files_put(f, "/keys", fd), ERR_OK);
	assert_int_equal(
		settings_set(s, SLICE_LIT("KeyTable"), SLICE_LIT("file:/keys"), NULL, NULL),
		ERR_OK);
	assert_int_equal(
		keyring_new(1, s, f, NULL, &(struct pin_memory){ NULL, NULL, NULL }, &ring, NULL),
		ERR_OK);
	return ring;
}

static void a_long_list_of_keys_is_made_in_slices(void **state)
{
	AUTO(keyring_unref) struct keyring *ring = ring_with_rows();
	struct request_env env = { .files_tally = NULL };
	struct buf out;
	struct calls calls = { .out = &out };
	const struct inform_view view = {
		.ring = ring, .env = &env, .between = on_between, .ctx = &calls
	};

	(void)state;
	buf_init(&out, QUESTION_ANSWER_BYTES_MAX);
	inform(&view, SLICE_LIT("keys"), &out);
	assert_int_equal(out.error, ERR_OK);
	assert_int_equal(calls.count, INFORM_KEYS_MAX / INFORM_SLICE_ROWS);
	assert_non_null(strstr(out.data, "=more\t#keys_not_shown\n\t1000\n"));
	buf_reset(&out);
	calls = (struct calls){ .out = &out };
	inform(&view, SLICE_LIT("keys key4711"), &out);
	assert_int_equal(calls.count, 0);
	assert_non_null(strstr(out.data, "\tkey4711\texample.com\ts4711\t"));
	buf_done(&out);
}

static void assert_shown(const struct inform_view *view, const char *part_of_row)
{
	struct buf out;

	buf_init(&out, QUESTION_ANSWER_BYTES_MAX);
	inform(view, SLICE_LIT("keys key7"), &out);
	assert_int_equal(out.error, ERR_OK);
	if (strstr(out.data, part_of_row) == NULL)
		fail_msg("%s", out.data);
	buf_done(&out);
}

static void a_key_s_last_failure_is_shown_until_it_signs(void **state)
{
	static const struct err_detail detail = { "no\tsuch file" };
	AUTO(keyring_unref) struct keyring *ring = ring_with_rows();
	AUTO(signkey_unref) struct signkey *key = NULL;
	struct request_env env = { .files_tally = NULL };
	const struct inform_view view = { .ring = ring, .env = &env };

	(void)state;
	assert_shown(&view, "\t0\t\t\t\n");
	assert_int_equal(
		keyring_find(ring, SLICE_LIT("key7"), SLICE_LIT("example.com"), &key, NULL),
		ERR_OK);
	signkey_failed(key, ERR_TIMEOUT, NULL);
	signkey_failed(key, ERR_IO, &detail);
	assert_shown(&view, "\t0\tinput/output error\t"); /* then seconds since */
	assert_shown(&view, "\tno\\x09such file\n");
	/* as one that its token lost */
	atomic_store(&key->stale, true);
	assert_shown(&view, "\tinput/output error\t");
	signkey_worked(key);
	assert_shown(&view, "\t0\t\t\t\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_list_of_keys_is_made_in_slices),
		cmocka_unit_test(a_key_s_last_failure_is_shown_until_it_signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
