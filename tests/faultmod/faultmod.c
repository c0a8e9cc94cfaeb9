/* A proxy in front of a real PKCS#11 module that fails by a script: see README.md. */
#define _GNU_SOURCE /* gettid */
#include "base/slice.h"
#include "pkcs11/ckr.h"
#include "pkcs11/cryptoki.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 64
#define EXPORT __attribute__((visibility("default")))

enum action {
	ACT_NONE,
	ACT_RETURN,
	ACT_AFTER,
	ACT_HANG,
	ACT_CRASH,
	ACT_DELAY,
	ACT_DROP,
	ACT_LIE,
	ACT_FLAGS,
	ACT_WITHOUT,
	ACT_LIMIT,
	ACT_HIDE
};
enum when { WHEN_ALL, WHEN_CALL, WHEN_FROM, WHEN_TO };

static const char *const action_names[] = { "",	    "return", "after", "hang",	  "crash", "delay",
					    "drop", "lie",    "flags", "without", "limit", "hide" };
static const char *const when_names[] = { "all", "call", "from", "to" };

struct rule {
	char function[32];
	enum when when;
	unsigned n;
	enum action action;
	char word[32];
	unsigned long value;
};

/* Functions that are watched; the others go straight to the real module. */
/* clang-format off */
#define FUNCTIONS(X) \
	X(C_Initialize) X(C_Finalize) X(C_GetSlotList) X(C_GetSlotInfo) \
	X(C_GetTokenInfo) X(C_GetMechanismInfo) X(C_OpenSession) X(C_CloseSession) \
	X(C_GetSessionInfo) X(C_Login) X(C_Logout) X(C_GetAttributeValue) \
	X(C_FindObjectsInit) X(C_FindObjects) X(C_FindObjectsFinal) X(C_SignInit) \
	X(C_Sign)
/* clang-format on */

enum function {
#define X(name) FN_##name,
	FUNCTIONS(X)
#undef X
		FN_COUNT
};

static const char *const function_names[] = {
#define X(name) #name,
	FUNCTIONS(X)
#undef X
};

static pthread_mutex_t lock =
	PTHREAD_MUTEX_INITIALIZER; /* guards rules, counters, open_sessions, the log */
static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST proxy;
static struct rule rules[RULES_MAX];
static size_t rule_count;
static struct stat script_stat;
static unsigned calls[FN_COUNT];
static long open_sessions;
static CK_SLOT_ID last_slot;

/* ---- script ---- */

static unsigned long number(const char *word)
{
	const struct ckr_info *row;

	for (unsigned i = 0; (row = ckr_row(i)) != NULL; i++)
		if (strcmp(row->name, word) == 0)
			return row->code;
	return strtoul(word, NULL, 0);
}

static int index_of(const char *word, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, names[i]) == 0)
			return (int)i;
	(void)fprintf(stderr, "faultmod: script: unknown word \"%s\"\n", word);
	abort(); /* a test with a typo must not pass */
}

static void read_rule(char *line)
{
	struct rule *r = &rules[rule_count];
	char *save = NULL;
	char *function = strtok_r(line, " \t\n", &save);
	char *word;

	if (function == NULL || function[0] == '#' || rule_count == RULES_MAX)
		return;
	*r = (struct rule){ .when = WHEN_ALL };
	(void)snprintf(r->function, sizeof(r->function), "%s", function);
	word = strtok_r(NULL, " \t\n", &save);
	r->when = (enum when)index_of(word != NULL ? word : "", when_names, ARRAY_LEN(when_names));
	if (r->when != WHEN_ALL) {
		word = strtok_r(NULL, " \t\n", &save);
		r->n = (unsigned)strtoul(word != NULL ? word : "", NULL, 10);
	}
	word = strtok_r(NULL, " \t\n", &save);
	r->action = (enum action)index_of(word != NULL ? word : "", action_names,
					  ARRAY_LEN(action_names));
	word = strtok_r(NULL, " \t\n", &save);
	(void)snprintf(r->word, sizeof(r->word), "%s", word != NULL ? word : "");
	r->value = number(r->word);
	rule_count++;
}

static void read_script(void)
{
	const char *path = getenv("HSMDKIM_FAULT_SCRIPT");
	struct stat st;
	char line[256];
	FILE *f;

	if (path == NULL || stat(path, &st) != 0) {
		rule_count = 0;
		return;
	}
	if (st.st_ino == script_stat.st_ino && st.st_mtim.tv_nsec == script_stat.st_mtim.tv_nsec &&
	    st.st_mtim.tv_sec == script_stat.st_mtim.tv_sec && st.st_size == script_stat.st_size)
		return;
	f = fopen(path, "re");
	if (f == NULL)
		return;
	script_stat = st;
	rule_count = 0;
	memset(calls, 0, sizeof(calls));
	while (fgets(line, sizeof(line), f) != NULL)
		read_rule(line);
	(void)fclose(f);
}

