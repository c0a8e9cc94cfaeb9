/*
 * The signer process itself, as the supervisor and the milter meet it: generations come in over its
 * control socket, requests over the peer socket; keys are PEM files, PEM texts and a SoftHSM token.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "config/handover.h"
#include "config/pinsource.h"
#include "signer/client.h"
#include "signer/process.h"
#include "softhsm.h"

/* Far more than any step takes. */
#define PATIENCE_MS 20000
#define FROM SLICE_LIT("from.example")

static struct softhsm hsm;
static struct sigkey_names last_names; /* of the key that could not be opened last */

/* --- a supervisor and a milter in one ----------------------------------------------------------
 */

struct world {
	pid_t pid;
	int control;
	struct sigclient *client;
	uint32_t generation;
	struct handover_msg msg; /* the last one that came */
};

static void in_child(int sock)
{
	const char *program = getenv("SIGNER");

	if (sock != HANDOVER_FD)
		(void)dup2(sock, HANDOVER_FD);
	else
		(void)fcntl(sock, F_SETFD, 0);
	if (program != NULL)
		(void)execl(program, "hsmdkim-signer", (char *)NULL);
	_exit(127);
}

static void start_process(struct world *w)
{
	int pair[2];

	*w = (struct world){ .msg.fd = -1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0)
		in_child(pair[1]);
	(void)close(pair[1]);
	w->control = pair[0];
}

static int exit_status(struct world *w)
{
	int status = 0;

	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void end(struct world *w)
{
	sigclient_free(&w->client);
	handover_msg_done(&w->msg);
	if (w->control >= 0)
		(void)close(w->control);
	if (w->pid > 0)
		(void)exit_status(w);
}

/* The next message that is not a note. */
static enum handover_type next_message(struct world *w)
{
	handover_msg_done(&w->msg);
	assert_int_equal(handover_recv(w->control, PATIENCE_MS, &w->msg), ERR_OK);
	return w->msg.type;
}

static void put_text(struct files *f, const char *path, const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(files_put(f, path, fd), ERR_OK);
}

static void set(struct settings *s, const char *name, const char *value)
{
	struct err_detail detail = { "" };

	if (settings_set(s, slice_str(name), slice_str(value), NULL, &detail) != ERR_OK)
		fail_msg("%s: %s", name, detail.text);
}

/* LOAD with this KeyTable (lines) and, with_token, the SoftHSM token. @return LOADED or FAILED */
static enum handover_type load(struct world *w, const char *keytable, bool with_token,
			       const char *pin)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();

	set(s, "KeyTable", "file:/tables/keys");
	set(s, "Syslog", "no");
	set(s, "TokenTimeout", "2s");
	put_text(f, "/tables/keys", keytable);
	if (with_token) {
		set(s, "PKCS11Module", hsm.module_path);
		set(s, "PKCS11PinSource", "file:/pin");
		put_text(f, "/pin", pin);
	}
	w->generation++;
	assert_int_equal(handover_send_load(w->control, w->generation, s, f), ERR_OK);
	return next_message(w);
}

static void commit(struct world *w)
{
	assert_int_equal(handover_send(w->control, HANDOVER_COMMIT, w->generation, NULL, -1),
			 ERR_OK);
}

static void connect_milter(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(handover_send(w->control, HANDOVER_PEER, 0, NULL, pair[1]), ERR_OK);
	(void)close(pair[1]);
	if (w->client == NULL)
		assert_int_equal(sigclient_new(64, &w->client), ERR_OK);
	sigclient_attach(w->client, pair[0]);
}

static const char *right_pin(void)
{
	static char text[LIMIT_PIN_BYTES + 1];

	(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(pin_bytes(hsm.pin)));
	return text;
}

/* In service with this KeyTable. */
static void begin(struct world *w, const char *keytable, bool with_token)
{
	start_process(w);
	if (load(w, keytable, with_token, right_pin()) != HANDOVER_LOADED)
		fail_msg("%s", w->msg.text);
	commit(w);
	assert_int_equal(next_message(w), HANDOVER_READY);
	connect_milter(w);
}

static enum err open_key(struct world *w, const char *name, struct sigkey **ret_key,
			 struct err_detail *detail)
{
	struct sigjob *job = NULL;

	assert_int_equal(sigclient_open(w->client, w->generation, slice_str(name), FROM,
					clock_mono_ms() + PATIENCE_MS, &job),
			 ERR_OK);
	return sigclient_open_wait(&job, ret_key, &last_names, detail);
}

