/*
 * A growable buffer with a cap that is fixed at init and an error that sticks: after the first
 * failure every append does nothing, and buf_finish() reports it. So a formatter is written without
 * a check a line.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
	char *data; /**< NUL-terminated once anything was added; read it, never write */
	size_t len;
	size_t room;
	size_t max;
	enum err error;
};

/** @param max_bytes longest content; one more gives ERR_LIMIT */
void buf_init(struct buf *b, size_t max_bytes);
/** Free the content; the buffer is as after buf_init() with the same cap. NULL-safe. */
void buf_done(struct buf *b);
/** As buf_done(), the content is wiped first. */
void buf_done_secret(struct buf *b);
/** Empty it, keep the memory, forget the error. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_ch(struct buf *b, char c);
void buf_add_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** What is there so far (empty after an error). */
struct slice buf_slice(const struct buf *b);

/** @return the first error, or ERR_OK; *ret_content borrows from b until it changes */
NODISCARD enum err buf_finish(const struct buf *b, struct slice *ret_content);

#endif
