/* The script: rules "FUNCTION WHEN ACTION [ARGUMENT]", one a line; see README.md. */
#ifndef TESTS_FAULTMOD_SCRIPT_H
#define TESTS_FAULTMOD_SCRIPT_H

#include "functions.h"

#include <stdbool.h>
#include <stddef.h>

enum when { WHEN_ALL, WHEN_CALL, WHEN_FROM, WHEN_TO, WHEN_EVERY, WHEN_CHANCE };

enum action {
	ACT_RETURN,
	ACT_AFTER,
	ACT_HANG,
	ACT_CRASH,
	ACT_DELAY,
	ACT_DROP,
	ACT_FORGET,
	ACT_LIE,
	ACT_FLAGS,
	ACT_WITHOUT,
	ACT_LIMIT,
	ACT_HIDE,
	ACT_CANTLOCK,
	ACT_POINT,
	ACT_PARAMS,
};

/** Arguments that are words: of "lie", "point" and "params". */
enum word {
	WORD_FLIP,
	WORD_SHORT,
	WORD_LONG,
	WORD_OTHER,
	WORD_EMPTY,
	WORD_BEYOND,
	WORD_RAW,
	WORD_OCTETS,
	WORD_BITS,
	WORD_OID,
	WORD_EDWARDS25519,
	WORD_ED25519,
};

struct rule {
	int function; /**< enum function; -1: every one */
	enum when when;
	unsigned n;
	enum action action;
	unsigned long value; /**< a number, a CKR_ code or an enum word */
};

/**
 * Count one call of the function. The script is read again first when its file was replaced or
 * changed; all counters start anew then. Not thread-safe. A script with an error ends the process:
 * a test with a typo must not pass.
 * @return how many of its rules fit this call; at most max are written, in the script's order
 */
size_t script_call(enum function fn, struct rule *ret_rules, size_t max);

#endif
