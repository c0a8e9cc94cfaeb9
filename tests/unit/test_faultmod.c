/* tests/faultmod: rules, sessions and logins do what its README says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "faultmod_world.h"

/* --- every function, by the n-th call --- */

static void every_function_is_there(void **state)
{
	const char *const *p = (const char *const *)(const void *)&f->C_Initialize;
	const CK_FUNCTION_LIST *end = f + 1;

	(void)state;
	assert_int_equal(f->version.major, 2);
	for (unsigned n = 0; (const void *)p < (const void *)end; p++, n++)
		if (*p == NULL)
			fail_msg("function %u is missing", n);
}

static void rules_count_calls(void **state)
{
	static const struct {
		const char *script;
		const char *fails; /* call by call */
	} rows[] = {
		{ "C_GetInfo all return CKR_DEVICE_ERROR", "xxxxxx" },
		{ "C_GetInfo call 3 return CKR_DEVICE_ERROR", "..x..." },
		{ "C_GetInfo from 4 return CKR_DEVICE_ERROR", "...xxx" },
		{ "C_GetInfo to 2 return CKR_DEVICE_ERROR", "xx...." },
		{ "C_GetInfo every 2 return 0x30", ".x.x.x" },
		{ "* call 1 return CKR_DEVICE_ERROR", "x....." },
		{ "C_GetInfo chance 0 return CKR_DEVICE_ERROR", "......" },
		{ "C_GetInfo chance 100 after CKR_DEVICE_ERROR", "xxxxxx" },
		{ "# C_GetInfo all return CKR_DEVICE_ERROR\n\nC_Sign all crash", "......" },
		{ "C_GetInfo call 1 return 48\nC_GetInfo call 2 return 0x30", "xx...." },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		script(rows[i].script);
		for (const char *c = rows[i].fails; *c != '\0'; c++) {
			CK_INFO info;
			CK_RV rv = f->C_GetInfo(&info);

			if (rv != (*c == 'x' ? CKR_DEVICE_ERROR : CKR_OK))
				fail_msg("%s: call %d: 0x%lx", rows[i].script,
					 (int)(c - rows[i].fails + 1), rv);
		}
	}
}

static void a_delay_takes_no_processor(void **state)
{
	int64_t started_ms = clock_mono_ms();
	struct timespec before;
	struct timespec after;
	CK_INFO info;

	(void)state;
	script("C_GetInfo all delay 60ms");
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_true(clock_mono_ms() - started_ms >= 60);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			    (after.tv_nsec - before.tv_nsec) / 1000000 <
		    30);
}

/* What an abort says is no news. */
static void be_silent(void)
{
	if (freopen("/dev/null", "w", stderr) == NULL)
		_exit(2);
}

/* @return the signal that ended it; 0: it was still running at the end of its time */
static int in_child(const char *text, int64_t limit_ms)
{
	int64_t deadline_ms = clock_mono_ms() + limit_ms;
	CK_INFO info;
	int status = 0;
	pid_t pid;

	script(text);
	pid = fork();
	if (pid == 0) {
		be_silent();
		(void)f->C_GetInfo(&info);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > deadline_ms) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			return 0;
		}
		(void)poll(NULL, 0, 1);
	}
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void hangs_and_crashes(void **state)
{
	(void)state;
	assert_int_equal(in_child("C_GetInfo all crash", 5000), SIGSEGV);
	assert_int_equal(in_child("C_GetInfo all hang", 200), 0);
	assert_int_equal(in_child("C_GetInfo call 2 hang", 5000), -1);
	assert_true(logged("C_GetInfo crash") == 1);
	assert_true(logged("C_GetInfo hang") == 1);
}

static void a_typo_ends_the_process(void **state)
{
	static const char *const rows[] = {
		"C_GetInfos all hang",		"C_GetInfo sometimes hang",
		"C_GetInfo all hangs",		"C_GetInfo all return CKR_DEVICE_EROR",
		"C_GetInfo call hang",		"C_GetInfo all delay",
		"C_GetInfo all lie rarely",	"C_GetInfo all crash now",
		"C_GetInfo every 0 return 0x5", "C_GetInfo all return",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (in_child(rows[i], 5000) != SIGABRT)
			fail_msg("%s", rows[i]);
}

/* --- sessions and login --- */

static void dropped_sessions_get_what_the_token_says(void **state)
{
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "rsa");
	unsigned char signature[256];
	CK_ULONG len;

	(void)state;
	assert_int_not_equal(key, 0);
	script("C_SignInit call 1 drop");
	assert_int_equal(sign(session, key, signature, &len), CKR_SESSION_HANDLE_INVALID);
	session = open_logged_in(); /* the login was gone, too: else "already logged in" */
	assert_int_equal(sign(session, find(session, CKO_PRIVATE_KEY, "rsa"), signature, &len),
			 CKR_OK);
}

