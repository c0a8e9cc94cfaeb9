/*
 * daemon/session and message: the dialogue in any order, what is signed and what is answered, with
 * an MTA and a signer of our own: this file defines the functions of signer/client.h.
 */
#include "daemon/session.h"

#include "base/log.h"
#include "signer/client.h"

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
	unsigned signs_before_wait; /* in flight at the first wait for a signature */
	bool waited;
} fake;

static unsigned digit_of(const char *name)
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

static struct sigjob *new_job(void)
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

enum err sigclient_open(struct sigclient *client, uint32_t generation, struct slice key_name,
			struct slice from_domain, int64_t deadline_ms, struct sigjob **ret_job)
{
	struct sigjob *job = new_job();

	(void)client;
	assert_int_equal(generation, 5);
	assert_true(deadline_ms > 0);
	job->open = true;
	(void)snprintf(job->name, sizeof(job->name), "%.*s", SLICE_FMT(key_name));
	job->key = calloc(1, sizeof(*job->key));
	assert_non_null(job->key);
	fake.keys++;
	job->key->refs = 1;
	job->key->name = slice_dup(key_name);
	job->key->domain = slice_dup(from_domain);
	job->key->selector = slice_dup(key_name.len > 0 ? key_name : SLICE_LIT("sel"));
	job->key->alg = DKIM_ALG_RSA_SHA256;
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
	const char *queue_id;
	const char *auth_type;
	bool refuse_header;
} seen;

static const char *seen_macro(void *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, "i") == 0)
		return seen.queue_id;
	return strcmp(name, "{auth_type}") == 0 ? seen.auth_type : NULL;
}

static bool seen_insert(void *ctx, int index, const char *name, const char *value)
{
	(void)ctx;
	assert_int_equal(index, 0);
	if (strcmp(name, "Authentication-Results") == 0)
		return true; /* tests/e2e/test_verify.py looks at these */
	assert_string_equal(name, "DKIM-Signature");
	assert_true(seen.headers_count < ARRAY_LEN(seen.headers));
	if (seen.refuse_header)
		return false;
	(void)snprintf(seen.headers[seen.headers_count++], sizeof(seen.headers[0]), "%s", value);
	return true;
}

static bool seen_reply(void *ctx, const char *code, const char *xcode, const char *text)
{
	(void)ctx;
	(void)snprintf(seen.reply, sizeof(seen.reply), "%s %s %s", code, xcode, text);
	return true;
}

static bool seen_quarantine(void *ctx, const char *reason)
{
	(void)ctx;
	(void)snprintf(seen.quarantined, sizeof(seen.quarantined), "%s", reason);
	return true;
}

static const struct mta_ops seen_ops = {
	.macro = seen_macro,
	.insert_header = seen_insert,
	.set_reply = seen_reply,
	.quarantine = seen_quarantine,
};
static const struct mta mta = { .ops = &seen_ops };

static char lines[8192];

static void keep_line(void *ctx, enum log_level level, const char *line)
{
	size_t len = strlen(lines);

	(void)ctx;
	(void)level;
	(void)snprintf(lines + len, sizeof(lines) - len, "%s\n", line);
}

static const struct log_sink lines_sink = { .write = keep_line };

/* --- the set-up
 * ------------------------------------------------------------------------------------ */

static int64_t wall_s(void)
{
	return 1700000000;
}

static int64_t mono_ms(void)
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

static struct session *begin(const char *settings, const struct session_protocol *protocol)
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
static void end(struct session *session)
{
	session_free(&session);
	assert_int_equal(fake.jobs, 0);
	assert_int_equal(fake.keys, 0);
	assert_int_equal(atomic_load(&env.in_flight), 0);
	snapshot_slot_free(&env.slot);
}

static void connect_from(struct session *s, const char *ip)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	assert_int_equal(inet_pton(AF_INET, ip, &sin.sin_addr), 1);
	(void)session_connect(s, "client.example.org", (const struct sockaddr *)&sin);
}

/* Behind what was sent of it. */
static enum answer message_rest(struct session *s, const char *from)
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

static enum answer message(struct session *s, const char *from)
{
	(void)session_mail(s, "<a@example.com>");
	return message_rest(s, from);
}

