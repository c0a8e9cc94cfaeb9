/* signer/probe: what a probe finds out, with and without a key; keys that are deleted or replaced.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lanes_world.h"
#include "signer/probe.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_without_a_key_asks_the_token),
		cmocka_unit_test(a_key_that_was_opened_is_what_probes_sign_with),
		cmocka_unit_test(a_key_that_was_replaced_is_found_by_the_next_request),
		cmocka_unit_test(a_probe_whose_key_was_deleted_uses_another), /* takes keys away */
	};

	return cmocka_run_group_tests(tests, start, stop);
}
