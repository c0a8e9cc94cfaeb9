/* The log behind its table of sinks. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define IDENT_BYTES 64u

static const int syslog_priority[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,	 [LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE, [LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

/* Guards ident and current: log_open() writes them, every line reads them. syslog(3) keeps a
 * pointer to ident. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static char ident[IDENT_BYTES] = "hsmdkim";
static struct log_options current = {
	.max = LOG_LEVEL_INFO,
	.sinks = { &log_sink_stderr },
};

static void syslog_open(void *ctx, const char *name, int facility)
{
	(void)ctx;
	closelog();
	openlog(name, LOG_PID | LOG_NDELAY, facility);
}

static void syslog_write(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	syslog(syslog_priority[level], "%s", line);
}

const struct log_sink log_sink_syslog = { .open = syslog_open, .write = syslog_write };

/* Syslog keeps the level beside the line; standard error has only the line. */
static const char *const stderr_level[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_ERROR] = "error: ", [LOG_LEVEL_WARNING] = "warning: ", [LOG_LEVEL_NOTICE] = "",
	[LOG_LEVEL_INFO] = "",	       [LOG_LEVEL_DEBUG] = "debug: ",
};

static void stderr_write(void *ctx, enum log_level level, const char *line)
{
	char out[LOG_LINE_BYTES + IDENT_BYTES + 40];
	int len = snprintf(out, sizeof(out), "%s[%ld]: %s%s\n", ident, (long)getpid(),
			   stderr_level[level], line);

	(void)ctx;
	if (len > 0 && write(STDERR_FILENO, out, (size_t)len) < 0)
		return; /* nowhere to tell it */
}

const struct log_sink log_sink_stderr = { .write = stderr_write };

void log_open(const struct log_options *options)
{
	(void)pthread_rwlock_wrlock(&lock);
	current = *options;
	(void)snprintf(ident, sizeof(ident), "%s",
		       options->ident != NULL ? options->ident : "hsmdkim");
	current.ident = ident;
	for (size_t i = 0; i < LOG_SINKS_MAX; i++) {
		const struct log_sink *sink = current.sinks[i];

		if (sink != NULL && sink->open != NULL)
			sink->open(sink->ctx, ident, current.facility);
	}
	(void)pthread_rwlock_unlock(&lock);
}

bool log_wants(enum log_level level)
{
	bool wants;

	(void)pthread_rwlock_rdlock(&lock);
	wants = level <= current.max;
	(void)pthread_rwlock_unlock(&lock);
	return wants;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_BYTES];
	int saved_errno = errno;
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	for (char *p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	(void)pthread_rwlock_rdlock(&lock);
	for (size_t i = 0; i < LOG_SINKS_MAX; i++) {
		const struct log_sink *sink = current.sinks[i];

		if (sink != NULL)
			sink->write(sink->ctx, level, line);
	}
	(void)pthread_rwlock_unlock(&lock);
	errno = saved_errno;
}
