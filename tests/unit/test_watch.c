/*
 * signer/request_token, probe, watch and keycheck, in one process with a SoftHSM token: what a
 * failure says about a token and what not, and the check of a generation's keys.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "signer/keycheck.h"
#include "signer/probe.h"
#include "signer/tally.h"
#include "signer/watch.h"
#include "softhsm.h"

#include "tests/unit/folder.h"

/* Far more than any step takes. */
#define PATIENCE_MS 30000
#define ANSWERS 64

static struct softhsm hsm;
static char pem_path[96];

/* --- what the process would do -----------------------------------------------------------------
 */

static atomic_int under_way;
static atomic_int most_under_way;
static atomic_int restarts;

static void on_begun(void *ctx, size_t bytes)
{
	int n = atomic_fetch_add(&under_way, 1) + 1;

	(void)ctx;
	(void)bytes;
	if (n > atomic_load(&most_under_way))
		atomic_store(&most_under_way, n);
}

static void on_done(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	atomic_fetch_sub(&under_way, 1);
}

static void on_restart(void *ctx, const char *why)
{
	(void)ctx;
	(void)why;
	atomic_fetch_add(&restarts, 1);
}

/* --- the log -----------------------------------------------------------------------------------
 */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[16384];

static void open_lines(void *ctx, const char *ident, int facility)
{
	(void)ctx;
	(void)ident;
	(void)facility;
}

static void write_line(void *ctx, enum log_level level, const char *line)
{
	size_t len;

	(void)ctx;
	(void)level;
	(void)pthread_mutex_lock(&log_lock);
	len = strlen(lines);
	(void)snprintf(lines + len, sizeof(lines) - len, "%s\n", line);
	(void)pthread_mutex_unlock(&log_lock);
}

static bool logged(const char *text)
{
	bool found;

	(void)pthread_mutex_lock(&log_lock);
	found = strstr(lines, text) != NULL;
	(void)pthread_mutex_unlock(&log_lock);
	return found;
}

/* --- C_Sign waits at a gate --------------------------------------------------------------------
 */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_open = true;
static atomic_int at_gate;

static CK_RV sign_at_gate(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
			  unsigned char *signature, CK_ULONG *ret_len)
{
	(void)pthread_mutex_lock(&gate_lock);
	atomic_fetch_add(&at_gate, 1);
	while (!gate_open)
		(void)pthread_cond_wait(&gate_moved, &gate_lock);
	atomic_fetch_sub(&at_gate, 1);
	(void)pthread_mutex_unlock(&gate_lock);
	return hsm.real.C_Sign(session, data, len, signature, ret_len);
}

static void move_gate(bool open)
{
	(void)pthread_mutex_lock(&gate_lock);
	gate_open = open;
	(void)pthread_cond_broadcast(&gate_moved);
	(void)pthread_mutex_unlock(&gate_lock);
}

/* --- fixture -----------------------------------------------------------------------------------
 */

static const struct lane_ops file_ops = { NULL, NULL, NULL, NULL };

struct fixture {
	struct keyring *ring;
	struct request_env env;
	struct tally files_tally;
	struct peer *peer;
	size_t threads_before;
};

static struct {
	atomic_int error; /* -1: none yet */
} answers[ANSWERS];

static void on_answer(void *ctx, uint64_t id, enum err error, const char *text)
{
	(void)ctx;
	(void)text;
	assert_int_equal(atomic_exchange(&answers[id].error, (int)error), -1); /* once */
}

static void put_text(struct files *f, const char *path, const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(files_put(f, path, fd), ERR_OK);
}

static void set(struct settings *s, const char *name, const char *value)
{
	assert_int_equal(settings_set(s, slice_str(name), slice_str(value), NULL, NULL), ERR_OK);
}

static struct keyring *new_ring(const char *keytable, const char *module_path)
{
	struct settings *s = settings_new();
	struct files *f = files_new_closed();
	struct err_detail detail = { "" };
	struct keyring *ring = NULL;
	char pin[LIMIT_PIN_BYTES + 1];

