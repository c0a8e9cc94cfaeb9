/*
 * A milter session as the MTA meets it, with an MTA and a signer of our own. A test program that
 * includes this defines the functions of signer/client.h.
 */
#ifndef TESTS_UNIT_SESSION_WORLD_H
#define TESTS_UNIT_SESSION_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/log.h"
#include "daemon/session.h"
#include "signer/client.h"

/* --- a signer that answers as it is told
 * ---------------------------------------------------------- */

struct sigjob {
	bool open;
	char name[64];
	struct sigkey *key;
};

static struct {
	enum err open_error[8]; /* by the digit at the end of the key name */
	enum err sign_error[8];
	const char *open_detail;
	struct sigkey_names open_names;
	unsigned opens;
	unsigned signs;
	unsigned jobs; /* alive */
	unsigned keys;
	bool known;		    /* the keys were described before */
	unsigned signs_before_wait; /* in flight at the first wait for a signature */
	bool waited;
} fake;

static inline unsigned digit_of(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && ch_is_digit(name[len - 1]) ? (unsigned)(name[len - 1] - '0') % 8 : 0;
}

struct sigkey *sigkey_ref(struct sigkey *key)
{
	key->refs++;
	return key;
}

void sigkey_unref(struct sigkey **key)
{
	if (*key != NULL && --(*key)->refs == 0) {
		fake.keys--;
		free((*key)->name);
		free((*key)->domain);
		free((*key)->selector);
		free(*key);
	}
	*key = NULL;
}

static inline struct sigjob *new_job(void)
{
	struct sigjob *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	fake.jobs++;
	return job;
}

void sigjob_free(struct sigjob **job)
{
	if (*job == NULL)
		return;
	sigkey_unref(&(*job)->key);
	fake.jobs--;
	free(*job);
	*job = NULL;
}

static inline struct sigkey *new_key(struct slice name, struct slice domain)
{
	struct sigkey *key = calloc(1, sizeof(*key));

	assert_non_null(key);
	fake.keys++;
	key->refs = 1;
	key->name = slice_dup(name);
	key->domain = slice_dup(domain);
	key->selector = slice_dup(name.len > 0 ? name : SLICE_LIT("sel"));
	key->alg = DKIM_ALG_RSA_SHA256;
	return key;
}

struct sigkey *sigclient_known(struct sigclient *client, uint32_t generation, struct slice key_name,
			       struct slice from_domain)
{
	(void)client;
	assert_int_equal(generation, 5);
	return fake.known ? new_key(key_name, from_domain) : NULL;
}

enum err sigclient_open(struct sigclient *client, uint32_t generation, struct slice key_name,
			struct slice from_domain, int64_t deadline_ms, struct sigjob **ret_job)
{
	struct sigjob *job = new_job();

	(void)client;
	assert_int_equal(generation, 5);
	assert_true(deadline_ms > 0);
	job->open = true;
	(void)snprintf(job->name, sizeof(job->name), "%.*s", SLICE_FMT(key_name));
	job->key = new_key(key_name, from_domain);
	fake.opens++;
	*ret_job = job;
	return ERR_OK;
}

enum err sigclient_open_wait(struct sigjob **job, struct sigkey **ret_key,
			     struct sigkey_names *ret_names, struct err_detail *detail)
{
	enum err err = fake.open_error[digit_of((*job)->name)];

	assert_true((*job)->open);
	if (err != ERR_OK && fake.open_detail != NULL)
		err_detail_set(detail, "%s", fake.open_detail);
	if (err != ERR_OK)
		*ret_names = fake.open_names;
	if (err == ERR_OK)
		*ret_key = sigkey_ref((*job)->key);
	sigjob_free(job);
	return err;
}

enum err sigclient_sign(struct sigclient *client, uint32_t generation, struct sigkey *key,
			struct slice from_domain, struct slice bytes, int64_t deadline_ms,
			struct sigjob **ret_job)
{
	struct sigjob *job = new_job();

	(void)client;
	(void)from_domain;
	(void)deadline_ms;
	assert_int_equal(generation, 5);
	assert_int_equal(bytes.len, 32);
	job->key = sigkey_ref(key);
	(void)snprintf(job->name, sizeof(job->name), "%s", key->name);
	fake.signs++;
	*ret_job = job;
	return ERR_OK;
}

enum err sigclient_sign_wait(struct sigjob **job, unsigned char *signature, size_t *ret_len,
			     struct err_detail *detail)
{
	enum err err = fake.sign_error[digit_of((*job)->name)];

	(void)detail;
	if (!fake.waited)
		fake.signs_before_wait = fake.signs;
	fake.waited = true;
	memset(signature, 's', 256);
	*ret_len = 256;
	sigjob_free(job);
	return err;
}

/* --- an MTA that writes down what it is told
 * ------------------------------------------------------- */

static struct {
	char headers[8][2048];
	unsigned headers_count;
	char reply[256];
	char quarantined[128];
	char deleted[256]; /* "NAME NUMBER;" for each field */
	char filter[512];  /* DKIM-Filter */
	const char *queue_id;
	const char *auth_type;
	bool refuse_header;
} seen;

static inline const char *seen_macro(void *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, "i") == 0)
		return seen.queue_id;
	return strcmp(name, "{auth_type}") == 0 ? seen.auth_type : NULL;
}

