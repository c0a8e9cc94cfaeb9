/* One call on its way through the proxy: its rules, what they do to every function, its log line.
 */
#ifndef TESTS_FAULTMOD_CALL_H
#define TESTS_FAULTMOD_CALL_H

#include "script.h"

#include <pthread.h>
#include <stdint.h>

#define CALL_RULES_MAX 8

struct call {
	enum function fn;
	struct rule rules[CALL_RULES_MAX];
	size_t count;
	int64_t started_us;
	char note[64]; /**< for the log line, behind the return code */
};

/** What the proxies share. */
struct proxy_state {
	pthread_mutex_t lock; /**< guards all below and the script; never held across a call of the
				 real module */
	CK_FUNCTION_LIST *real;
	CK_SLOT_ID slot; /**< of the last C_OpenSession */
	long sessions;	 /**< open now */
	unsigned logins; /**< calls of C_Login by the user */
	unsigned inside; /**< threads in the real module now */
	bool serial;	 /**< it was said that the module can't lock: one thread at a time */
};
extern struct proxy_state proxy_state;

/**
 * Let the rules act that need no arguments: delay, hang, crash, drop, forget, return.
 * @param ret_rv set when the answer is false
 * @return true: the real function is to be called
 */
bool call_begin(struct call *call, enum function fn, CK_RV *ret_rv);
/** Let "after" act and write the log line. @return the caller's return code */
CK_RV call_end(struct call *call, CK_RV rv);

/** The first rule with this action that fits the call; NULL: none. */
const struct rule *call_rule(const struct call *call, enum action action);
/** True when a rule has this action and this value. */
bool call_has(const struct call *call, enum action action, unsigned long value);

#endif