	(void)snprintf(pin, sizeof(pin), "%.*s", SLICE_FMT(pin_bytes(hsm.pin)));
	set(s, "KeyTable", "file:/keys");
	set(s, "TokenSessions", "1");
	set(s, "PKCS11Module", module_path);
	set(s, "PKCS11PinSource", "file:/pin");
	put_text(f, "/keys", keytable);
	put_text(f, "/pin", pin);
	if (keyring_new(1, s, f, NULL, &(struct pin_memory){ NULL, NULL, NULL }, &ring, &detail) !=
	    ERR_OK)
		fail_msg("%s", detail.text);
	return ring;
}

static void begin(struct fixture *f, const char *keytable, const char *module_path)
{
	*f = (struct fixture){ .threads_before = count_entries("/proc/self/task") };
	atomic_store(&most_under_way, 0);
	atomic_store(&restarts, 0);
	for (size_t i = 0; i < ANSWERS; i++)
		atomic_store(&answers[i].error, -1);
	lines[0] = '\0';
	move_gate(true);
	f->env = (struct request_env){ .restart = on_restart,
				       .begun = on_begun,
				       .done = on_done,
				       .rates = ratelimit_new(),
				       .files_tally = &f->files_tally };
	assert_non_null(f->env.rates);
	assert_int_equal(lane_new("files", 2, 100, &file_ops, NULL, &f->env.files), ERR_OK);
	f->ring = new_ring(keytable, module_path);
	f->peer = peer_new_local(on_answer, NULL);
	assert_non_null(f->peer);
}

static void end(struct fixture *f)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	move_gate(true);
	keyring_unref(&f->ring);
	peer_unref(&f->peer);
	lane_close(&f->env.files);
	while ((count_entries("/proc/self/task") > f->threads_before ||
		p11_module_shared(hsm.module)) &&
	       clock_mono_ms() < until)
		(void)poll(NULL, 0, 5);
	assert_int_equal(count_entries("/proc/self/task"), f->threads_before);
	assert_int_equal(atomic_load(&under_way), 0);
	ratelimit_free(&f->env.rates);
}

static struct health *health(const struct fixture *f)
{
	return tokenlane_health(keyring_token(f->ring, 0));
}

static void tick(struct fixture *f)
{
	(void)lane_tick(f->env.files, clock_mono_ms());
	watch_tokens(&f->env, f->ring, false);
	(void)poll(NULL, 0, 2);
}

static enum err answer_to(struct fixture *f, uint64_t id)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (atomic_load(&answers[id].error) < 0 && clock_mono_ms() < until)
		tick(f);
	assert_true(atomic_load(&answers[id].error) >= 0);
	return (enum err)atomic_load(&answers[id].error);
}

static enum err open_within(struct fixture *f, uint64_t id, const char *name, uint32_t left_ms)
{
	const struct wire_msg msg = {
		.type = WIRE_OPEN, .id = id, .left_ms = left_ms, .key_name = slice_str(name)
	};

	request_start(&f->env, f->ring, f->peer, &msg, NULL);
	return answer_to(f, id);
}

static enum err open_key(struct fixture *f, uint64_t id, const char *name)
{
	return open_within(f, id, name, PATIENCE_MS);
}

static void ask_signature(struct fixture *f, uint64_t id, const char *name, uint32_t left_ms)
{
	struct signkey *key = NULL;
	struct wire_msg msg = { .type = WIRE_SIGN,
				.id = id,
				.left_ms = left_ms,
				.key_name = slice_str(name),
				.alg = DKIM_ALG_RSA_SHA256,
				.bytes = SLICE_LIT("0123456789abcdef0123456789abcdef") };

	assert_int_equal(keyring_find(f->ring, msg.key_name, SLICE_LIT(""), &key, NULL), ERR_OK);
	msg.fingerprint =
		slice_of((const char *)pubkey_fingerprint(key->pubkey), PUBKEY_FINGERPRINT_BYTES);
	request_start(&f->env, f->ring, f->peer, &msg, NULL);
	signkey_unref(&key);
}

