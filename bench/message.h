/* The message that milterload sends: made, or read from a file. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include "base/buf.h"
#include "bench/dialogue.h"

enum { MESSAGE_HEADERS_MAX = 64 };

struct message {
	struct buf body;
	struct buf text; /**< names and values of the fields, each with its NUL */
	struct dialogue_header headers[MESSAGE_HEADERS_MAX];
	size_t header_count;
};

/**
 * A letter of 16 fields.
 * @param kind of the body: text, base64, html, blanks
 * @param size least bytes of the body; whole lines
 * @param from the From field, which must outlive m
 */
NODISCARD enum err message_make(struct message *m, const char *kind, size_t size, const char *from);
/** The body alone, appended to out. */
NODISCARD enum err message_make_body(const char *kind, size_t size, struct buf *out);

/** A whole message with CRLF lines, below 1 MiB of header. @return ERR_IO, ERR_SYNTAX, ERR_LIMIT */
NODISCARD enum err message_read(struct message *m, const char *path);

void message_done(struct message *m);

#endif