static bool fits(const struct rule *r, enum function fn)
{
	if (strcmp(r->function, "*") != 0 && strcmp(r->function, function_names[fn]) != 0)
		return false;
	switch (r->when) {
	case WHEN_ALL:
		return true;
	case WHEN_CALL:
		return calls[fn] == r->n;
	case WHEN_FROM:
		return calls[fn] >= r->n;
	case WHEN_TO:
		return calls[fn] <= r->n;
	}
	return false;
}

/* ---- around each call ---- */

static void sleep_ms(unsigned long ms)
{
	const struct timespec ts = { .tv_sec = (time_t)(ms / 1000),
				     .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&ts, NULL);
}

static struct rule enter(enum function fn)
{
	struct rule rule = { .action = ACT_NONE };

	(void)pthread_mutex_lock(&lock);
	read_script();
	calls[fn]++;
	for (size_t i = 0; i < rule_count; i++) {
		if (fits(&rules[i], fn)) {
			rule = rules[i];
			break;
		}
	}
	(void)pthread_mutex_unlock(&lock);
	if (rule.action == ACT_HANG)
		for (;;)
			(void)pause();
	if (rule.action == ACT_CRASH)
		(void)raise(SIGSEGV);
	if (rule.action == ACT_DELAY)
		sleep_ms(rule.value);
	if (rule.action == ACT_DROP)
		(void)real->C_CloseAllSessions(last_slot);
	return rule;
}

static void leave(enum function fn, CK_RV rv, const char *extra)
{
	const char *path = getenv("HSMDKIM_FAULT_LOG");
	struct timespec ts;
	FILE *f = path != NULL ? fopen(path, "ae") : NULL;

	if (f == NULL)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)fprintf(f, "%lld %d %s 0x%lx%s\n", (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
		      (int)getpid(), function_names[fn], rv, extra);
	(void)fclose(f);
}

/* Proxies that need no more than the script. */
#define PLAIN(name, params, args)                                                                  \
	static CK_RV fault_##name params                                                           \
	{                                                                                          \
		struct rule rule = enter(FN_##name);                                               \
		CK_RV rv = rule.action == ACT_RETURN ? rule.value : real->name args;               \
                                                                                                   \
		if (rule.action == ACT_AFTER)                                                      \
			rv = rule.value;                                                           \
		leave(FN_##name, rv, "");                                                          \
		return rv;                                                                         \
	}

PLAIN(C_Initialize, (CK_VOID_PTR a), (a))
PLAIN(C_Finalize, (CK_VOID_PTR a), (a))
PLAIN(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO_PTR i), (s, i))
PLAIN(C_GetSessionInfo, (CK_SESSION_HANDLE h, CK_SESSION_INFO_PTR i), (h, i))
PLAIN(C_Logout, (CK_SESSION_HANDLE h), (h))
PLAIN(C_GetAttributeValue,
      (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_PTR t, CK_ULONG n), (h, o, t, n))
PLAIN(C_FindObjectsInit, (CK_SESSION_HANDLE h, CK_ATTRIBUTE_PTR t, CK_ULONG n), (h, t, n))
PLAIN(C_FindObjects, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG m, CK_ULONG *n),
      (h, o, m, n))
PLAIN(C_FindObjectsFinal, (CK_SESSION_HANDLE h), (h))
PLAIN(C_SignInit, (CK_SESSION_HANDLE h, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k), (h, m, k))

static CK_RV fault_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID_PTR list, CK_ULONG_PTR count)
{
	struct rule rule = enter(FN_C_GetSlotList);
	CK_RV rv =
		rule.action == ACT_RETURN ? rule.value : real->C_GetSlotList(present, list, count);

	if (rule.action == ACT_HIDE && rv == CKR_OK)
		*count = 0;
	leave(FN_C_GetSlotList, rv, "");
	return rv;
}

static CK_RV fault_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
	struct rule rule = enter(FN_C_GetTokenInfo);
	CK_RV rv = rule.action == ACT_RETURN ? rule.value : real->C_GetTokenInfo(slot, info);

	if (rule.action == ACT_FLAGS && rv == CKR_OK)
		info->flags |= rule.value;
	leave(FN_C_GetTokenInfo, rv, "");
	return rv;
}