static bool openssl_accepts(const struct sigkey *key, struct slice digest, struct slice signature)
{
	const unsigned char *p = key->pubkey;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)key->pubkey_len);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok;

	if (key->alg == DKIM_ALG_ED25519_SHA256)
		ok = EVP_DigestVerifyInit(md, NULL, NULL, NULL, pkey) == 1 &&
		     EVP_DigestVerify(md, (const unsigned char *)signature.ptr, signature.len,
				      (const unsigned char *)digest.ptr, digest.len) == 1;
	else
		ok = EVP_PKEY_verify_init(ctx) == 1 &&
		     EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		     EVP_PKEY_verify(ctx, (const unsigned char *)signature.ptr, signature.len,
				     (const unsigned char *)digest.ptr, digest.len) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

static enum err sign(struct world *w, struct sigkey *key)
{
	static const char digest[] = "0123456789abcdef0123456789abcde";
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	struct slice bytes = slice_of(digest, 32);
	struct sigjob *job = NULL;
	size_t len = 0;
	enum err err;

	assert_int_equal(sigclient_sign(w->client, w->generation, key, FROM, bytes,
					clock_mono_ms() + PATIENCE_MS, &job),
			 ERR_OK);
	err = sigclient_sign_wait(&job, signature, &len, NULL);
	if (err == ERR_OK)
		assert_true(openssl_accepts(key, bytes, slice_of(signature, len)));
	return err;
}

static void assert_signs(struct world *w, const char *name)
{
	struct err_detail detail = { "" };
	struct sigkey *key = NULL;

	if (open_key(w, name, &key, &detail) != ERR_OK)
		fail_msg("%s: %s", name, detail.text);
	assert_int_equal(sign(w, key), ERR_OK);
	sigkey_unref(&key);
}

/* --- fixture -----------------------------------------------------------------------------------
 */

static char pem_path[96];
static char pem_line[4096]; /* "name domain:selector:PEM text", as OpenDKIM writes one */
static char loose_path[96];

static void make_inline_pem(void)
{
	FILE *f = fopen(pem_path, "rb");
	char *at = pem_line + snprintf(pem_line, sizeof(pem_line), "inline i.example:s3:");
	char line[128];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] != '-')
			at += snprintf(at, (size_t)(pem_line + sizeof(pem_line) - at), "%.*s",
				       (int)strcspn(line, "\n"), line);
	}
	(void)fclose(f);
}

static int start(void **state)
{
	char command[512];
	char signer[512];

	(void)state;
	(void)snprintf(signer, sizeof(signer), "%s/hsmdkim-signer", getenv("BIN"));
	(void)setenv("SIGNER", signer, 1);
	if (!softhsm_new(&hsm, "dkim", "rsa=rsa:2048 ed=ed25519 small=rsa:1024"))
		return -1;
	(void)snprintf(pem_path, sizeof(pem_path), "%s/key.pem", hsm.dir);
	(void)snprintf(loose_path, sizeof(loose_path), "%s/loose.pem", hsm.dir);
	(void)snprintf(
		command, sizeof(command),
		"umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "
		"%s 2>/dev/null && cp %s %s && chmod 644 %s",
		pem_path, pem_path, loose_path, loose_path);
	if (softhsm_run(command) != 0)
		return -1;
	make_inline_pem();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

static const char *keytable_with(const char *more)
{
	static char text[8192];

	(void)snprintf(text, sizeof(text), "file f.example:s1:%s\n%s\n%s\n", pem_path, pem_line,
		       more);
	return text;
}

#define TOKEN_ROWS                                                                                 \
	"rsa r.example:s1:pkcs11:object=rsa\n"                                                     \
	"ed %:s2:pkcs11:token=dkim;object=ed\n"                                                    \
	"missing m.example:s1:pkcs11:object=nobody\n"

/* --- keys --------------------------------------------------------------------------------------
 */

static void key_files_and_texts_sign(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_signs(&w, "file");
	assert_signs(&w, "inline");
	assert_int_equal(open_key(&w, "file", &key, NULL), ERR_OK);
	assert_string_equal(key->domain, "f.example");
	assert_string_equal(key->selector, "s1");
	assert_int_equal(key->bits, 2048);
	sigkey_unref(&key);
	end(&w);
}

static void token_keys_sign(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_signs(&w, "ed");
	assert_signs(&w, "file");
	assert_int_equal(open_key(&w, "ed", &key, NULL), ERR_OK);
	assert_string_equal(key->domain, "from.example"); /* "%" */
	assert_int_equal(key->alg, DKIM_ALG_ED25519_SHA256);
	sigkey_unref(&key);
	end(&w);
}

static void what_is_wrong_with_one_key_is_said_and_hurts_no_other(void **state)
{
	static const struct {
		const char *name;
		enum err error;
		const char *says;
		const char *domain;
	} rows[] = {
		{ "nobody", ERR_KEY_UNKNOWN, "nobody", "" },
		{ "missing", ERR_KEY_MISSING, "object=nobody", "m.example" },
		{ "loose", ERR_FILE_UNSAFE, "chmod", "l.example" },
		{ "gone", ERR_KEY_MISSING, "/nonexistent/key.pem", "g.example" },
	};
	char more[1024];
	struct world w;

	(void)state;
	(void)snprintf(more, sizeof(more),
		       "%sloose l.example:s1:%s\ngone g.example:s1:/nonexistent/key.pem\n",
		       TOKEN_ROWS, loose_path);
	begin(&w, keytable_with(more), true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };
		struct sigkey *key = NULL;

		assert_int_equal(open_key(&w, rows[i].name, &key, &detail), rows[i].error);
		assert_null(key);
		if (strstr(detail.text, rows[i].says) == NULL)
			fail_msg("%s: \"%s\"", rows[i].name, detail.text);
		assert_string_equal(last_names.domain, rows[i].domain);
		assert_string_equal(last_names.selector, rows[i].domain[0] != '\0' ? "s1" : "");
		assert_signs(&w, "file");
		assert_signs(&w, "rsa");
	}
	end(&w);
}

