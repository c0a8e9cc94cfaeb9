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

/** @param socket "inet:PORT@HOST" or "unix:PATH"; negotiates version 6 with every option Postfix
 * offers */
NODISCARD enum err dialogue_open(const char *socket, struct dialogue **ret_dialogue,
				 struct err_detail *detail);
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
	struct slice body; /**< CRLF lines */
};

/** Send one message and wait for the verdict. */
NODISCARD enum err dialogue_send(struct dialogue *d, const struct dialogue_message *m,
				 struct dialogue_result *result, struct err_detail *detail);

#endif
