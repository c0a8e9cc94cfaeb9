/* The one error list of the project. The class decides what the MTA is told (daemon/reply.c). */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

#include <stdbool.h>

/*
 * X(name, class, text)
 * TEMP: may work when tried again; PERM: bad input or set-up, an operator or author must act;
 * BUG: ours, answered like TEMP so that no mail is lost.
 */
/* clang-format off */
#define ERR_LIST(X)                                                                               \
	X(ERR_OK, NONE, "ok")                                                                     \
	X(ERR_NOMEM, TEMP, "out of memory")                                                       \
	X(ERR_LIMIT, PERM, "a size limit was reached")                                            \
	X(ERR_SYNTAX, PERM, "syntax error")                                                       \
	X(ERR_RANGE, PERM, "value out of range")                                                  \
	X(ERR_NOT_FOUND, PERM, "not found")                                                       \
	X(ERR_AMBIGUOUS, PERM, "more than one match")                                             \
	X(ERR_NOT_SUPPORTED, PERM, "not supported")                                               \
	X(ERR_DENIED, PERM, "refused by policy")                                                  \
	X(ERR_IO, TEMP, "input/output error")                                                     \
	X(ERR_FILE_UNSAFE, PERM, "file can be read or written by others")                         \
	X(ERR_CONFIG, PERM, "configuration error")                                                \
	X(ERR_CRYPTO, TEMP, "cryptographic library failed")                                       \
	X(ERR_TIMEOUT, TEMP, "deadline passed")                                                   \
	X(ERR_BUSY, TEMP, "queue is full")                                                        \
	X(ERR_PEER_LOST, TEMP, "peer process is gone")                                            \
	X(ERR_PROTOCOL, BUG, "peer process broke the protocol")                                   \
	X(ERR_KEY_UNKNOWN, PERM, "key is not in the KeyTable")                                    \
	X(ERR_KEY_MISSING, PERM, "private key not found")                                         \
	X(ERR_KEY_BAD, PERM, "private key is not usable")                                         \
	X(ERR_KEY_TOO_SMALL, PERM, "key is smaller than MinimumKeyBits")                          \
	X(ERR_KEY_CHANGED, TEMP, "key is another one than before")                                \
	X(ERR_KEY_RATE, TEMP, "key is over its rate limit")                                       \
	X(ERR_TOKEN_TIMEOUT, TEMP, "token did not answer in time")                                \
	X(ERR_TOKEN_ABSENT, TEMP, "token is not present")                                         \
	X(ERR_TOKEN_BUSY, TEMP, "token has no free session")                                      \
	X(ERR_TOKEN_FAILED, TEMP, "token reported an error")                                      \
	X(ERR_TOKEN_PIN, TEMP, "token PIN was refused or is not available")                       \
	X(ERR_TOKEN_LIED, TEMP, "token returned a wrong signature")                               \
	X(ERR_MODULE, TEMP, "PKCS#11 module could not be loaded")                                 \
	X(ERR_NO_SENDER, PERM, "message has no usable From address")                              \
	X(ERR_INTERNAL, BUG, "internal error")
/* clang-format on */

enum err {
#define X(name, class, text) name,
	ERR_LIST(X)
#undef X
		ERR_COUNT
};

enum err_class { ERR_CLASS_NONE, ERR_CLASS_TEMP, ERR_CLASS_PERM, ERR_CLASS_BUG };

/** @return a static text for people, never NULL (also for values outside the list) */
const char *err_text(enum err e);

/** @return the symbolic name ("ERR_NOMEM"), never NULL */
const char *err_name(enum err e);

enum err_class err_class(enum err e);

/**
 * Text for people that goes with an error: file and line, CKR_ name, what to do.
 * Always optional: every function that takes one accepts NULL. Not cleared on success.
 */
struct err_detail {
	char text[512];
};

/** Set the text (truncated at the end of the array, always terminated); d may be NULL. */
void err_detail_set(struct err_detail *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** Put "prefix" before the text that is there; d may be NULL. */
void err_detail_prefix(struct err_detail *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
