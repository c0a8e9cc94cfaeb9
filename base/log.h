/*
 * Log lines: one call, one line, to syslog and/or standard error (or a test's sink). The queue id
 * comes first where there is one. Bytes from outside (mail, DNS, tables, tokens, the peer process)
 * go through text_sanitize() at the call: this file prints what it is given. Thread-safe but for
 * log_open().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/slice.h"

#include <stdbool.h>

/** error: someone must act; warning: may need to; notice and info: one per message; debug: off. */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT
};

/** One line is cut at this many bytes. */
#define LOG_LINE_BYTES 2048u

struct log_sink {
	void (*open)(void *ctx, const char *ident, int facility);
	/** @param line NUL-terminated, without a line end */
	void (*write)(void *ctx, enum log_level level, const char *line);
	void *ctx;
};

extern const struct log_sink log_sink_syslog;
/** "IDENT[PID]: line", with "error: ", "warning: " or "debug: " before the line; one write(2) a
 * line, so that lines of several processes do not mix. */
extern const struct log_sink log_sink_stderr;

#define LOG_SINKS_MAX 3u

struct log_options {
	const char *ident;  /**< SyslogName; copied, cut at 63 bytes; NULL: "hsmdkim" */
	int facility;	    /**< syslog(3)'s LOG_MAIL, ... */
	enum log_level max; /**< lines above this level are dropped */
	const struct log_sink *sinks[LOG_SINKS_MAX]; /**< NULL: none; the sinks outlive the log */
};

/** Before the first call lines of level info and below go to standard error. Call it again to
 * change; not while other threads log. */
void log_open(const struct log_options *options);

/** @param fmt without a line end; control bytes in the result become '?' as a last resort */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** True when a line of this level would be written: to save the work of making it. */
bool log_wants(enum log_level level);

#endif