static void wait_at_gate(int count)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (atomic_load(&at_gate) < count && clock_mono_ms() < until)
		(void)poll(NULL, 0, 2);
	assert_int_equal(atomic_load(&at_gate), count);
}

static void *nothing(void *arg)
{
	return arg;
}

static int start(void **state)
{
	pthread_t first; /* a sanitizer starts a thread of its own with it */
	static const struct log_sink sink = { .open = open_lines, .write = write_line };
	const struct log_options log = { .max = LOG_LEVEL_INFO, .sinks = { &sink } };
	char command[512];

	(void)state;
	if (!softhsm_new(&hsm, "dkim", "k=rsa:1024 gone=rsa:1024 stays=rsa:1024") ||
	    !softhsm_load(&hsm))
		return -1;
	if (pthread_create(&first, NULL, nothing, NULL) != 0 || pthread_join(first, NULL) != 0)
		return -1;
	hsm.list->C_Sign = sign_at_gate;
	log_open(&log);
	(void)snprintf(pem_path, sizeof(pem_path), "%s/key.pem", hsm.dir);
	(void)snprintf(command, sizeof(command),
		       "umask 077; openssl genpkey -quiet -algorithm RSA -pkeyopt "
		       "rsa_keygen_bits:2048 -out %s",
		       pem_path);
	return softhsm_run(command);
}

static int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

#define TOKEN_KEYS                                                                                 \
	"k a.example:s1:pkcs11:object=k\n"                                                         \
	"gone a.example:s2:pkcs11:object=gone\n"                                                   \
	"stays a.example:s3:pkcs11:object=stays\n"

/* --- what is no failure of the token -----------------------------------------------------------
 */

static void what_expires_in_the_queue_says_nothing_about_the_token(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	move_gate(false);
	ask_signature(&f, 1, "k", PATIENCE_MS);
	wait_at_gate(1);
	for (uint64_t id = 2; id < 20; id++)
		ask_signature(&f, id, "k", 20);
	for (uint64_t id = 2; id < 20; id++)
		assert_int_equal(answer_to(&f, id), ERR_TOKEN_TIMEOUT);
	assert_false(health_doubted(health(&f)));
	assert_int_equal(health_check(health(&f), &(struct err_detail){ "" }), ERR_OK);
	move_gate(true);
	assert_int_equal(answer_to(&f, 1), ERR_OK);
	assert_false(logged("out of service"));
	end(&f);
}

static void a_probe_that_finds_no_free_session_says_nothing_about_the_token(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	move_gate(false);
	ask_signature(&f, 1, "k", PATIENCE_MS);
	wait_at_gate(1);
	assert_int_equal(probe_start(&f.env, keyring_token(f.ring, 0), clock_mono_ms() + 20, false),
			 ERR_OK);
	while (atomic_load(&under_way) > 1) /* until it is given up */
		tick(&f);
	assert_int_equal(health_check(health(&f), &(struct err_detail){ "" }), ERR_OK);
	move_gate(true);
	assert_int_equal(answer_to(&f, 1), ERR_OK);
	assert_false(logged("out of service"));
	end(&f);
}

/* --- what is one -------------------------------------------------------------------------------
 */

static void a_token_whose_sessions_all_hang_rests(void **state)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct err_detail detail = { "" };
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	move_gate(false);
	ask_signature(&f, 1, "k", 3000);
	wait_at_gate(1);
	assert_int_equal(answer_to(&f, 1), ERR_TOKEN_TIMEOUT);
	while (health_check(health(&f), &detail) == ERR_OK && clock_mono_ms() < until)
		tick(&f);
	assert_int_equal(health_check(health(&f), &detail), ERR_TOKEN_TIMEOUT);
	assert_non_null(strstr(detail.text, "hangs"));
	/* Nobody waits for it now. */
	ask_signature(&f, 2, "k", PATIENCE_MS);
	assert_int_equal(answer_to(&f, 2), ERR_TOKEN_TIMEOUT);
	end(&f);
}

