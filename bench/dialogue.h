/* The MTA's side of one milter connection, as lean as Postfix's: commands are gathered and written
 * together where the filter asked for no answer. For load tests; tests/e2e/milterclient.py is the
 * readable twin. */
#ifndef BENCH_DIALOGUE_H
#define BENCH_DIALOGUE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/** What the filter did at the end of a message. */
struct dialogue_result {
	char verdict; /**< the last answer: 'a' accept, 'c' continue, 't' tempfail, 'r' reject, 'y'
			 reply code */
	unsigned inserted;   /**< header fields that were added */
	struct buf *headers; /**< NULL, or gets "Name:value" with CRLF for each inserted field,
				topmost first */
};

struct dialogue;

/**
 * Negotiates version 6 with every option Postfix offers.
 * @param socket "inet:PORT@HOST" or "unix:PATH"
 * @param client IPv4 address of who sends the mail: 127.0.0.1 to have it signed
 */
NODISCARD enum err dialogue_open(const char *socket, const char *client,
				 struct dialogue **ret_dialogue, struct err_detail *detail);
void dialogue_close(struct dialogue **dialogue);

/** One header field: value without the leading space that the wire has, folds as LF (what MTAs
 * send). */
struct dialogue_header {
	const char *name;
	const char *value;
};

struct dialogue_message {
	const char *queue_id;
	const char *mail_from;
	const char *rcpt_to;
	const struct dialogue_header *headers;
	size_t header_count;
	struct slice body;    /**< CRLF lines */
	unsigned body_repeat; /**< times that the body is sent: 1 for a plain message */
};

/** Send a message up to the end of its body, as one that is not over yet. */
NODISCARD enum err dialogue_begin(struct dialogue *d, const struct dialogue_message *m,
				  struct dialogue_result *result, struct err_detail *detail);
/** End a message that was begun and wait for the verdict. */
NODISCARD enum err dialogue_end(struct dialogue *d, struct dialogue_result *result,
				struct err_detail *detail);

/** Send one message and wait for the verdict. */
NODISCARD enum err dialogue_send(struct dialogue *d, const struct dialogue_message *m,
				 struct dialogue_result *result, struct err_detail *detail);

#endif
