/* Questions to a child. */
#define _GNU_SOURCE /* memfd_create, F_ADD_SEALS */

#include "config/question.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK_BYTES 16384u

enum err question_ask(int sock, uint32_t number, const char *text, int *ret_fd)
{
	int fd = memfd_create("hsmdkim-answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	enum err e = ERR_IO;

	if (fd < 0)
		return ERR_IO;
	if (ftruncate(fd, (off_t)QUESTION_ANSWER_BYTES_MAX) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		e = handover_send_now(sock, HANDOVER_ASK, number, text, fd);
	if (e == ERR_OK)
		*ret_fd = fd;
	else
		(void)close(fd);
	return e;
}

enum err question_answer(int sock, const struct handover_msg *ask, struct slice text)
{
	if (text.len >= QUESTION_ANSWER_BYTES_MAX)
		text.len = QUESTION_ANSWER_BYTES_MAX - 1; /* a NUL ends it */
	while (text.len > 0) {
		ssize_t n = write(ask->fd, text.ptr, text.len);

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			text = slice_sub(text, (size_t)n, text.len);
	}
	return handover_send(sock, HANDOVER_ANSWER, ask->generation, NULL, -1);
}

enum err question_read(int fd, struct buf *out)
{
	char chunk[CHUNK_BYTES];
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), at);
		size_t len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		len = slice_find(slice_of(chunk, (size_t)n), '\0');
		buf_add(out, slice_of(chunk, len));
		if (n == 0 || len < (size_t)n)
			return ERR_OK;
		at += n;
	}
}

bool questions_owed_add(struct questions_owed *o, uint32_t number, int64_t now_ms)
{
	if (o->count == QUESTIONS_OWED_MAX)
		return false;
	o->numbers[o->count] = number;
	o->asked_ms[o->count++] = now_ms;
	return true;
}

bool questions_owed_take(struct questions_owed *o, uint32_t number)
{
	for (unsigned i = 0; i < o->count; i++) {
		size_t behind = o->count - i - 1;

		if (o->numbers[i] != number)
			continue;
		memmove(&o->numbers[i], &o->numbers[i + 1], behind * sizeof(o->numbers[0]));
		memmove(&o->asked_ms[i], &o->asked_ms[i + 1], behind * sizeof(o->asked_ms[0]));
		o->count--;
		return true;
	}
	return false;
}
