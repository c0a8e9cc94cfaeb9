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

#define HEADERS_MAX 6

struct test_case {
	const char *what;
	/* rules */
	int mode;		   /* 0: both */
	const char *signing_table; /* csl */
	bool multiple;
	const char *domain;
	bool sub_domains;
	const char *mta;
	const char *macro_list;
	const char *internal; /* NULL: 127.0.0.1,::1 */
	const char *ignore;
	const char *exempt;
	const char *dont_sign_to;
	const char *senders; /* comma list; NULL: From */
	/* message: "Name:value" */
	const char *headers[HEADERS_MAX];
	const char *host;
	const char *addr;   /* "": none */
	const char *macros; /* "name=value;name=value" */
	const char *recipient;
	/* decision */
	enum decide_kind kind;
	const char *keys;  /* "name i=identity d=%-domain; ..." */
	const char *notes; /* all notes, joined by " | "; NULL: none expected */
};

#define FROM_A "From: A <a@example.com>"
#define TABLE_A "example.com=k1"

static const struct test_case cases[] = {
	/* where it comes from */
	{ .what = "mail of a listed domain from an internal host is signed",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "IPv6 loopback is internal by default",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A },
	  .addr = "::1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "local mail without an address counts as 127.0.0.1",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A },
	  .addr = "",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "the same mail from elsewhere is verified, and told",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A },
	  .host = "mail.example.org",
	  .addr = "192.0.2.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "mail.example.org [192.0.2.1] not internal | not authenticated | "
		   "external host mail.example.org attempted to send as example.com" },
	{ .what = "ExternalIgnoreList silences the last line only",
	  .signing_table = TABLE_A,
	  .ignore = "192.0.2.0/24",
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "192.0.2.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "h [192.0.2.1] not internal | not authenticated" },
	{ .what = "in mode s it passes instead",
	  .mode = MODE_SIGN,
	  .signing_table = TABLE_A,
	  .ignore = "192.0.2.1",
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "192.0.2.1",
	  .kind = DECIDE_PASS,
	  .notes = "h [192.0.2.1] not internal | not authenticated" },
	{ .what = "in mode v nothing is signed",
	  .mode = MODE_VERIFY,
	  .signing_table = TABLE_A,
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY },
	{ .what = "an authenticated sender is ours from anywhere",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "192.0.2.1",
	  .macros = "{auth_type}=PLAIN",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "an empty {auth_type} is no authentication",
	  .signing_table = TABLE_A,
	  .ignore = "192.0.2.1",
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "192.0.2.1",
	  .macros = "{auth_type}=",
	  .kind = DECIDE_VERIFY,
	  .notes = "h [192.0.2.1] not internal | not authenticated" },
	{ .what = "InternalHosts takes the place of the default",
	  .signing_table = TABLE_A,
	  .internal = "10.0.0.0/8,!10.1.2.3,.example.net",
	  .headers = { FROM_A },
	  .host = "x.example.net",
	  .addr = "192.0.2.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "a negated entry excludes and is named",
	  .signing_table = TABLE_A,
	  .internal = "10.0.0.0/8,!10.1.2.3",
	  .ignore = "10.1.2.3",
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "10.1.2.3",
	  .kind = DECIDE_VERIFY,
	  .notes = "h [10.1.2.3] not internal: excluded by !10.1.2.3 | not authenticated" },
	{ .what = "an MTA name makes it ours, with its case",
	  .signing_table = TABLE_A,
	  .mta = "MSA,submission",
	  .headers = { FROM_A },
	  .addr = "192.0.2.1",
	  .macros = "{daemon_name}=MSA",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "another case of the MTA name does not",
	  .signing_table = TABLE_A,
	  .mta = "MSA",
	  .ignore = "192.0.2.1",
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "192.0.2.1",
	  .macros = "{daemon_name}=msa;j=mx.example.com",
	  .kind = DECIDE_VERIFY,
	  .notes =
		  "no MTA name match (host=mx.example.com, MTA=msa) | h [192.0.2.1] not internal | "
		  "not authenticated" },
	{ .what = "an internal host signs also when MTA does not match",
	  .signing_table = TABLE_A,
	  .mta = "MSA",
	  .headers = { FROM_A },
	  .host = "localhost",
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com",
	  .notes = "no MTA name match (host=, MTA=)" },
	{ .what = "a macro that is set makes it ours",
	  .signing_table = TABLE_A,
	  .macro_list = "ORIGINATING",
	  .headers = { FROM_A },
	  .addr = "192.0.2.1",
	  .macros = "{ORIGINATING}=x",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "a macro that is set to nothing makes it ours, too",
	  .signing_table = TABLE_A,
	  .macro_list = "ORIGINATING",
	  .headers = { FROM_A },
	  .addr = "192.0.2.1",
	  .macros = "{ORIGINATING}=",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "a macro must have one of the values",
	  .signing_table = TABLE_A,
	  .macro_list = "{daemon_name}=MSA|ORIGINATING",
	  .headers = { FROM_A },
	  .addr = "192.0.2.1",
	  .macros = "{daemon_name}=ORIGINATING",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "another value does not count",
	  .signing_table = TABLE_A,
	  .macro_list = "{daemon_name}=MSA|ORIGINATING",
	  .ignore = "192.0.2.1",
	  .headers = { FROM_A },
	  .host = "h",
	  .addr = "192.0.2.1",
	  .macros = "{daemon_name}=ORIG",
	  .kind = DECIDE_VERIFY,
	  .notes = "no macros match | h [192.0.2.1] not internal | not authenticated" },

	/* whose it is */
	{ .what = "a domain that is not listed is verified",
	  .signing_table = TABLE_A,
	  .headers = { "From: b@example.org" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "no signing table match for 'b@example.org'" },
	{ .what = "the author's case does not matter",
	  .signing_table = TABLE_A,
	  .headers = { "From: A@EXAMPLE.Com" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "the signer of the row becomes i=",
	  .signing_table = "csl:example.com=k1:list@%",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i=list@example.com d=example.com" },
	{ .what = "only the first row signs",
	  .signing_table = "a@example.com=k1,example.com=k2",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "MultipleSignatures: all rows sign, three of them, too",
	  .signing_table = "a@example.com=k1,example.com=k2,*=k3",
	  .multiple = true,
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com; k2 i= d=example.com; k3 i= d=example.com" },
	{ .what = "Domain signs with the single key",
	  .domain = "example.com,example.org",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = " i= d=example.com" },
	{ .what = "Domain does not hold subdomains",
	  .domain = "example.com",
	  .headers = { "From: a@sub.example.com" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "no signing domain match for 'sub.example.com' | no signing subdomain match for "
		   "'sub.example.com'" },
	{ .what = "SubDomains sign as the parent",
	  .domain = "example.com",
	  .sub_domains = true,
	  .headers = { "From: a@deep.sub.example.com" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = " i=@example.com d=example.com",
	  .notes = "no signing domain match for 'deep.sub.example.com'" },
	{ .what = "SubDomains is about labels, not about letters",
	  .domain = "example.com",
	  .sub_domains = true,
	  .headers = { "From: a@notexample.com" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "no signing domain match for 'notexample.com' | no signing subdomain match for "
		   "'notexample.com'" },
	{ .what = "Domain * signs every domain of ours",
	  .domain = "*",
	  .headers = { "From: a@example.org" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = " i= d=example.org" },
	{ .what = "without tables nothing is signed",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY },

	/* exceptions */
	{ .what = "ExemptDomains passes untouched, in mode sv, too",
	  .signing_table = TABLE_A,
	  .exempt = "Example.COM",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_PASS,
	  .notes = "domain 'example.com' exempted, accepting" },
	{ .what = "DontSignMailTo passes",
	  .signing_table = TABLE_A,
	  .dont_sign_to = "list@example.net",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .recipient = "list@example.net",
	  .kind = DECIDE_PASS,
	  .notes = "skipping signing of mail to 'list@example.net'" },
	{ .what = "DontSignMailTo is about the whole address",
	  .signing_table = TABLE_A,
	  .dont_sign_to = "list@example.net",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .recipient = "other-list@example.net",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },

	/* the author */
	{ .what = "a message without an author is told and not signed",
	  .signing_table = "*=k1",
	  .headers = { "Subject: x" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "can't determine message sender; accepting" },
	{ .what = "in mode s it passes",
	  .mode = MODE_SIGN,
	  .signing_table = "*=k1",
	  .headers = { "Subject: x" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_PASS,
	  .notes = "can't determine message sender; accepting" },
	{ .what = "an author that cannot be parsed is never guessed",
	  .signing_table = "*=k1",
	  .headers = { "From: \"A <a@example.com>" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "can't parse From: header value ' \"A <a@example.com>'" },
	{ .what = "an empty group is no author",
	  .signing_table = "*=k1",
	  .headers = { "From: undisclosed:;" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "can't parse From: header value ' undisclosed:;'" },
	{ .what = "foreign bytes in a note are escaped",
	  .signing_table = "*=k1",
	  .headers = { "From: \x01\x1b[31m" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "can't parse From: header value ' \\x01\\x1b[31m'" },
	{ .what = "SenderHeaders: the first that is there decides",
	  .signing_table = "example.com=k1,example.org=k2",
	  .senders = "Sender,From",
	  .headers = { FROM_A, "Sender: s@example.org" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k2 i= d=example.org" },
	{ .what = "SenderHeaders: else the next",
	  .signing_table = "example.com=k1,example.org=k2",
	  .senders = "Sender,From",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "SenderHeaders: else From",
	  .signing_table = TABLE_A,
	  .senders = "Sender",
	  .headers = { FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_SIGN,
	  .keys = "k1 i= d=example.com" },
	{ .what = "SenderHeaders: without a From field there is nothing to sign",
	  .signing_table = TABLE_A,
	  .senders = "Sender,From",
	  .headers = { "Sender: a@example.com" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "can't determine message sender; accepting" },
	{ .what = "an address literal has no domain to sign for",
	  .domain = "*",
	  .headers = { "From: a@[127.0.0.1]" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY },
	{ .what = "two From fields, the first of ours: not signed, fails",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A, "From: b@example.org" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_FAIL },
	{ .what = "two From fields, the second of ours: fails, too",
	  .signing_table = TABLE_A,
	  .headers = { "From: b@example.org", FROM_A },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_FAIL },
	{ .what = "two From fields, none of ours: verified",
	  .signing_table = TABLE_A,
	  .headers = { "From: b@example.org", "From: c@example.net" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "no signing table match for 'b@example.org'" },
	{ .what = "two From fields from elsewhere: verified",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A, "From: b@example.org" },
	  .ignore = "192.0.2.1",
	  .host = "h",
	  .addr = "192.0.2.1",
	  .kind = DECIDE_VERIFY,
	  .notes = "h [192.0.2.1] not internal | not authenticated" },
	{ .what = "two authors in one field: no guess at the first",
	  .signing_table = TABLE_A,
	  .headers = { "From: a@example.com, b@example.org" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_FAIL },
	{ .what = "two From fields behind a Sender that decides: fails",
	  .signing_table = TABLE_A,
	  .senders = "Sender,From",
	  .headers = { "Sender: s@example.com", "From: b@example.org", "From: c@example.org" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_FAIL },
	{ .what = "a second From that cannot be parsed does not hide the first",
	  .signing_table = TABLE_A,
	  .headers = { FROM_A, "From: <<<" },
	  .addr = "127.0.0.1",
	  .kind = DECIDE_FAIL },
};

/* --- the machinery -------------------------------------------------------------------------------
 */

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
	if (d.kind != c->kind || strcmp(keys, c->keys != NULL ? c->keys : "") != 0 ||
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