static CK_RV fault_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
				      CK_MECHANISM_INFO_PTR info)
{
	struct rule rule = enter(FN_C_GetMechanismInfo);
	CK_RV rv =
		rule.action == ACT_RETURN ? rule.value : real->C_GetMechanismInfo(slot, type, info);

	if (rule.action == ACT_WITHOUT && type == rule.value)
		rv = CKR_MECHANISM_INVALID;
	leave(FN_C_GetMechanismInfo, rv, "");
	return rv;
}

static CK_RV fault_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,
				 CK_SESSION_HANDLE *ret_handle)
{
	struct rule rule = enter(FN_C_OpenSession);
	CK_RV rv;

	(void)pthread_mutex_lock(&lock);
	last_slot = slot;
	if (rule.action == ACT_RETURN)
		rv = rule.value;
	else if (rule.action == ACT_LIMIT && open_sessions >= (long)rule.value)
		rv = CKR_SESSION_COUNT;
	else
		rv = real->C_OpenSession(slot, flags, app, notify, ret_handle);
	if (rv == CKR_OK)
		open_sessions++;
	(void)pthread_mutex_unlock(&lock);
	leave(FN_C_OpenSession, rv, "");
	return rv;
}

static CK_RV fault_C_CloseSession(CK_SESSION_HANDLE handle)
{
	struct rule rule = enter(FN_C_CloseSession);
	CK_RV rv = rule.action == ACT_RETURN ? rule.value : real->C_CloseSession(handle);

	(void)pthread_mutex_lock(&lock);
	if (rv == CKR_OK)
		open_sessions--;
	(void)pthread_mutex_unlock(&lock);
	leave(FN_C_CloseSession, rv, "");
	return rv;
}

static CK_RV fault_C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_BYTE_PTR pin,
			   CK_ULONG len)
{
	struct rule rule = enter(FN_C_Login);
	CK_RV rv = rule.action == ACT_RETURN ? rule.value : real->C_Login(handle, user, pin, len);
	uint64_t hash =
		0xcbf29ce484222325U ^ 0x5a175a17U; /* FNV-1a: to tell PINs apart, not to keep one */
	char extra[64];

	if (rule.action == ACT_AFTER)
		rv = rule.value;
	for (CK_ULONG i = 0; i < len && pin != NULL; i++)
		hash = (hash ^ pin[i]) * 0x100000001b3U;
	(void)snprintf(extra, sizeof(extra), " user=%lu pin=%08x", user, (unsigned)(hash >> 32));
	leave(FN_C_Login, rv, extra);
	return rv;
}

static void lie(const char *how, CK_BYTE_PTR signature, CK_ULONG_PTR len)
{
	if (strcmp(how, "flip") == 0)
		signature[*len / 2] ^= 1;
	else if (strcmp(how, "short") == 0)
		*len /= 2;
	else if (strcmp(how, "long") == 0)
		*len *= 2;
}

static CK_RV fault_C_Sign(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG data_len,
			  CK_BYTE_PTR signature, CK_ULONG_PTR len)
{
	struct rule rule = enter(FN_C_Sign);
	bool other = rule.action == ACT_LIE && strcmp(rule.word, "other") == 0 && data_len > 0;
	CK_RV rv;

	if (other)
		data[data_len - 1] ^= 1;
	rv = rule.action == ACT_RETURN ? rule.value
				       : real->C_Sign(handle, data, data_len, signature, len);
	if (other)
		data[data_len - 1] ^= 1;
	if (rule.action == ACT_LIE && rv == CKR_OK)
		lie(rule.word, signature, len);
	if (rule.action == ACT_AFTER)
		rv = rule.value;
	leave(FN_C_Sign, rv, "");
	return rv;
}

/* ---- entry ---- */

static CK_RV load_real(void)
{
	const char *path = getenv("HSMDKIM_FAULT_MODULE");
	void *handle = path != NULL ? dlopen(path, RTLD_NOW) : NULL;
	void *symbol = handle != NULL ? dlsym(handle, "C_GetFunctionList") : NULL;
	CK_C_GetFunctionList get = NULL;

	if (symbol == NULL)
		return CKR_GENERAL_ERROR;
	memcpy(&get, &symbol, sizeof(get));
	return get(&real);
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	CK_RV rv = CKR_OK;

	(void)pthread_mutex_lock(&lock);
	if (real == NULL)
		rv = load_real();
	if (rv == CKR_OK) {
		proxy = *real;
#define X(name) proxy.name = fault_##name;
		FUNCTIONS(X)
#undef X
		*list = &proxy;
	}
	(void)pthread_mutex_unlock(&lock);
	return rv;
}
