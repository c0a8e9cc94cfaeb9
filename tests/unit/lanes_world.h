/*
 * Lanes, tokens and requests of the signer in one process with a SoftHSM token: no supervisor, no
 * milter, and a C_Sign that waits at a gate. A test program that includes this is _GNU_SOURCE.
 */
#ifndef TESTS_UNIT_LANES_WORLD_H
#define TESTS_UNIT_LANES_WORLD_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "signer/request.h"
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

static inline void on_begun(void *ctx, size_t bytes)
{
	int n = atomic_fetch_add(&under_way, 1) + 1;

	(void)ctx;
	(void)bytes;
	if (n > atomic_load(&most_under_way))
		atomic_store(&most_under_way, n);
}

static inline void on_done(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	atomic_fetch_sub(&under_way, 1);
}

static inline void on_restart(void *ctx, const char *why)
{
	(void)ctx;
	(void)why;
	atomic_fetch_add(&restarts, 1);
}

/* --- the log -----------------------------------------------------------------------------------
 */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[16384];

static inline void open_lines(void *ctx, const char *ident, int facility)
{
	(void)ctx;
	(void)ident;
	(void)facility;
}

static inline void write_line(void *ctx, enum log_level level, const char *line)
{
	size_t len;

	(void)ctx;
	(void)level;
	(void)pthread_mutex_lock(&log_lock);
	len = strlen(lines);
	(void)snprintf(lines + len, sizeof(lines) - len, "%s\n", line);
	(void)pthread_mutex_unlock(&log_lock);
}

static inline bool logged(const char *text)
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

static inline CK_RV sign_at_gate(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
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

static inline void move_gate(bool open)
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

static inline void on_answer(void *ctx, uint64_t id, enum err error, const char *text)
{
	(void)ctx;
	(void)text;
	assert_int_equal(atomic_exchange(&answers[id].error, (int)error), -1); /* once */
}

static inline void put_text(struct files *f, const char *path, const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(files_put(f, path, fd), ERR_OK);
}

static inline void set(struct settings *s, const char *name, const char *value)
{
	assert_int_equal(settings_set(s, slice_str(name), slice_str(value), NULL, NULL), ERR_OK);
}

static inline struct keyring *new_ring(const char *keytable, const char *module_path)
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

static inline void begin(struct fixture *f, const char *keytable, const char *module_path)
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

static inline void end(struct fixture *f)
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

static inline struct health *health(const struct fixture *f)
{
	return tokenlane_health(keyring_token(f->ring, 0));
}

static inline void tick(struct fixture *f)
{
	(void)lane_tick(f->env.files, clock_mono_ms());
	watch_tokens(&f->env, f->ring, false);
	(void)poll(NULL, 0, 2);
}

static inline enum err answer_to(struct fixture *f, uint64_t id)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (atomic_load(&answers[id].error) < 0 && clock_mono_ms() < until)
		tick(f);
	assert_true(atomic_load(&answers[id].error) >= 0);
	return (enum err)atomic_load(&answers[id].error);
}

static inline enum err open_within(struct fixture *f, uint64_t id, const char *name,
				   uint32_t left_ms)
{
	const struct wire_msg msg = {
		.type = WIRE_OPEN, .id = id, .left_ms = left_ms, .key_name = slice_str(name)
	};

	request_start(&f->env, f->ring, f->peer, &msg, NULL);
	return answer_to(f, id);
}

static inline enum err open_key(struct fixture *f, uint64_t id, const char *name)
{
	return open_within(f, id, name, PATIENCE_MS);
}

static inline void ask_signature(struct fixture *f, uint64_t id, const char *name, uint32_t left_ms)
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

static inline void wait_at_gate(int count)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (atomic_load(&at_gate) < count && clock_mono_ms() < until)
		(void)poll(NULL, 0, 2);
	assert_int_equal(atomic_load(&at_gate), count);
}

static inline void *nothing(void *arg)
{
	return arg;
}

static inline int start(void **state)
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

static inline int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

#define TOKEN_KEYS                                                                                 \
	"k a.example:s1:pkcs11:object=k\n"                                                         \
	"gone a.example:s2:pkcs11:object=gone\n"                                                   \
	"stays a.example:s3:pkcs11:object=stays\n"

#endif
