/*
 * What the supervisor asks a child, and the answer: a text that the child writes into a memfd which
 * came with the question. The memfd cannot grow, so a child can neither fill memory nor block the
 * supervisor with a long answer.
 */
#ifndef CONFIG_QUESTION_H
#define CONFIG_QUESTION_H

#include "base/buf.h"
#include "config/handover.h"

#include <stdbool.h>
#include <stdint.h>

/** Longest answer. */
#define QUESTION_ANSWER_BYTES_MAX ((size_t)8 * 1024 * 1024)

/**
 * Ask; never waits.
 * @param ret_fd where the answer will be, when HANDOVER_ANSWER with this number has come; the
 * caller closes it
 * @return as handover_send_now()
 */
NODISCARD enum err question_ask(int sock, uint32_t number, const char *text, int *ret_fd);

/** In the child: write the answer to a HANDOVER_ASK, cut when it is too long, and say that it is
 * there. @return as handover_send() */
NODISCARD enum err question_answer(int sock, const struct handover_msg *ask, struct slice text);

/** Append the answer to out. @return ERR_IO; whatever it holds, the child may be hostile */
NODISCARD enum err question_read(int fd, struct buf *out);

/* --- what one child owes --- */

#define QUESTIONS_OWED_MAX 64u

/** Questions of one child that have no answer yet, oldest first. Zeroed: none. */
struct questions_owed {
	uint32_t numbers[QUESTIONS_OWED_MAX];
	int64_t asked_ms[QUESTIONS_OWED_MAX];
	unsigned count;
};

/** @param number not 0 @return false: it owes as many as may be; do not ask */
bool questions_owed_add(struct questions_owed *o, uint32_t number, int64_t now_ms);
/** An answer came. @return false: to a question that nobody asked, or a second one */
bool questions_owed_take(struct questions_owed *o, uint32_t number);

#endif
