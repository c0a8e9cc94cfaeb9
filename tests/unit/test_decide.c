/* daemon/decide: who is signed, as a table of rules, messages and decisions. */
#include "daemon/decide.h"

#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "tests/unit/decide_cases.h"

static const char *macro_of(void *ctx, const char *name)
{
	static char values[8][64]; /* as libmilter's, the last ones stay valid together */
	static unsigned next;
	char *value = values[next++ % ARRAY_LEN(values)];
	struct slice rest = slice_str(ctx);
	struct slice one;

	while (rest.len > 0 && slice_next(&rest, ';', &one)) {
		size_t eq = slice_find(one, '=');
		struct slice got = slice_sub(one, eq + 1, one.len);

		if (!slice_eq(slice_sub(one, 0, eq), slice_str(name)))
			continue;
		(void)snprintf(value, sizeof(values[0]), "%.*s", SLICE_FMT(got));
		return value;
	}
	return NULL;
}

struct opened {
	struct files *files;
	struct signtable *signing_table;
	struct dataset *sets[5];
	struct hostlist *internal;
	struct hostlist *ignore;
	struct slice senders[4];
};

static struct dataset *open_set(struct opened *o, size_t i, const char *spec, unsigned flags)
{
	if (spec != NULL)
		assert_int_equal(dataset_open("Test", spec, flags, o->files, &o->sets[i], NULL),
				 ERR_OK);
	return o->sets[i];
}

static void open_rules(const struct test_case *c, struct opened *o, struct decide_rules *r)
{
	struct slice rest = slice_str(c->senders != NULL ? c->senders : "From");

	o->files = files_new_closed();
	assert_non_null(o->files);
	if (c->signing_table != NULL)
		assert_int_equal(
			signtable_open(c->signing_table, o->files, &o->signing_table, NULL),
			ERR_OK);
	assert_int_equal(hostlist_open("InternalHosts",
				       c->internal != NULL ? c->internal : "127.0.0.1,::1",
				       o->files, &o->internal, NULL),
			 ERR_OK);
	if (c->ignore != NULL)
		assert_int_equal(
			hostlist_open("ExternalIgnoreList", c->ignore, o->files, &o->ignore, NULL),
			ERR_OK);
	r->mode = c->mode != 0 ? c->mode : MODE_SIGN | MODE_VERIFY;
	r->signing_table = o->signing_table;
	r->multiple_signatures = c->multiple;
	r->domain = open_set(o, 0, c->domain, DATASET_ICASE);
	r->sub_domains = c->sub_domains;
	r->mta = open_set(o, 1, c->mta, 0);
	r->sender_macro = c->sender_macro;
	r->macro_list = open_set(o, 2, c->macro_list, 0);
	r->exempt_domains = open_set(o, 3, c->exempt, DATASET_ICASE);
	r->dont_sign_mail_to = open_set(o, 4, c->dont_sign_to, DATASET_ICASE);
	r->internal_hosts = o->internal;
	r->external_ignore_list = o->ignore;
	r->sender_headers = o->senders;
	r->log_why = true;
	while (slice_next(&rest, ',', &o->senders[r->sender_headers_count]))
		r->sender_headers_count++;
}

static void close_rules(struct opened *o)
{
	for (size_t i = 0; i < ARRAY_LEN(o->sets); i++)
		dataset_free(&o->sets[i]);
	hostlist_free(&o->internal);
	hostlist_free(&o->ignore);
	signtable_free(&o->signing_table);
	files_free(&o->files);
}

static const struct sockaddr *to_addr(const char *text, struct sockaddr_storage *storage)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		storage->ss_family = AF_INET;
		return (struct sockaddr *)storage;
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		storage->ss_family = AF_INET6;
		return (struct sockaddr *)storage;
	}
	return NULL;
}