static void another_fingerprint_is_not_signed_for(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(open_key(&w, i == 0 ? "rsa" : "file", &key, NULL), ERR_OK);
		key->fingerprint[5] ^= 1;
		assert_int_equal(sign(&w, key), ERR_KEY_CHANGED);
		key->fingerprint[5] ^= 1;
		sigkey_unref(&key);
	}
	end(&w);
}

/* --- generations -------------------------------------------------------------------------------
 */

static void a_bad_table_is_refused_and_the_old_one_goes_on(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_int_equal(load(&w, "file f.example\n", false, ""), HANDOVER_FAILED);
	assert_non_null(strstr(w.msg.text, "/tables/keys:1"));
	assert_int_equal(handover_send(w.control, HANDOVER_ABORT, w.generation, NULL, -1), ERR_OK);
	w.generation--;
	assert_signs(&w, "file");
	end(&w);
}

static void a_reload_switches_and_the_generation_before_still_answers(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_int_equal(load(&w, "new n.example:s9:pkcs11:object=rsa\n", true, right_pin()),
			 HANDOVER_LOADED);
	commit(&w);
	assert_signs(&w, "new");
	assert_int_equal(open_key(&w, "rsa", &key, NULL), ERR_KEY_UNKNOWN);
	w.generation--; /* a message that began before */
	assert_signs(&w, "rsa");
	end(&w);
}

static void a_milter_that_was_restarted_is_served(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	for (int i = 0; i < 3; i++) {
		connect_milter(&w);
		assert_signs(&w, "file");
	}
	end(&w);
}

/* --- replicas ----------------------------------------------------------------------------------
 */

/* The same key on two tokens, A and B, of one module. */
static void make_replicas(void)
{
	char command[1024];

	assert_true(softhsm_add_token(&hsm, "replicaA", "onlyA=rsa:1024"));
	assert_true(softhsm_add_token(&hsm, "replicaB", "onlyB=rsa:1024"));
	(void)snprintf(
		command, sizeof(command),
		"for t in replicaA replicaB; do softhsm2-util --import %s --token $t --label "
		"twin --id aa --pin $(cat %s/pin) >/dev/null || exit 1; done",
		pem_path, hsm.dir);
	assert_int_equal(softhsm_run(command), 0);
}

static void begin_replicas(struct world *w, const char *keytable)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();
	char table[1024];

	start_process(w);
	(void)snprintf(table, sizeof(table),
		       "A pkcs11:token=replicaA?module-path=%s&pin-source=file:/pin sessions=2\n"
		       "B pkcs11:token=replicaB?module-path=%s&pin-source=file:/pin sessions=2\n",
		       hsm.module_path, hsm.module_path);
	set(s, "KeyTable", "file:/tables/keys");
	set(s, "TokenTable", "file:/tables/tokens");
	set(s, "Syslog", "no");
	set(s, "TokenTimeout", "5s");
	put_text(f, "/tables/keys", keytable);
	put_text(f, "/tables/tokens", table);
	put_text(f, "/pin", right_pin());
	w->generation++;
	assert_int_equal(handover_send_load(w->control, w->generation, s, f), ERR_OK);
	if (next_message(w) != HANDOVER_LOADED)
		fail_msg("%s", w->msg.text);
	commit(w);
	assert_int_equal(next_message(w), HANDOVER_READY);
	connect_milter(w);
}

static void move_token(const char *token, bool away)
{
	char command[512];

	(void)snprintf(
		command, sizeof(command),
		away ? "cd %s && d=$(grep -l %s tokens/*/token.object) && mv ${d%%/*} gone-%s"
		     : "cd %s && mv gone-%s tokens/%s",
		hsm.dir, token, token);
	assert_int_equal(softhsm_run(command), 0);
}

