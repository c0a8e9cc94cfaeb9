/*
 * The module that fails by a script (tests/faultmod) in front of a SoftHSM token, called as an
 * application calls it.
 */
#ifndef TESTS_UNIT_FAULTMOD_WORLD_H
#define TESTS_UNIT_FAULTMOD_WORLD_H

#include <dlfcn.h>
#include <string.h>

#include "softhsm.h"

#define KEYS "rsa=rsa:1024 ed=ed25519"

static struct softhsm hsm;
static CK_FUNCTION_LIST *f;
static CK_SLOT_ID slot;

/* --- script and log --- */

static inline const char *path(const char *name)
{
	static char out[2][96];
	static unsigned turn;

	turn ^= 1;
	(void)snprintf(out[turn], sizeof(out[turn]), "%s/%s", hsm.dir, name);
	return out[turn];
}

static inline void put_file(const char *name, const char *text)
{
	FILE *file = fopen(path(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* As tests do it: a new file under the old name. */
static inline void script(const char *text)
{
	put_file("script.new", text);
	assert_int_equal(rename(path("script.new"), path("script")), 0);
}

static inline unsigned logged(const char *pattern)
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

static inline void load_proxy(void)
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

static inline int start(void **state)
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

static inline int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

/* Each case has the module initialised, and ends with it finalised and no faults. */
static inline int initialise(void **state)
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

static inline int finalise(void **state)
{
	(void)state;
	script("");
	return f->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

static inline CK_SESSION_HANDLE open_session(void)
{
	CK_SESSION_HANDLE session = 0;

	assert_int_equal(f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
	return session;
}

static inline CK_RV login(CK_SESSION_HANDLE session, struct slice pin)
{
	unsigned char copy[256];

	memcpy(copy, pin.ptr, pin.len);
	return f->C_Login(session, CKU_USER, copy, pin.len);
}

static inline CK_SESSION_HANDLE open_logged_in(void)
{
	CK_SESSION_HANDLE session = open_session();

	assert_int_equal(login(session, pin_bytes(hsm.pin)), CKR_OK);
	return session;
}

static inline CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class,
				    const char *label)
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

static inline CK_RV sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, unsigned char out[256],
			 CK_ULONG *len)
{
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	unsigned char data[sizeof(digest)];
	CK_RV rv = f->C_SignInit(session, &mechanism, key);

	memcpy(data, digest, sizeof(data));
	*len = 256;
	return rv != CKR_OK ? rv : f->C_Sign(session, data, sizeof(data), out, len);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, initialise, finalise)

#endif