static CK_RV slow_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			    CK_ATTRIBUTE *wanted, CK_ULONG count)
{
	(void)poll(NULL, 0, 200);
	return hsm.real.C_GetAttributeValue(session, object, wanted, count);
}

/* As long as it comes on, a long list of keys is no hang, and says nothing about the token. */
static void a_token_that_reads_its_keys_lives(void **state)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	ask_signature(&f, 1, "k", PATIENCE_MS);
	assert_int_equal(answer_to(&f, 1), ERR_OK); /* from here on a hang means a new process */
	hsm.list->C_GetAttributeValue = slow_attribute;
	token_index_outdate(tokenlane_token(keyring_token(f.ring, 0)));
	assert_int_equal(open_within(&f, 2, "stays", 100), ERR_TOKEN_TIMEOUT);
	assert_true(tokenlane_reads(keyring_token(f.ring, 0)));
	while (tokenlane_reads(keyring_token(f.ring, 0)) && clock_mono_ms() < until)
		tick(&f);
	hsm.list->C_GetAttributeValue = hsm.real.C_GetAttributeValue;
	assert_int_equal(atomic_load(&restarts), 0);
	assert_false(logged("out of service"));
	assert_int_equal(open_key(&f, 3, "stays"), ERR_OK);
	end(&f);
}

/* --- probes and deleted keys -------------------------------------------------------------------
 */

static void delete_key(const char *label)
{
	char command[512];

	(void)snprintf(command, sizeof(command),
		       "PIN=$(cat %s/pin) pkcs11-tool --module %s --token-label dkim --login "
		       "--pin env:PIN --delete-object --type privkey --label %s >/dev/null",
		       hsm.dir, hsm.module_path, label);
	assert_int_equal(softhsm_run(command), 0);
}

static void make_key(const char *label)
{
	char command[512];

	(void)snprintf(command, sizeof(command),
		       "PIN=$(cat %s/pin) pkcs11-tool --module %s --token-label dkim --login "
		       "--pin env:PIN --keypairgen --key-type rsa:1024 --label %s >/dev/null 2>&1",
		       hsm.dir, hsm.module_path, label);
	assert_int_equal(softhsm_run(command), 0);
}

static void fingerprint_of(struct fixture *f, const char *name,
			   unsigned char out[static PUBKEY_FINGERPRINT_BYTES])
{
	struct signkey *key = NULL;

	assert_int_equal(keyring_find(f->ring, slice_str(name), SLICE_LIT(""), &key, NULL), ERR_OK);
	assert_non_null(key->pubkey);
	memcpy(out, pubkey_fingerprint(key->pubkey), PUBKEY_FINGERPRINT_BYTES);
	signkey_unref(&key);
}

/* Deleted and made anew under its name by an operator: no reload, no new process. */
static void a_key_that_was_replaced_is_found_by_the_next_request(void **state)
{
	unsigned char before[PUBKEY_FINGERPRINT_BYTES];
	unsigned char after[PUBKEY_FINGERPRINT_BYTES];
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	uint64_t id = 2;
	struct fixture f;
	enum err e;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	fingerprint_of(&f, "k", before);
	delete_key("k");
	ask_signature(&f, 1, "k", PATIENCE_MS);
	assert_int_equal(answer_to(&f, 1), ERR_KEY_MISSING);
	assert_true(logged("does not have it any more; it is looked for anew"));
	make_key("k");
	while ((e = open_key(&f, id++, "k")) == ERR_KEY_MISSING && id < ANSWERS - 2 &&
	       clock_mono_ms() < until)
		(void)poll(NULL, 0, 100); /* until the list of keys is read again */
	assert_int_equal(e, ERR_OK);
	fingerprint_of(&f, "k", after);
	assert_memory_not_equal(before, after, sizeof(after));
	ask_signature(&f, id, "k", PATIENCE_MS);
	assert_int_equal(answer_to(&f, id), ERR_OK);
	assert_int_equal(atomic_load(&restarts), 0);
	end(&f);
}