static void a_replica_takes_over_when_the_other_is_gone(void **state)
{
	static const char keytable[] = "twin t.example:s1:pkcs11:object=twin\n"
				       "onlyA a.example:s1:pkcs11:object=onlyA\n"
				       "onlyB b.example:s1:pkcs11:token=replicaB;object=onlyB\n";
	struct world w;

	(void)state;
	make_replicas();
	begin_replicas(&w, keytable);
	assert_signs(&w, "onlyA");
	assert_signs(&w, "onlyB");
	for (int i = 0; i < 20; i++)
		assert_signs(&w, "twin");
	move_token("replicaA", true);
	for (int i = 0; i < 20; i++)
		assert_signs(&w, "twin");
	assert_signs(&w, "onlyB");
	move_token("replicaA", false);
	end(&w);
}

/* --- PINs --------------------------------------------------------------------------------------
 */

static void a_refused_pin_is_noted_and_key_files_go_on(void **state)
{
	struct err_detail detail = { "" };
	struct sigkey *key = NULL;
	bool noted = false;
	struct world w;

	(void)state;
	start_process(&w);
	assert_int_equal(load(&w, keytable_with(TOKEN_ROWS), true, "wrong"), HANDOVER_LOADED);
	commit(&w);
	for (bool ready = false; !ready || !noted;) {
		enum handover_type type;

		if (ready) { /* an idle process notes it when the first request comes */
			connect_milter(&w);
			assert_int_equal(open_key(&w, "rsa", &key, &detail), ERR_TOKEN_PIN);
		}
		type = next_message(&w);
		ready |= type == HANDOVER_READY;
		noted |= type == HANDOVER_NOTE;
		if (type == HANDOVER_NOTE)
			assert_null(strstr(w.msg.text, "wrong"));
	}
	if (w.client == NULL)
		connect_milter(&w);
	assert_int_equal(open_key(&w, "rsa", &key, &detail), ERR_TOKEN_PIN);
	assert_non_null(strstr(detail.text, "reload"));
	assert_signs(&w, "file");
	/* The operator mends it. */
	assert_int_equal(load(&w, keytable_with(TOKEN_ROWS), true, right_pin()), HANDOVER_LOADED);
	commit(&w);
	assert_signs(&w, "rsa");
	end(&w);
}

/* --- end ---------------------------------------------------------------------------------------
 */

static void stop_is_an_orderly_exit(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_int_equal(handover_send(w.control, HANDOVER_STOP, 0, NULL, -1), ERR_OK);
	assert_int_equal(exit_status(&w), SIGNER_EXIT_OK);
	end(&w);
}

static void it_does_not_outlive_its_supervisor(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	(void)close(w.control);
	w.control = -1;
	assert_int_equal(exit_status(&w), SIGNER_EXIT_LOST);
	end(&w);
}

static void nonsense_of_the_milter_is_dropped(void **state)
{
	int pair[2];
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(handover_send(w.control, HANDOVER_PEER, 0, NULL, pair[1]), ERR_OK);
	(void)close(pair[1]);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send(pair[0], "nonsense", 8, MSG_NOSIGNAL), 8);
	(void)close(pair[0]);
	connect_milter(&w);
	assert_signs(&w, "file");
	end(&w);
}

static void it_refuses_to_run_by_hand(void **state)
{
	char command[600];

	(void)state;
	(void)snprintf(command, sizeof(command), "\"$SIGNER\" 3<&- 2>/dev/null");
	assert_int_equal(softhsm_run(command), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files_and_texts_sign),
		cmocka_unit_test(token_keys_sign),
		cmocka_unit_test(what_is_wrong_with_one_key_is_said_and_hurts_no_other),
		cmocka_unit_test(another_fingerprint_is_not_signed_for),
		cmocka_unit_test(a_bad_table_is_refused_and_the_old_one_goes_on),
		cmocka_unit_test(a_reload_switches_and_the_generation_before_still_answers),
		cmocka_unit_test(a_milter_that_was_restarted_is_served),
		cmocka_unit_test(a_refused_pin_is_noted_and_key_files_go_on),
		cmocka_unit_test(stop_is_an_orderly_exit),
		cmocka_unit_test(it_does_not_outlive_its_supervisor),
		cmocka_unit_test(nonsense_of_the_milter_is_dropped),
		cmocka_unit_test(it_refuses_to_run_by_hand),
		cmocka_unit_test(a_replica_takes_over_when_the_other_is_gone), /* adds tokens */
	};

	return cmocka_run_group_tests(tests, start, stop);
}
