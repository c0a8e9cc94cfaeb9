/*
 * What the supervisor asks a child, and the answer: a text that the child writes into a memfd which
 * came with the question. The memfd cannot grow, so a child can neither fill memory nor block the
 * supervisor with a long answer.
 */
#ifndef CONFIG_QUESTION_H
#define CONFIG_QUESTION_H

#include "base/buf.h"
#include "config/handover.h"

/** Longest answer. */
#define QUESTION_ANSWER_BYTES_MAX ((size_t)8 * 1024 * 1024)

/**
 * Ask. The caller asks a child that left many questions without an answer no more: its socket would
 * be full some day, and a full one is waited for.
 * @param ret_fd where the answer will be, when HANDOVER_ANSWER with this number has come; the
 * caller closes it
 * @return as handover_send()
 */
NODISCARD enum err question_ask(int sock, uint32_t number, const char *text, int *ret_fd);

/** In the child: write the answer to a HANDOVER_ASK, cut when it is too long, and say that it is
 * there. @return as handover_send() */
NODISCARD enum err question_answer(int sock, const struct handover_msg *ask, struct slice text);

/** Append the answer to out. @return ERR_IO; whatever it holds, the child may be hostile */
NODISCARD enum err question_read(int fd, struct buf *out);

#endif
