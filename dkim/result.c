/* The tables of results and reasons. */
#include "dkim/result.h"

#include "base/attr.h"

static const char *const words[DKIM_RESULT_COUNT] = {
	[DKIM_RESULT_NONE] = "none",	       [DKIM_RESULT_PASS] = "pass",
	[DKIM_RESULT_FAIL] = "fail",	       [DKIM_RESULT_POLICY] = "policy",
	[DKIM_RESULT_NEUTRAL] = "neutral",     [DKIM_RESULT_TEMPERROR] = "temperror",
	[DKIM_RESULT_PERMERROR] = "permerror",
};

static const struct {
	enum dkim_result result;
	enum dkim_cause cause;
	const char *text;
} reasons[DKIM_REASON_COUNT] = {
#define X(name, result, cause, text)                                                               \
	[DKIM_REASON_##name] = { DKIM_RESULT_##result, DKIM_CAUSE_##cause, text },
	DKIM_REASON_LIST(X)
#undef X
};

const char *dkim_result_word(enum dkim_result result)
{
	return words[result];
}

enum dkim_result dkim_reason_result(enum dkim_reason reason)
{
	return reasons[reason].result;
}

enum dkim_cause dkim_reason_cause(enum dkim_reason reason)
{
	return reasons[reason].cause;
}

const char *dkim_reason_text(enum dkim_reason reason)
{
	return reasons[reason].text;
}
