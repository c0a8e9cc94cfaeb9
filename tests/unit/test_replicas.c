/*
 * The signer process with several tokens: one key on two of them, one name for two keys, tokens
 * that want different things signed, a key that is deleted.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer_world.h"

/* clash is another key on each; B's module can be made to fail (tests/faultmod). */
static const char keytable[] = "twin t.example:s1:pkcs11:object=twin\n"
			       "onlyA a.example:s1:pkcs11:object=onlyA\n"
			       "onlyB b.example:s1:pkcs11:token=replicaB;object=onlyB\n"
			       "clash c.example:s1:pkcs11:object=clash\n"
			       "clashA d.example:s1:pkcs11:token=replicaA;object=clash\n";

static char fault_module[600];

static void fault(const char *script)
{
	char path[96];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/script", hsm.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(script, f);
	(void)fclose(f);
}

/* The proxy stands before a copy of the module: one file is one module to the loader. */
static bool prepare_faults(void)
{
	char command[512];
	char path[96];

	(void)snprintf(fault_module, sizeof(fault_module), "%s/../lib/libhsmdkim-faultmod.so",
		       getenv("BIN"));
	(void)snprintf(path, sizeof(path), "%s/copy.so", hsm.dir);
	(void)setenv("HSMDKIM_FAULT_MODULE", path, 1);
	(void)snprintf(command, sizeof(command), "cp %s %s", hsm.module_path, path);
	(void)snprintf(path, sizeof(path), "%s/script", hsm.dir);
	(void)setenv("HSMDKIM_FAULT_SCRIPT", path, 1);
	(void)snprintf(path, sizeof(path), "%s/calls", hsm.dir);
	(void)setenv("HSMDKIM_FAULT_LOG", path, 1);
	fault("");
	return softhsm_run(command) == 0;
}

static int start(void **state)
{
	char command[1024];
	char signer[512];

	(void)state;
	(void)snprintf(signer, sizeof(signer), "%s/hsmdkim-signer", getenv("BIN"));
	(void)setenv("SIGNER", signer, 1);
	if (!softhsm_new(&hsm, "replicaA", "onlyA=rsa:1024 clash=rsa:1024") ||
	    !softhsm_add_token(&hsm, "replicaB", "onlyB=rsa:1024 clash=rsa:1024"))
		return -1;
	(void)snprintf(
		command, sizeof(command),
		"cd %s && openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "
		"twin.pem 2>/dev/null && for t in replicaA replicaB; do softhsm2-util --import "
		"twin.pem --token $t --label twin --id aa --pin $(cat pin) >/dev/null || exit 1; "
		"done",
		hsm.dir);
	return softhsm_run(command) == 0 && prepare_faults() ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

static void begin_pools(struct world *w, const char *module_of_b, unsigned sessions_a,
			unsigned sessions_b)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();
	char table[2048];

	start_process(w);
	(void)snprintf(table, sizeof(table),
		       "A pkcs11:token=replicaA?module-path=%s&pin-source=file:/pin sessions=%u\n"
		       "B pkcs11:token=replicaB?module-path=%s&pin-source=file:/pin sessions=%u\n",
		       hsm.module_path, sessions_a, module_of_b, sessions_b);
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

static void begin_replicas(struct world *w, const char *module_of_b)
{
	begin_pools(w, module_of_b, 2, 2);
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
	struct world w;

	(void)state;
	begin_replicas(&w, hsm.module_path);
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

static void one_name_of_two_keys_is_an_error_that_names_both_tokens(void **state)
{
	struct world w;

	(void)state;
	begin_replicas(&w, hsm.module_path);
	for (int i = 0; i < 3; i++) {
		struct err_detail detail = { "" };
		struct sigkey *key = NULL;

		assert_int_equal(open_key(&w, "clash", &key, &detail), ERR_AMBIGUOUS);
		assert_non_null(strstr(detail.text, "object=clash"));
		assert_non_null(strstr(detail.text, "token A"));
		assert_non_null(strstr(detail.text, "token B"));
		assert_signs(&w, "clashA");
		assert_signs(&w, "twin");
	}
	end(&w);
}

/* A signs digests, B only with CKM_SHA256_RSA_PKCS. */
static void a_token_that_hashes_itself_stands_in_for_one_that_does_not(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	fault("C_GetMechanismInfo all without 0x1\nC_SignInit all without 0x1\n");
	begin_replicas(&w, fault_module);
	assert_int_equal(open_key(&w, "twin", &key, NULL), ERR_OK);
	assert_true(key->wants_input); /* of both, so that either can sign */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sign_bytes(&w, key, true), ERR_OK);
		assert_int_equal(sign_bytes(&w, key, false), ERR_OK); /* A's */
	}
	move_token("replicaA", true);
	for (int i = 0; i < 20; i++)
		assert_int_equal(sign_bytes(&w, key, true), ERR_OK);
	/* The milter asks for the key anew and sends the header then. */
	assert_int_equal(sign_bytes(&w, key, false), ERR_KEY_CHANGED);
	move_token("replicaA", false);
	sigkey_unref(&key);
	fault("");
	end(&w);
}