static void probe(struct fixture *f)
{
	int64_t now_ms = clock_mono_ms();

	assert_int_equal(
		probe_start(&f->env, keyring_token(f->ring, 0), now_ms + PATIENCE_MS, false),
		ERR_OK);
	while (atomic_load(&under_way) > 0 && clock_mono_ms() < now_ms + PATIENCE_MS)
		tick(f);
	assert_int_equal(atomic_load(&under_way), 0);
}

static void a_probe_whose_key_was_deleted_uses_another(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	for (uint64_t id = 0; id < 4; id += 2) {
		assert_int_equal(open_key(&f, id, id == 0 ? "gone" : "stays"), ERR_OK);
		ask_signature(&f, id + 1, id == 0 ? "gone" : "stays", PATIENCE_MS);
		assert_int_equal(answer_to(&f, id + 1), ERR_OK);
	}
	delete_key("gone");
	for (int i = 0; i < 3; i++) {
		probe(&f);
		assert_false(health_doubted(health(&f)));
		assert_int_equal(health_check(health(&f), &(struct err_detail){ "" }), ERR_OK);
	}
	assert_int_equal(atomic_load(&restarts), 0);
	/* All are gone: that is the token. */
	delete_key("stays");
	delete_key("k");
	for (int i = 0; i < 3; i++)
		probe(&f);
	assert_int_not_equal(health_check(health(&f), &(struct err_detail){ "" }), ERR_OK);
	assert_true(atomic_load(&restarts) > 0);
	end(&f);
}

static CK_RV dead_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	(void)slot;
	(void)info;
	return CKR_DEVICE_REMOVED;
}

static CK_RV dead_sign(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
		       unsigned char *signature, CK_ULONG *ret_len)
{
	(void)session;
	(void)data;
	(void)len;
	(void)signature;
	(void)ret_len;
	return CKR_DEVICE_ERROR;
}

/* Nobody has sent mail yet: the operator is told the truth all the same. */
static void a_probe_without_a_key_asks_the_token(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	probe(&f);
	assert_int_equal(health_check(health(&f), &detail), ERR_OK);
	hsm.list->C_GetTokenInfo = dead_info;
	probe(&f);
	assert_int_equal(health_check(health(&f), &detail), ERR_TOKEN_ABSENT);
	assert_non_null(strstr(detail.text, "CKR_DEVICE_REMOVED"));
	/* It answers again: it may have requests, but is the last choice until it has signed. */
	hsm.list->C_GetTokenInfo = hsm.real.C_GetTokenInfo;
	probe(&f);
	assert_int_equal(health_check(health(&f), &detail), ERR_OK);
	assert_true(health_doubted(health(&f)));
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK); /* that makes a signature */
	assert_false(health_doubted(health(&f)));
	assert_true(logged("back in service"));
	end(&f);
}

/* A key that was opened has signed once: probes use it before any mail does. */
static void a_key_that_was_opened_is_what_probes_sign_with(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	assert_int_equal(open_key(&f, 0, "k"), ERR_OK);
	hsm.list->C_Sign = dead_sign;
	probe(&f);
	hsm.list->C_Sign = sign_at_gate;
	assert_int_equal(health_check(health(&f), &detail), ERR_TOKEN_FAILED);
	assert_non_null(strstr(detail.text, "C_Sign: CKR_DEVICE_ERROR"));
	end(&f);
}

/* --- the check of a generation's keys ----------------------------------------------------------
 */

static enum keycheck_state run_check(struct fixture *f, bool process_is_new)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct keycheck *check = keycheck_new(f->ring, process_is_new);
	enum keycheck_state result = KEYCHECK_GOES_ON;

	assert_non_null(check);
	while (result == KEYCHECK_GOES_ON && clock_mono_ms() < until) {
		result = keycheck_step(check, &f->env);
		tick(f);
	}
	keycheck_stop(&check);
	assert_null(check);
	keycheck_stop(&check); /* nothing */
	return result;
}

