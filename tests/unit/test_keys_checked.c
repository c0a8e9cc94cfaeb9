/* signer/keycheck: the check of a new generation's keys. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lanes_world.h"
#include "signer/keycheck.h"

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
	char small_path[128];
	char table[1024];
	char text[512];
	struct fixture f;

	(void)state;
	(void)snprintf(small_path, sizeof(small_path), "%s/small.pem", hsm.dir);
	(void)snprintf(text, sizeof(text), "umask 077; openssl genrsa -out %s 768 2>/dev/null",
		       small_path);
	assert_int_equal(softhsm_run(text), 0);
	(void)snprintf(table, sizeof(table),
		       "k a.example:s1:pkcs11:object=k\n"
		       "nobody a.example:s2:pkcs11:object=nobody\n"
		       "file a.example:s3:%s\n"
		       "nofile a.example:s4:/nonexistent/key.pem\n"
		       "small a.example:s6:%s\n"
		       "each %%:s5:%s\n", /* another key for each domain: on first use */
		       pem_path, small_path, pem_path);
	begin(&f, table, hsm.module_path);
	assert_int_equal(run_check(&f, true), KEYCHECK_DONE);
	assert_true(logged("key k (s=s1, d=a.example): pkcs11:object=k, "));
	assert_true(logged("key file (s=s3, d=a.example): "));
	assert_true(logged("key nobody cannot be used: private key not found: "));
	assert_true(logged("key nofile cannot be used: private key not found: "));
	(void)snprintf(text, sizeof(text),
		       "key small cannot be used: key is smaller than MinimumKeyBits: %s: 768 bits",
		       small_path);
	assert_true(logged(text));
	assert_false(logged("key each"));
	assert_true(logged("signer: 5 of 6 keys checked, 3 cannot be used"));
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
	assert_true(logged(
		"signer: 0 of 3 keys checked, 0 cannot be used; their token is out of service"));
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
	};

	return cmocka_run_group_tests(tests, start, stop);
}
