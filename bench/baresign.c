/*
 * What a token can do at best: N threads with a session each call C_SignInit and C_Sign for a
 * while. Prints {"per_second": ...}. bench/scaling.py holds the daemon against it.
 */
#include "base/attr.h"
#include "pkcs11/cryptoki.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 64, SIGNATURE_MAX = 1024, PIN_MAX = 255, LABEL_MAX = 32 };

struct bench {
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	const char *label; /**< of the key */
	double until_s;
	atomic_ulong signatures;
	atomic_bool failed;
};

static double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static CK_FUNCTION_LIST *load(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = handle != NULL ? dlsym(handle, "C_GetFunctionList") : NULL;
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_C_GetFunctionList get = NULL;
	CK_FUNCTION_LIST *f = NULL;

	if (symbol == NULL)
		return NULL;
	memcpy(&get, &symbol, sizeof(get)); /* ISO C knows no way from void * to a function */
	if (get(&f) != CKR_OK || f->C_Initialize(&args) != CKR_OK)
		return NULL;
	return f;
}

static bool find_token(struct bench *b, const char *token)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = ARRAY_LEN(slots);
	CK_TOKEN_INFO info;

	if (b->f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
		return false;
	for (CK_ULONG i = 0; i < count; i++) {
		if (b->f->C_GetTokenInfo(slots[i], &info) != CKR_OK || strlen(token) > LABEL_MAX ||
		    strncmp((const char *)info.label, token, strlen(token)) != 0)
			continue;
		b->slot = slots[i];
		return true;
	}
	return false;
}

static bool log_in(struct bench *b, const char *pin_file)
{
	CK_SESSION_HANDLE session; /* stays open: the login lives as long */
	char pin[PIN_MAX + 1];
	FILE *file = fopen(pin_file, "r");
	bool read = file != NULL && fgets(pin, sizeof(pin), file) != NULL;

	if (file != NULL)
		(void)fclose(file);
	if (!read)
		return false;
	pin[strcspn(pin, "\n")] = '\0';
	return b->f->C_OpenSession(b->slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK &&
	       b->f->C_Login(session, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin)) == CKR_OK;
}

static bool find_key(const struct bench *b, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret_key)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof(class) },
				  { CKA_LABEL, (void *)b->label, strlen(b->label) } };
	CK_ULONG count = 0;

	return b->f->C_FindObjectsInit(session, wanted, ARRAY_LEN(wanted)) == CKR_OK &&
	       b->f->C_FindObjects(session, ret_key, 1, &count) == CKR_OK &&
	       b->f->C_FindObjectsFinal(session) == CKR_OK && count == 1;
}

static bool sign_for_a_while(struct bench *b)
{
	static const unsigned char digest_info[51] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
						       0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
						       0x01, 0x05, 0x00, 0x04, 0x20 };
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	unsigned char data[sizeof(digest_info)];
	unsigned char signature[SIGNATURE_MAX];
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;

	memcpy(data, digest_info, sizeof(data));
	if (b->f->C_OpenSession(b->slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK ||
	    !find_key(b, session, &key))
		return false;
	while (now_s() < b->until_s) {
		CK_ULONG len = sizeof(signature);

		if (b->f->C_SignInit(session, &mechanism, key) != CKR_OK ||
		    b->f->C_Sign(session, data, sizeof(data), signature, &len) != CKR_OK)
			return false;
		atomic_fetch_add(&b->signatures, 1);
	}
	return true;
}

static void *worker(void *arg)
{
	struct bench *b = arg;

	if (!sign_for_a_while(b))
		atomic_store(&b->failed, true);
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench b = { .signatures = 0 };
	pthread_t threads[THREADS_MAX];
	double seconds;
	double started;
	int count;

	if (argc != 7) {
		(void)fputs("usage: baresign MODULE TOKEN KEY PINFILE THREADS SECONDS\n", stderr);
		return 64;
	}
	count = (int)strtol(argv[5], NULL, 10);
	seconds = strtod(argv[6], NULL);
	b.f = load(argv[1]);
	b.label = argv[3];
	if (b.f == NULL || count < 1 || count > THREADS_MAX || !find_token(&b, argv[2]) ||
	    !log_in(&b, argv[4])) {
		(void)fputs("baresign: module, token or PIN cannot be used\n", stderr);
		return 69;
	}
	started = now_s();
	b.until_s = started + seconds;
	for (int i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, worker, &b) != 0)
			return 71;
	}
	for (int i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	seconds = now_s() - started;
	(void)b.f->C_Finalize(NULL);
	(void)printf("{\"per_second\": %.2f}\n", (double)atomic_load(&b.signatures) / seconds);
	return atomic_load(&b.failed) ? 1 : 0;
}