static void a_forgotten_login_keeps_the_sessions(void **state)
{
	CK_SESSION_HANDLE session = open_logged_in();
	CK_SESSION_INFO info;

	(void)state;
	script("C_GetSessionInfo call 1 forget");
	assert_int_equal(f->C_GetSessionInfo(session, &info), CKR_OK);
	assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
	assert_int_equal(find(session, CKO_PRIVATE_KEY, "rsa"), 0);
	assert_int_equal(login(session, pin_bytes(hsm.pin)), CKR_OK);
}

static void sessions_are_limited(void **state)
{
	CK_SESSION_HANDLE sessions[2];
	CK_SESSION_HANDLE third = 0;

	(void)state;
	script("C_OpenSession all limit 2");
	sessions[0] = open_session();
	sessions[1] = open_session();
	assert_int_equal(f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &third),
			 CKR_SESSION_COUNT);
	assert_int_equal(f->C_CloseSession(sessions[0]), CKR_OK);
	third = open_session();
	assert_int_equal(f->C_CloseAllSessions(slot), CKR_OK);
	sessions[0] = open_session();
	sessions[1] = open_session();
}

static void the_log_tells_pins_apart_and_keeps_none(void **state)
{
	CK_SESSION_HANDLE session = open_session();
	const char *pin = pin_bytes(hsm.pin).ptr;
	char own[64] = "";
	unsigned before = logged("C_Login");

	(void)state;
	assert_int_equal(login(session, SLICE_LIT("wrong-pin")), CKR_PIN_INCORRECT);
	assert_int_equal(login(session, SLICE_LIT("other-pin")), CKR_PIN_INCORRECT);
	assert_int_equal(login(session, SLICE_LIT("wrong-pin")), CKR_PIN_INCORRECT);
	assert_int_equal(logged("C_Login 0xa0 user=1 pin="), 3);
	assert_int_equal(logged("C_Login"), before + 3);
	assert_int_equal(logged("wrong-pin"), 0);
	(void)snprintf(own, sizeof(own), "%.*s", (int)pin_bytes(hsm.pin).len, pin);
	assert_int_equal(login(session, pin_bytes(hsm.pin)), CKR_OK);
	assert_int_equal(logged(own), 0);
}

static void refused_pins_need_no_real_attempt(void **state)
{
	CK_SESSION_HANDLE session = open_session();
	CK_TOKEN_INFO info;

	(void)state;
	script("C_Login all return CKR_PIN_LOCKED\nC_GetTokenInfo all flags 0x60000");
	assert_int_equal(login(session, pin_bytes(hsm.pin)), CKR_PIN_LOCKED);
	assert_int_equal(f->C_GetTokenInfo(slot, &info), CKR_OK);
	assert_true((info.flags & CKF_USER_PIN_FINAL_TRY) != 0);
	assert_true((info.flags & CKF_USER_PIN_LOCKED) != 0);
	assert_true((info.flags & CKF_TOKEN_INITIALIZED) != 0);
}

static void a_module_without_locks(void **state)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };

	(void)state;
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	script("C_Initialize all cantlock");
	assert_int_equal(f->C_Initialize(&args), CKR_CANT_LOCK);
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	(void)f->C_CloseSession(open_session()); /* from one thread all is well */
}

static void *wait_in_the_module(void *arg)
{
	CK_INFO info;

	(void)f->C_GetInfo(&info);
	return arg;
}

static void a_module_without_locks_breaks_in_two_threads(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	script("C_Initialize all cantlock\nC_GetInfo all delay 200");
	pid = fork();
	if (pid == 0) {
		pthread_t thread;

		be_silent();
		(void)f->C_Initialize(NULL);
		(void)pthread_create(&thread, NULL, wait_in_the_module, NULL);
		(void)wait_in_the_module(NULL);
		(void)pthread_join(thread, NULL);
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	script("");
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_function_is_there),
		CASE(rules_count_calls),
		CASE(a_delay_takes_no_processor),
		CASE(hangs_and_crashes),
		CASE(a_typo_ends_the_process),
		CASE(dropped_sessions_get_what_the_token_says),
		CASE(a_forgotten_login_keeps_the_sessions),
		CASE(sessions_are_limited),
		CASE(the_log_tells_pins_apart_and_keeps_none),
		CASE(refused_pins_need_no_real_attempt),
		CASE(a_module_without_locks),
		CASE(a_module_without_locks_breaks_in_two_threads),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
