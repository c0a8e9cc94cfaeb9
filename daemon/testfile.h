/* A message on a file, for hsmdkim -t: its lines as the steps of an MTA's dialogue. */
#ifndef DAEMON_TESTFILE_H
#define DAEMON_TESTFILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/** Larger messages are refused. */
#define TESTFILE_BYTES_MAX ((size_t)256 * 1024 * 1024)

/** What is done with its parts, in the order of the message. */
struct testfile_steps {
	/** @param value with the blank behind the colon, folds as CRLF
	 * @param line number of its first line
	 * @return false: stop */
	bool (*header)(void *ctx, const char *name, const char *value, size_t line);
	/** Once. @param any false: the file is empty @return false: stop */
	bool (*end_headers)(void *ctx, bool any);
	/** A line, with its CRLF. */
	void (*body)(void *ctx, struct slice line);
	void *ctx;
};

/**
 * Line ends may be LF or CRLF; all become CRLF, the last line gets one.
 * @param strict StrictTestMode: LF alone is an error
 * @return ERR_SYNTAX with a detail that names the line; ERR_NOMEM; ERR_OK also when a step stopped
 */
NODISCARD enum err testfile_walk(struct slice text, bool strict, const struct testfile_steps *steps,
				 struct err_detail *detail);

/** Read all of a descriptor. @param out up to TESTFILE_BYTES_MAX @return ERR_LIMIT, ERR_IO (errno
 * says why), ERR_NOMEM */
NODISCARD enum err testfile_read(int fd, struct buf *out);

#endif