static void each_key_is_opened_and_what_is_wrong_is_said(void **state)
{
	char table[1024];
	struct fixture f;

	(void)state;
	(void)snprintf(table, sizeof(table),
		       "k a.example:s1:pkcs11:object=k\n"
		       "nobody a.example:s2:pkcs11:object=nobody\n"
		       "file a.example:s3:%s\n"
		       "nofile a.example:s4:/nonexistent/key.pem\n"
		       "each %%:s5:%s\n", /* another key for each domain: on first use */
		       pem_path, pem_path);
	begin(&f, table, hsm.module_path);
	assert_int_equal(run_check(&f, true), KEYCHECK_DONE);
	assert_true(logged("key k (s=s1, d=a.example): pkcs11:object=k, "));
	assert_true(logged("key file (s=s3, d=a.example): "));
	assert_true(logged("key nobody cannot be used: private key not found: "));
	assert_true(logged("key nofile cannot be used: private key not found: "));
	assert_false(logged("key each"));
	assert_true(logged("signer: 4 of 5 keys checked, 2 cannot be used"));
	assert_int_equal(atomic_load(&most_under_way), 1); /* mail has the other sessions */
	end(&f);
}

/* Perhaps its module does not see what came later; and a file needs no new process. */
static void a_key_that_a_reload_brings_in_vain_may_need_a_new_process(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "nobody a.example:s2:pkcs11:object=nobody\n", hsm.module_path);
	assert_int_equal(run_check(&f, false), KEYCHECK_UNSEEN);
	assert_false(logged("cannot be used"));
	end(&f);
	begin(&f, "nofile a.example:s4:/nonexistent/key.pem\n", hsm.module_path);
	assert_int_equal(run_check(&f, false), KEYCHECK_DONE);
	assert_true(logged("key nofile cannot be used"));
	end(&f);
}

static void a_token_that_is_away_ends_the_check(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, "/nonexistent/module.so");
	assert_int_equal(run_check(&f, true), KEYCHECK_DONE);
	assert_false(logged("cannot be used:"));
	assert_true(logged("signer: 1 of 3 keys checked, 0 cannot be used"));
	end(&f);
}

static void a_check_that_is_stopped_leaves_its_request_alone(void **state)
{
	struct keycheck *check;
	struct fixture f;

	(void)state;
	begin(&f, TOKEN_KEYS, hsm.module_path);
	check = keycheck_new(f.ring, true);
	assert_non_null(check);
	move_gate(false);
	assert_int_equal(keycheck_step(check, &f.env), KEYCHECK_GOES_ON);
	wait_at_gate(1);
	assert_int_equal(keycheck_step(check, &f.env), KEYCHECK_GOES_ON); /* waits for its answer */
	keycheck_stop(&check);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_is_opened_and_what_is_wrong_is_said),
		cmocka_unit_test(a_key_that_a_reload_brings_in_vain_may_need_a_new_process),
		cmocka_unit_test(a_token_that_is_away_ends_the_check),
		cmocka_unit_test(a_check_that_is_stopped_leaves_its_request_alone),
		cmocka_unit_test(what_expires_in_the_queue_says_nothing_about_the_token),
		cmocka_unit_test(a_probe_that_finds_no_free_session_says_nothing_about_the_token),
		cmocka_unit_test(a_token_whose_sessions_all_hang_rests),
		cmocka_unit_test(a_token_that_reads_its_keys_lives),
		cmocka_unit_test(a_probe_without_a_key_asks_the_token),
		cmocka_unit_test(a_key_that_was_opened_is_what_probes_sign_with),
		cmocka_unit_test(a_key_that_was_replaced_is_found_by_the_next_request),
		cmocka_unit_test(a_probe_whose_key_was_deleted_uses_another), /* takes keys away */
	};

	return cmocka_run_group_tests(tests, start, stop);
}