static void delete_key(const char *token, const char *label)
{
	char command[512];

	(void)snprintf(command, sizeof(command),
		       "PIN=$(cat %s/pin) pkcs11-tool --module %s --token-label %s --login "
		       "--pin env:PIN --delete-object --type privkey --label %s >/dev/null",
		       hsm.dir, hsm.module_path, token, label);
	assert_int_equal(softhsm_run(command), 0);
}

/* How often B's module had this call and answer; below 256. */
static int calls_of_b(const char *pattern)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "exit $(grep -c '%s' %s/calls)", pattern, hsm.dir);
	return softhsm_run(command);
}

/* CKR_KEY_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID */
static int stale_handles(void)
{
	return calls_of_b("C_SignInit 0x[68][02]");
}

/* B has more of them, until it is busy. */
static void requests_go_where_most_sessions_are_free(void **state)
{
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	static const char digest[] = "0123456789abcdef0123456789abcdef";
	struct sigjob *slow[6] = { NULL };
	struct sigkey *key = NULL;
	size_t len = 0;
	struct world w;
	int before;

	(void)state;
	fault("");
	begin_pools(&w, fault_module, 1, 6);
	assert_int_equal(open_key(&w, "twin", &key, NULL), ERR_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sign(&w, key), ERR_OK); /* both have looked for it */
	before = calls_of_b("C_Sign 0x0");
	for (int i = 0; i < 10; i++)
		assert_int_equal(sign(&w, key), ERR_OK);
	assert_true(calls_of_b("C_Sign 0x0") >= before + 8); /* the check of the keys goes on */
	fault("C_Sign all delay 1500\n");
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		assert_int_equal(sigclient_sign(w.client, w.generation, key, FROM,
						slice_of(digest, 32), clock_mono_ms() + PATIENCE_MS,
						&slow[i]),
				 ERR_OK);
	before = calls_of_b("C_Sign 0x0");
	assert_int_equal(sign(&w, key), ERR_OK); /* A's */
	assert_int_equal(calls_of_b("C_Sign 0x0"), before);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		assert_int_equal(sigclient_sign_wait(&slow[i], signature, &len, NULL), ERR_OK);
	sigkey_unref(&key);
	fault("");
	end(&w);
}

/* The last tests: they take keys away. */
static void a_deleted_key_hurts_no_other(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin_replicas(&w, hsm.module_path);
	assert_int_equal(open_key(&w, "onlyA", &key, NULL), ERR_OK);
	assert_int_equal(sign(&w, key), ERR_OK);
	assert_signs(&w, "clashA");
	delete_key("replicaA", "onlyA");
	for (int i = 0; i < 5; i++) {
		assert_int_equal(sign(&w, key), ERR_KEY_MISSING);
		assert_signs(&w, "clashA");
		assert_signs(&w, "twin");
	}
	assert_int_equal(waitpid(w.pid, NULL, WNOHANG), 0); /* the same process as before */
	sigkey_unref(&key);
	end(&w);
}

/* Else each message would try there first. */
static void a_replica_without_its_key_is_asked_last(void **state)
{
	struct world w;

	(void)state;
	fault("");
	begin_replicas(&w, fault_module);
	for (int i = 0; i < 10; i++)
		assert_signs(&w, "twin");
	assert_int_equal(stale_handles(), 0);
	delete_key("replicaB", "twin");
	for (int i = 0; i < 30; i++)
		assert_signs(&w, "twin");
	assert_true(stale_handles() <= 1);
	/* The probes of B are as before. */
	assert_signs(&w, "onlyB");
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replica_takes_over_when_the_other_is_gone),
		cmocka_unit_test(one_name_of_two_keys_is_an_error_that_names_both_tokens),
		cmocka_unit_test(a_token_that_hashes_itself_stands_in_for_one_that_does_not),
		cmocka_unit_test(requests_go_where_most_sessions_are_free),
		cmocka_unit_test(a_deleted_key_hurts_no_other),
		cmocka_unit_test(a_replica_without_its_key_is_asked_last),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