static void join(const struct decision *d, char *keys, char *notes, size_t size)
{
	size_t len = 0;

	keys[0] = notes[0] = '\0';
	for (size_t i = 0; i < d->keys_count; i++)
		len += (size_t)snprintf(keys + len, size - len, "%s%.*s i=%.*s d=%.*s",
					i > 0 ? "; " : "", SLICE_FMT(d->keys[i].key_name),
					SLICE_FMT(d->keys[i].identity), SLICE_FMT(d->key_domain));
	len = 0;
	for (size_t i = 0; i < d->notes_count; i++)
		len += (size_t)snprintf(notes + len, size - len, "%s%s", i > 0 ? " | " : "",
					d->notes[i].text);
}

static void run_case(const struct test_case *c)
{
	struct arena *arena = arena_new((size_t)1 << 20);
	struct opened o = { .files = NULL };
	struct decide_rules rules = { .mode = 0 };
	struct decide_input input = { .host = slice_str(c->host != NULL ? c->host : "") };
	struct sockaddr_storage storage;
	struct hdrstore *headers;
	struct slice recipient = slice_str(c->recipient);
	union {
		const char *in;
		void *out;
	} macros;
	struct decision d;
	char keys[1024];
	char notes[2048];

	assert_non_null(arena);
	open_rules(c, &o, &rules);
	assert_int_equal(hdrstore_new(arena, 0, &headers), ERR_OK);
	for (size_t i = 0; i < HEADERS_MAX && c->headers[i] != NULL; i++) {
		struct slice line = slice_str(c->headers[i]);
		size_t colon = slice_find(line, ':');

		assert_int_equal(hdrstore_add(headers, slice_sub(line, 0, colon),
					      slice_sub(line, colon + 1, line.len), true),
				 ERR_OK);
	}
	input.headers = headers;
	input.addr = to_addr(c->addr, &storage);
	input.macro = macro_of;
	macros.in = c->macros;
	input.macro_ctx = macros.out;
	input.recipients = &recipient;
	input.recipients_count = c->recipient != NULL ? 1 : 0;
	assert_int_equal(decide(&rules, &input, arena, &d), ERR_OK);
	join(&d, keys, notes, sizeof(keys));
	if (d.kind != c->kind || d.clean != c->clean ||
	    strcmp(keys, c->keys != NULL ? c->keys : "") != 0 ||
	    strcmp(notes, c->notes != NULL ? c->notes : "") != 0)
		fail_msg("%s: kind %d, keys \"%s\", notes \"%s\"", c->what, (int)d.kind, keys,
			 notes);
	assert_int_equal(d.error, c->kind == DECIDE_FAIL ? ERR_NO_SENDER : ERR_OK);
	close_rules(&o);
	arena_free(&arena);
}

static void the_table_of_decisions_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		run_case(&cases[i]);
}

static void levels_are_opendkims(void **state)
{
	static const struct test_case c = {
		.signing_table = TABLE_A, .headers = { FROM_A }, .host = "h", .addr = "192.0.2.1"
	};
	struct arena *arena = arena_new((size_t)1 << 20);
	struct opened o = { .files = NULL };
	struct decide_rules rules = { .mode = 0 };
	struct decide_input input = { .host = SLICE_INIT("h") };
	struct sockaddr_storage storage;
	struct hdrstore *headers;
	struct decision d;

	(void)state;
	assert_non_null(arena);
	open_rules(&c, &o, &rules);
	rules.log_why = false;
	assert_int_equal(hdrstore_new(arena, 0, &headers), ERR_OK);
	assert_int_equal(hdrstore_add(headers, SLICE_LIT("From"), SLICE_LIT("a@example.com"), true),
			 ERR_OK);
	input.headers = headers;
	input.addr = to_addr("192.0.2.1", &storage);
	assert_int_equal(decide(&rules, &input, arena, &d), ERR_OK);
	/* without LogWhy this one stays: it is what an administrator greps for */
	assert_int_equal(d.notes_count, 1);
	assert_int_equal(d.notes[0].level, LOG_LEVEL_NOTICE);
	assert_string_equal(d.notes[0].text, "external host h attempted to send as example.com");
	close_rules(&o);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_decisions_holds),
		cmocka_unit_test(levels_are_opendkims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
