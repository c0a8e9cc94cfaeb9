/* What is the same for every function. */
#include "call.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct proxy_state proxy_state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int log_descriptor(void)
{
	static int fd = -1;
	const char *path = getenv("HSMDKIM_FAULT_LOG");
	int result;

	(void)pthread_mutex_lock(&proxy_state.lock);
	if (fd < 0 && path != NULL)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	result = fd;
	(void)pthread_mutex_unlock(&proxy_state.lock);
	return result;
}

/* One write() a line, so that threads and processes do not mix theirs. */
static void log_call(const struct call *call, const char *what)
{
	int fd = log_descriptor();
	int64_t end_us = now_us();
	char line[192];
	int len = snprintf(line, sizeof(line), "%lld %d %s %s%s us=%lld\n",
			   (long long)(end_us / 1000), (int)getpid(), function_names[call->fn],
			   what, call->note, (long long)(end_us - call->started_us));

	if (fd >= 0 && len > 0 && write(fd, line, (size_t)len) < 0)
		perror("faultmod: log");
}

const struct rule *call_rule(const struct call *call, enum action action)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rules[i].action == action)
			return &call->rules[i];
	return NULL;
}

bool call_has(const struct call *call, enum action action, unsigned long value)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rules[i].action == action && call->rules[i].value == value)
			return true;
	return false;
}

/* Time passes, no processor is used: what a network HSM looks like. */
static void sleep_ms(unsigned long ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000),
			       .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) != 0)
		;
}

static void hang(const struct call *call)
{
	log_call(call, "hang");
	for (;;)
		(void)pause();
}

static void crash(const struct call *call)
{
	log_call(call, "crash");
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
}

static CK_SLOT_ID last_slot(void)
{
	CK_SLOT_ID slot;

	(void)pthread_mutex_lock(&proxy_state.lock);
	slot = proxy_state.slot;
	(void)pthread_mutex_unlock(&proxy_state.lock);
	return slot;
}

/* All sessions of the process are gone, and with them the login; the caller is not told. */
static void drop_sessions(void)
{
	(void)proxy_state.real->C_CloseAllSessions(last_slot());
	(void)pthread_mutex_lock(&proxy_state.lock);
	proxy_state.sessions = 0;
	(void)pthread_mutex_unlock(&proxy_state.lock);
}

/* The sessions stay, the login is gone. */
static void forget_login(void)
{
	CK_SESSION_HANDLE session = 0;

	if (proxy_state.real->C_OpenSession(last_slot(), CKF_SERIAL_SESSION, NULL, NULL,
					    &session) != CKR_OK)
		return;
	(void)proxy_state.real->C_Logout(session);
	(void)proxy_state.real->C_CloseSession(session);
}

/* The lock is held. A module that said CKR_CANT_LOCK breaks when two threads are in it. */
static void count_thread(const struct call *call)
{
	proxy_state.inside++;
	if (!proxy_state.serial || proxy_state.inside <= 1)
		return;
	(void)fprintf(stderr, "faultmod: %s: two threads in a module that cannot lock\n",
		      function_names[call->fn]);
	abort();
}

bool call_begin(struct call *call, enum function fn, CK_RV *ret_rv)
{
	const struct rule *rule;

	*call = (struct call){ .fn = fn, .started_us = now_us() };
	(void)pthread_mutex_lock(&proxy_state.lock);
	call->count = script_call(fn, call->rules, CALL_RULES_MAX);
	if (call->count > CALL_RULES_MAX)
		call->count = CALL_RULES_MAX;
	count_thread(call);
	(void)pthread_mutex_unlock(&proxy_state.lock);
	if ((rule = call_rule(call, ACT_DELAY)) != NULL)
		sleep_ms(rule->value);
	if (call_rule(call, ACT_HANG) != NULL)
		hang(call);
	if (call_rule(call, ACT_CRASH) != NULL)
		crash(call);
	if (call_rule(call, ACT_DROP) != NULL)
		drop_sessions();
	if (call_rule(call, ACT_FORGET) != NULL)
		forget_login();
	rule = call_rule(call, ACT_RETURN);
	if (rule != NULL)
		*ret_rv = rule->value;
	return rule == NULL;
}

CK_RV call_end(struct call *call, CK_RV rv)
{
	const struct rule *after = call_rule(call, ACT_AFTER);
	char code[32];

	(void)pthread_mutex_lock(&proxy_state.lock);
	proxy_state.inside--;
	(void)pthread_mutex_unlock(&proxy_state.lock);
	if (after != NULL)
		rv = after->value;
	(void)snprintf(code, sizeof(code), "0x%lx", (unsigned long)rv);
	log_call(call, code);
	return rv;
}
