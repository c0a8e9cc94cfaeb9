/* tests/faultmod: the module that fails by a script does what its README says, in front of SoftHSM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "softhsm.h"

#define KEYS "rsa=rsa:1024 ed=ed25519"

static struct softhsm hsm;
static CK_FUNCTION_LIST *f;
static CK_SLOT_ID slot;

/* --- script and log --- */

static const char *path(const char *name)
{
	static char out[2][96];
	static unsigned turn;

	turn ^= 1;
	(void)snprintf(out[turn], sizeof(out[turn]), "%s/%s", hsm.dir, name);
	return out[turn];
}

static void put_file(const char *name, const char *text)
{
	FILE *file = fopen(path(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* As tests do it: a new file under the old name. */
static void script(const char *text)
{
	put_file("script.new", text);
	assert_int_equal(rename(path("script.new"), path("script")), 0);
}

static unsigned logged(const char *pattern)
{
	FILE *file = fopen(path("log"), "r");
	char line[256];
	unsigned count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, pattern) != NULL;
	(void)fclose(file);
	return count;
}

/* --- the token --- */

static void load_proxy(void)
{
	char so[512];
	const char *bin = getenv("BIN");
	void *handle;
	void *symbol;
	CK_C_GetFunctionList get = NULL;

	(void)snprintf(so, sizeof(so), "%s/../lib/libhsmdkim-faultmod.so",
		       bin != NULL ? bin : "build/release/bin");
	handle = dlopen(so, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		fail_msg("%s", dlerror());
	symbol = dlsym(handle, "C_GetFunctionList");
	assert_non_null(symbol);
	memcpy(&get, &symbol, sizeof(get));
	assert_int_equal(get(&f), CKR_OK);
}

static int start(void **state)
{
	(void)state;
	if (!softhsm_new(&hsm, "dkim", KEYS))
		return -1;
	put_file("script", "");
	put_file("log", "");
	(void)setenv("HSMDKIM_FAULT_MODULE", hsm.module_path, 1);
	(void)setenv("HSMDKIM_FAULT_SCRIPT", path("script"), 1);
	(void)setenv("HSMDKIM_FAULT_LOG", path("log"), 1);
	load_proxy();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

/* Each case has the module initialised, and ends with it finalised and no faults. */
static int initialise(void **state)
{
	CK_SLOT_ID slots[8];
	CK_ULONG count = 8;

	(void)state;
	script("");
	if (f->C_Initialize(NULL) != CKR_OK || f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK ||
	    count == 0)
		return -1;
	slot = slots[0];
	return 0;
}

static int finalise(void **state)
{
	(void)state;
	script("");
	return f->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

static CK_SESSION_HANDLE open_session(void)
{
	CK_SESSION_HANDLE session = 0;

	assert_int_equal(f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
	return session;
}

static CK_RV login(CK_SESSION_HANDLE session, struct slice pin)
{
	unsigned char copy[256];

	memcpy(copy, pin.ptr, pin.len);
	return f->C_Login(session, CKU_USER, copy, pin.len);
}

static CK_SESSION_HANDLE open_logged_in(void)
{
	CK_SESSION_HANDLE session = open_session();

	assert_int_equal(login(session, pin_bytes(hsm.pin)), CKR_OK);
	return session;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label)
{
	char text[16];
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof(class) },
				  { CKA_LABEL, text, strlen(label) } };
	CK_OBJECT_HANDLE object = 0;
	CK_ULONG count = 0;

	(void)snprintf(text, sizeof(text), "%s", label);
	assert_int_equal(f->C_FindObjectsInit(session, wanted, 2), CKR_OK);
	assert_int_equal(f->C_FindObjects(session, &object, 1, &count), CKR_OK);
	assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
	return count == 1 ? object : 0;
}

static const unsigned char digest[51] = { 0x30, 0x31 }; /* CKM_RSA_PKCS takes any bytes */

static CK_RV sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, unsigned char out[256],
		  CK_ULONG *len)
{
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	unsigned char data[sizeof(digest)];
	CK_RV rv = f->C_SignInit(session, &mechanism, key);

	memcpy(data, digest, sizeof(data));
	*len = 256;
	return rv != CKR_OK ? rv : f->C_Sign(session, data, sizeof(data), out, len);
}

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

/* --- what it does not have --- */

static void tokens_and_mechanisms_are_hidden(void **state)
{
	CK_MECHANISM_TYPE list[256];
	CK_MECHANISM_INFO info;
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	CK_ULONG count = 256;
	CK_SESSION_HANDLE session = open_logged_in();

	(void)state;
	script("C_GetSlotList all hide\nC_GetMechanismList all without 0x1\n"
	       "C_GetMechanismInfo all without 0x1\nC_SignInit all without 0x1");
	assert_int_equal(f->C_GetMechanismList(slot, list, &count), CKR_OK);
	for (CK_ULONG i = 0; i < count; i++)
		assert_int_not_equal(list[i], CKM_RSA_PKCS);
	assert_true(count > 10);
	assert_int_equal(f->C_GetMechanismInfo(slot, CKM_RSA_PKCS, &info), CKR_MECHANISM_INVALID);
	assert_int_equal(f->C_GetMechanismInfo(slot, CKM_SHA256_RSA_PKCS, &info), CKR_OK);
	assert_int_equal(f->C_SignInit(session, &mechanism, find(session, CKO_PRIVATE_KEY, "rsa")),
			 CKR_MECHANISM_INVALID);
	assert_int_equal(f->C_GetSlotList(CK_TRUE, NULL, &count), CKR_OK);
	assert_int_equal(count, 0);
	script("C_FindObjects all hide");
	assert_int_equal(find(session, CKO_PRIVATE_KEY, "rsa"), 0);
}

static void attributes_are_hidden(void **state)
{
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "rsa");
	unsigned char modulus[256];
	unsigned char exponent[16];
	CK_ATTRIBUTE both[] = { { CKA_MODULUS, modulus, sizeof(modulus) },
				{ CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent) } };

	(void)state;
	script("C_GetAttributeValue all without 0x120");
	assert_int_equal(f->C_GetAttributeValue(session, key, both, 2), CKR_ATTRIBUTE_TYPE_INVALID);
	assert_true(both[0].ulValueLen == CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(both[1].ulValueLen, 3);
}

static void ed25519_has_every_encoding(void **state)
{
	static const struct {
		const char *script;
		CK_ATTRIBUTE_TYPE type;
		const char *head;
		size_t head_len;
		size_t len;
	} rows[] = {
		{ "C_GetAttributeValue all point raw", CKA_EC_POINT, "", 0, 32 },
		{ "C_GetAttributeValue all point octets", CKA_EC_POINT, "\x04\x20", 2, 34 },
		{ "C_GetAttributeValue all point bits", CKA_EC_POINT, "\x03\x21\x00", 3, 35 },
		{ "C_GetAttributeValue all params oid", CKA_EC_PARAMS, "\x06\x03\x2b\x65\x70", 5,
		  5 },
		{ "C_GetAttributeValue all params edwards25519", CKA_EC_PARAMS,
		  "\x13\x0c"
		  "edwards25519",
		  14, 14 },
		{ "C_GetAttributeValue all params ed25519", CKA_EC_PARAMS,
		  "\x13\x07"
		  "Ed25519",
		  9, 9 },
	};
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PUBLIC_KEY, "ed");
	unsigned char point[64];
	CK_ATTRIBUTE plain = { CKA_EC_POINT, point, sizeof(point) };

	(void)state;
	assert_int_equal(f->C_GetAttributeValue(session, key, &plain, 1), CKR_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char value[64];
		CK_ATTRIBUTE a = { rows[i].type, NULL, 0 };

		script(rows[i].script);
		assert_int_equal(f->C_GetAttributeValue(session, key, &a, 1), CKR_OK);
		assert_int_equal(a.ulValueLen, rows[i].len);
		a.pValue = value;
		assert_int_equal(f->C_GetAttributeValue(session, key, &a, 1), CKR_OK);
		assert_int_equal(a.ulValueLen, rows[i].len);
		assert_memory_equal(value, rows[i].head, rows[i].head_len);
		if (rows[i].type == CKA_EC_POINT)
			assert_memory_equal(value + rows[i].head_len, point + plain.ulValueLen - 32,
					    32);
		a.ulValueLen = 4;
		assert_int_equal(f->C_GetAttributeValue(session, key, &a, 1), CKR_BUFFER_TOO_SMALL);
	}
}

/* --- lies --- */

static void signatures_lie(void **state)
{
	static const struct {
		const char *script;
		CK_ULONG len;
		bool other;
	} rows[] = {
		{ "", 128, false },
		{ "C_Sign all lie flip", 128, true },
		{ "C_Sign all lie other", 128, true },
		{ "C_Sign all lie short", 127, false },
		{ "C_Sign all lie long", 129, false },
		{ "C_Sign all lie empty", 0, false },
		{ "C_Sign all lie beyond", 1256, false },
	};
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "rsa");
	unsigned char honest[256];
	unsigned char signature[256];
	CK_ULONG len;

	(void)state;
	assert_int_equal(sign(session, key, honest, &len), CKR_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		script(rows[i].script);
		assert_int_equal(sign(session, key, signature, &len), CKR_OK);
		assert_int_equal(len, rows[i].len);
		assert_true((memcmp(honest, signature, 127) != 0) == rows[i].other);
	}
}

static void more_is_said_than_was_room_for(void **state)
{
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE objects[2] = { 0, 0 };
	CK_SLOT_ID slots[8];
	unsigned char id[16];
	CK_ATTRIBUTE a = { CKA_ID, id, sizeof(id) };
	CK_ULONG count = 8;

	(void)state;
	script("C_FindObjects all lie beyond\nC_GetAttributeValue all lie beyond\n"
	       "C_GetSlotList all lie beyond");
	assert_int_equal(f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
	assert_int_equal(count, 108);
	assert_int_equal(f->C_FindObjectsInit(session, NULL, 0), CKR_OK);
	assert_int_equal(f->C_FindObjects(session, objects, 2, &count), CKR_OK);
	assert_int_equal(count, 1002);
	assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
	assert_int_equal(f->C_GetAttributeValue(session, objects[0], &a, 1), CKR_OK);
	assert_int_equal(a.ulValueLen, 1016);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, initialise, finalise)
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
		CASE(tokens_and_mechanisms_are_hidden),
		CASE(attributes_are_hidden),
		CASE(ed25519_has_every_encoding),
		CASE(signatures_lie),
		CASE(more_is_said_than_was_room_for),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