static inline bool seen_insert(void *ctx, int index, const char *name, const char *value)
{
	(void)ctx;
	assert_int_equal(index, 0);
	if (strcmp(name, "Authentication-Results") == 0)
		return true; /* tests/e2e/test_verify.py looks at these */
	if (strcmp(name, "DKIM-Filter") == 0) {
		(void)snprintf(seen.filter, sizeof(seen.filter), "%s", value);
		return true;
	}
	assert_string_equal(name, "DKIM-Signature");
	assert_true(seen.headers_count < ARRAY_LEN(seen.headers));
	if (seen.refuse_header)
		return false;
	(void)snprintf(seen.headers[seen.headers_count++], sizeof(seen.headers[0]), "%s", value);
	return true;
}

static inline bool seen_delete(void *ctx, const char *name, size_t nth)
{
	size_t len = strlen(seen.deleted);

	(void)ctx;
	(void)snprintf(seen.deleted + len, sizeof(seen.deleted) - len, "%s %zu;", name, nth);
	return true;
}

static inline bool seen_reply(void *ctx, const char *code, const char *xcode, const char *text)
{
	(void)ctx;
	(void)snprintf(seen.reply, sizeof(seen.reply), "%s %s %s", code, xcode, text);
	return true;
}

static inline bool seen_quarantine(void *ctx, const char *reason)
{
	(void)ctx;
	(void)snprintf(seen.quarantined, sizeof(seen.quarantined), "%s", reason);
	return true;
}

static const struct mta_ops seen_ops = {
	.macro = seen_macro,
	.insert_header = seen_insert,
	.delete_header = seen_delete,
	.set_reply = seen_reply,
	.quarantine = seen_quarantine,
};
static const struct mta mta = { .ops = &seen_ops };

static char lines[8192];

static inline void keep_line(void *ctx, enum log_level level, const char *line)
{
	size_t len = strlen(lines);

	(void)ctx;
	(void)level;
	(void)snprintf(lines + len, sizeof(lines) - len, "%s\n", line);
}

static const struct log_sink lines_sink = { .write = keep_line };

/* --- the set-up
 * ------------------------------------------------------------------------------------ */

static inline int64_t wall_s(void)
{
	return 1700000000;
}

static inline int64_t mono_ms(void)
{
	return 5000;
}

static const struct clock_ops test_clock = { .wall_s = wall_s, .mono_ms = mono_ms };
static struct milter_env env;
static const struct session_protocol old_mta = { .known = true };
static const struct session_protocol new_mta = {
	.known = true,
	.leading_space = true,
	.can_skip = true,
	.no_reply = (1U << STEP_CONNECT) | (1U << STEP_HELO) | (1U << STEP_MAIL) |
		    (1U << STEP_RCPT) | (1U << STEP_DATA) | (1U << STEP_HEADER) | (1U << STEP_EOH) |
		    (1U << STEP_BODY),
};

static inline struct session *begin(const char *settings, const struct session_protocol *protocol)
{
	struct settings *s = settings_new();
	struct files *files = files_new_closed();
	struct log_options log = { .max = LOG_LEVEL_INFO, .sinks = { &lines_sink } };
	struct snapshot *snapshot;
	struct session *session;

	assert_non_null(s);
	assert_non_null(files);
	memset(&fake, 0, sizeof(fake));
	memset(&seen, 0, sizeof(seen));
	lines[0] = '\0';
	seen.queue_id = "QID1";
	log_open(&log);
	assert_int_equal(settings_load_text(s, slice_str(settings), "test", &settings_reader_files,
					    NULL, NULL),
			 ERR_OK);
	assert_int_equal(settings_finish(s, NULL, NULL), ERR_OK);
	assert_int_equal(snapshot_new(5, s, files, &snapshot, NULL), ERR_OK);
	env.clock = &test_clock;
	env.slot = snapshot_slot_new();
	assert_non_null(env.slot);
	snapshot_switch(env.slot, snapshot);
	session = session_new(&env, protocol);
	assert_non_null(session);
	return session;
}

/* Nothing may be left of any message. */
static inline void end(struct session *session)
{
	session_free(&session);
	assert_int_equal(fake.jobs, 0);
	assert_int_equal(fake.keys, 0);
	assert_int_equal(atomic_load(&env.in_flight), 0);
	snapshot_slot_free(&env.slot);
}

static inline void connect_from(struct session *s, const char *ip)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	assert_int_equal(inet_pton(AF_INET, ip, &sin.sin_addr), 1);
	(void)session_connect(s, "client.example.org", (const struct sockaddr *)&sin);
}

/* Behind what was sent of it. */
static inline enum answer message_rest(struct session *s, const char *from)
{
	enum answer answer;

	(void)session_rcpt(s, "<b@example.org>");
	if (from != NULL)
		(void)session_header(s, "From", from);
	(void)session_header(s, "Subject", " hello");
	answer = session_eoh(s, &mta);
	if (answer != ANSWER_CONTINUE)
		return answer;
	(void)session_body(s, "Hello\r\n", 7);
	return session_eom(s, &mta);
}

static inline enum answer message(struct session *s, const char *from)
{
	(void)session_mail(s, "<a@example.com>");
	return message_rest(s, from);
}

#define KEYS "KeyTable csl:k1=%:s1:/k\nSyslogSuccess yes\n"
#define ONE_KEY KEYS "SigningTable csl:example.com=k1\n"
#define THREE_KEYS                                                                                 \
	KEYS "SigningTable csl:a@example.com=k1,example.com=k2,*=k3\nMultipleSignatures yes\n"

#endif