#define KEYS "KeyTable csl:k1=%:s1:/k\nSyslogSuccess yes\n"
#define ONE_KEY KEYS "SigningTable csl:example.com=k1\n"
#define THREE_KEYS                                                                                 \
	KEYS "SigningTable csl:a@example.com=k1,example.com=k2,*=k3\nMultipleSignatures yes\n"

/* --- cases
 * ----------------------------------------------------------------------------------------- */

static void a_message_of_ours_is_signed(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_non_null(strstr(seen.headers[0], "d=example.com;"));
	assert_non_null(strstr(seen.headers[0], "t=1700000000;"));
	assert_string_equal(lines, "QID1: DKIM-Signature field added (s=k1, d=example.com)\n");
	end(s);
}

static void success_is_silent_without_syslog_success(void **state)
{
	struct session *s =
		begin("KeyTable csl:k1=%:s1:/k\nSigningTable csl:example.com=k1\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_string_equal(lines, "");
	end(s);
}

static void several_messages_on_a_connection_are_independent(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(message(s, " a@example.net"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 2);
	assert_string_equal(seen.headers[0], seen.headers[1]);
	end(s);
}

static void signatures_are_in_flight_together_and_the_last_is_on_top(void **state)
{
	struct session *s = begin(THREE_KEYS, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(fake.signs_before_wait, 3);
	assert_int_equal(seen.headers_count, 3);
	/* each is put above those before it */
	assert_non_null(strstr(seen.headers[0], "s=k1;"));
	assert_non_null(strstr(seen.headers[1], "s=k2;"));
	assert_non_null(strstr(seen.headers[2], "s=k3;"));
	end(s);
}

static void a_token_that_fails_defers_and_says_why(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[1] = ERR_TOKEN_TIMEOUT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	assert_string_equal(seen.reply, "451 4.7.0 resource unavailable");
	assert_string_equal(lines, "QID1: cannot sign: d=example.com s=k1 key=k1: token did not "
				   "answer in time; deferred (On-TokenFailure); see whether the "
				   "token hangs or is overloaded\n");
	/* and the next one is signed */
	fake.sign_error[1] = ERR_OK;
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void a_key_that_cannot_be_opened_defers_with_the_signers_words(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.open_error[1] = ERR_KEY_MISSING;
	fake.open_detail = "no object \"x\" on\ntoken";
	fake.open_names = (struct sigkey_names){ "signs.example", "s\n1" };
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_string_equal(seen.reply, "451 4.7.0 internal DKIM error");
	assert_non_null(strstr(lines, "QID1: error loading key 'k1'\n"));
	assert_non_null(strstr(lines, "d=signs.example s=s\\x0a1 key=k1: private key not found: "
				      "no object \"x\" on\\x0atoken; deferred (as always without "
				      "the key)"));
	end(s);
}

static void a_key_nobody_can_name_is_logged_with_the_from_domain(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.open_error[1] = ERR_KEY_UNKNOWN;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_non_null(strstr(lines, "d=example.com s=? key=k1: key is not in the KeyTable"));
	end(s);
}

static void an_open_that_timed_out_during_a_long_body_is_asked_again(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.open_error[1] = ERR_TIMEOUT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(fake.opens, 2);
	end(s);
}

static void one_of_three_that_fails_defers_the_message(void **state)
{
	struct session *s = begin(THREE_KEYS, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[2] = ERR_TOKEN_ABSENT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	assert_non_null(strstr(lines, "key=k2: token is not present"));
	assert_null(strstr(lines, "field added"));
	end(s);
}

static void with_accept_the_signatures_that_were_made_are_put_in(void **state)
{
	struct session *s = begin(THREE_KEYS "On-TokenFailure accept\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[2] = ERR_TOKEN_ABSENT;
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 2);
	assert_non_null(strstr(lines, "key=k2: token is not present; passed on unsigned "
				      "(On-TokenFailure)"));
	end(s);
}

static void what_one_setting_forbids_another_does_not_allow(void **state)
{
	struct session *s = begin(THREE_KEYS "On-TokenFailure accept\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[1] = ERR_TOKEN_ABSENT;
	fake.open_error[3] = ERR_KEY_BAD;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	assert_string_equal(seen.reply, "451 4.7.0 internal DKIM error");
	end(s);
}

static void quarantine_asks_the_mta(void **state)
{
	struct session *s = begin(ONE_KEY "On-TokenFailure quarantine\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	fake.sign_error[1] = ERR_TOKEN_LIED;
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_string_equal(seen.quarantined, "resource unavailable");
	end(s);
}

static void a_header_field_that_the_mta_refuses_defers(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	seen.refuse_header = true;
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_null(strstr(lines, "field added"));
	end(s);
}

static void two_from_fields_of_ours_are_rejected(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	(void)session_header(s, "From", " b@example.com");
	assert_int_equal(session_eoh(s, &mta), ANSWER_CONTINUE);
	assert_int_equal(session_eom(s, &mta), ANSWER_REJECT);
	assert_string_equal(seen.reply, "550 5.7.0 DKIM signing error");
	assert_int_equal(fake.opens, 0);
	assert_non_null(strstr(lines, "cannot sign: d=example.com: message has no usable From "
				      "address; rejected (On-SignatureError)"));
	end(s);
}

static void strict_headers_pass_an_unfit_message_unsigned(void **state)
{
	struct session *s = begin(ONE_KEY "Mode s\nStrictHeaders yes\n", &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 0);
	assert_string_equal(lines, "QID1: RFC5322 header requirement error: message does not have "
				   "exactly one Date field; not signed (StrictHeaders)\n");
	(void)session_header(s, "Date", " Tue, 24 Nov 2026 10:00:00 +0000");
	assert_int_equal(message_rest(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void a_header_beyond_the_limit_is_on_security(void **state)
{
	struct session *s = begin(ONE_KEY "MaximumHeaders 200\n", &new_mta);
	char value[300];

	(void)state;
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	(void)session_header(s, "X", value);
	assert_int_equal(session_eom(s, &mta), ANSWER_TEMPFAIL);
	assert_non_null(strstr(lines, "QID1: too much header data"));
	assert_non_null(strstr(lines, "(On-Security)"));
	end(s);
}

static void an_old_mta_gets_its_answer_at_the_end_of_the_header(void **state)
{
	struct session *s = begin(ONE_KEY "Mode s\nLogWhy yes\n", &old_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", "a@example.net");
	assert_int_equal(session_eoh(s, &mta), ANSWER_ACCEPT);
	assert_string_equal(lines, "QID1: no signing table match for 'a@example.net'\n");
	/* the connection goes on */
	assert_int_equal(message(s, "a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void steps_in_any_order_are_survived(void **state)
{
	/* c connect, m mail, r rcpt, h header, f From header, e eoh, b body, E eom, a abort */
	static const char *const orders[] = {
		"E",	    "eE",	"bE",	   "hE",       "aE",	  "eeE",   "mE",
		"cE",	    "mmE",	"ccE",	   "fbeE",     "febfE",	  "mfecE", "mfea",
		"mfe",	    "mf",	"cmfebaE", "cmrfebEE", "faebE",	  "ebbbb", "rE",
		"cmfeccmE", "mfeEmfeE", "aaaa",	   "fEfE",     "mfemfeE",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct session *s = begin(ONE_KEY, i % 2 == 0 ? &new_mta : &old_mta);

		for (const char *step = orders[i]; *step != '\0'; step++) {
			switch (*step) {
			case 'c':
				connect_from(s, "127.0.0.1");
				break;
			case 'm':
				(void)session_mail(s, NULL);
				break;
			case 'r':
				(void)session_rcpt(s, "");
				break;
			case 'h':
				(void)session_header(s, "", "");
				break;
			case 'f':
				(void)session_header(s, "From", "a@example.com");
				break;
			case 'e':
				(void)session_eoh(s, &mta);
				break;
			case 'b':
				(void)session_body(s, "x", 1);
				break;
			case 'E':
				(void)session_eom(s, &mta);
				break;
			default:
				session_abort(s);
				break;
			}
		}
		end(s);
	}
}

static void an_end_without_end_of_header_is_signed_all_the_same(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	(void)session_header(s, "From", " a@example.com");
	assert_int_equal(session_eom(s, &mta), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void an_abort_gives_the_signer_s_work_up(void **state)
{
	struct session *s = begin(THREE_KEYS, &new_mta);

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	(void)session_eoh(s, &mta);
	assert_int_equal(fake.jobs, 3);
	assert_int_equal(atomic_load(&env.in_flight), 1);
	session_abort(s);
	assert_int_equal(fake.jobs, 0);
	assert_int_equal(atomic_load(&env.in_flight), 0);
	end(s);
}

static void a_peer_is_passed_untouched(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct session *s = begin(ONE_KEY "PeerList 127.0.0.1\n", &old_mta);

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(session_connect(s, NULL, (const struct sockaddr *)&sin), ANSWER_ACCEPT);
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 0);
	assert_int_equal(fake.opens, 0);
	end(s);
}

static void a_connection_without_negotiation_defers(void **state)
{
	static const struct session_protocol unknown = { .known = false };
	struct session *s = begin(ONE_KEY, &unknown);

	(void)state;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_TEMPFAIL);
	assert_int_equal(seen.headers_count, 0);
	end(s);
}

static void a_message_of_another_generation_keeps_its_tables(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);
	struct settings *settings = settings_new();
	struct snapshot *next;

	(void)state;
	connect_from(s, "127.0.0.1");
	(void)session_mail(s, "<>");
	(void)session_header(s, "From", " a@example.com");
	assert_non_null(settings);
	assert_int_equal(snapshot_new(6, settings, files_new_closed(), &next, NULL), ERR_OK);
	snapshot_switch(env.slot, next);
	/* the fake signer wants generation 5 */
	assert_int_equal(session_eom(s, &mta), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_int_equal(seen.headers_count, 1);
	end(s);
}

static void without_a_queue_id_the_lines_say_so(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	seen.queue_id = NULL;
	connect_from(s, "127.0.0.1");
	assert_int_equal(message(s, " a@example.com"), ANSWER_ACCEPT);
	assert_string_equal(lines,
			    "(unknown-jobid): DKIM-Signature field added (s=k1, d=example.com)\n");
	end(s);
}

static void a_message_that_begins_while_draining_is_not_waited_for(void **state)
{
	struct session *s = begin(ONE_KEY, &new_mta);

	(void)state;
	(void)session_mail(s, "<>");
	assert_int_equal(atomic_load(&env.in_flight), 1);
	atomic_store(&env.draining, true);
	(void)session_mail(s, "<>");
	assert_int_equal(atomic_load(&env.in_flight), 0);
	atomic_store(&env.draining, false);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_of_ours_is_signed),
		cmocka_unit_test(success_is_silent_without_syslog_success),
		cmocka_unit_test(several_messages_on_a_connection_are_independent),
		cmocka_unit_test(signatures_are_in_flight_together_and_the_last_is_on_top),
		cmocka_unit_test(a_token_that_fails_defers_and_says_why),
		cmocka_unit_test(a_key_that_cannot_be_opened_defers_with_the_signers_words),
		cmocka_unit_test(a_key_nobody_can_name_is_logged_with_the_from_domain),
		cmocka_unit_test(an_open_that_timed_out_during_a_long_body_is_asked_again),
		cmocka_unit_test(one_of_three_that_fails_defers_the_message),
		cmocka_unit_test(with_accept_the_signatures_that_were_made_are_put_in),
		cmocka_unit_test(what_one_setting_forbids_another_does_not_allow),
		cmocka_unit_test(quarantine_asks_the_mta),
		cmocka_unit_test(a_header_field_that_the_mta_refuses_defers),
		cmocka_unit_test(two_from_fields_of_ours_are_rejected),
		cmocka_unit_test(strict_headers_pass_an_unfit_message_unsigned),
		cmocka_unit_test(a_header_beyond_the_limit_is_on_security),
		cmocka_unit_test(an_old_mta_gets_its_answer_at_the_end_of_the_header),
		cmocka_unit_test(steps_in_any_order_are_survived),
		cmocka_unit_test(an_end_without_end_of_header_is_signed_all_the_same),
		cmocka_unit_test(an_abort_gives_the_signer_s_work_up),
		cmocka_unit_test(a_peer_is_passed_untouched),
		cmocka_unit_test(a_connection_without_negotiation_defers),
		cmocka_unit_test(a_message_of_another_generation_keeps_its_tables),
		cmocka_unit_test(without_a_queue_id_the_lines_say_so),
		cmocka_unit_test(a_message_that_begins_while_draining_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
