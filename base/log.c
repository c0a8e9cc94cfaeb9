/* The log behind its table of sinks. */
#include "base/log.h"

#include <errno.h>
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

static const struct {
	struct slice name;
	int facility;
} facilities[] = {
	{ SLICE_INIT("auth"), LOG_AUTH },     { SLICE_INIT("cron"), LOG_CRON },
	{ SLICE_INIT("daemon"), LOG_DAEMON }, { SLICE_INIT("kern"), LOG_KERN },
	{ SLICE_INIT("lpr"), LOG_LPR },	      { SLICE_INIT("mail"), LOG_MAIL },
	{ SLICE_INIT("news"), LOG_NEWS },     { SLICE_INIT("security"), LOG_AUTH },
	{ SLICE_INIT("syslog"), LOG_SYSLOG }, { SLICE_INIT("user"), LOG_USER },
	{ SLICE_INIT("uucp"), LOG_UUCP },     { SLICE_INIT("local0"), LOG_LOCAL0 },
	{ SLICE_INIT("local1"), LOG_LOCAL1 }, { SLICE_INIT("local2"), LOG_LOCAL2 },
	{ SLICE_INIT("local3"), LOG_LOCAL3 }, { SLICE_INIT("local4"), LOG_LOCAL4 },
	{ SLICE_INIT("local5"), LOG_LOCAL5 }, { SLICE_INIT("local6"), LOG_LOCAL6 },
	{ SLICE_INIT("local7"), LOG_LOCAL7 },
};

/* Written by log_open() only; syslog(3) keeps the pointer to ident. */
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

static void stderr_write(void *ctx, enum log_level level, const char *line)
{
	char out[LOG_LINE_BYTES + IDENT_BYTES + 32];
	int len = snprintf(out, sizeof(out), "%s[%ld]: %s\n", ident, (long)getpid(), line);

	(void)ctx;
	(void)level;
	if (len > 0 && write(STDERR_FILENO, out, (size_t)len) < 0)
		return; /* nowhere to tell it */
}

const struct log_sink log_sink_stderr = { .write = stderr_write };

void log_open(const struct log_options *options)
{
	current = *options;
	(void)snprintf(ident, sizeof(ident), "%s",
		       options->ident != NULL ? options->ident : "hsmdkim");
	current.ident = ident;
	for (size_t i = 0; i < LOG_SINKS_MAX; i++) {
		const struct log_sink *sink = current.sinks[i];

		if (sink != NULL && sink->open != NULL)
			sink->open(sink->ctx, ident, current.facility);
	}
}

bool log_wants(enum log_level level)
{
	return level <= current.max;
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
	for (size_t i = 0; i < LOG_SINKS_MAX; i++) {
		const struct log_sink *sink = current.sinks[i];

		if (sink != NULL)
			sink->write(sink->ctx, level, line);
	}
	errno = saved_errno;
}

bool log_facility_find(struct slice name, int *ret_facility)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++) {
		if (!slice_ieq(facilities[i].name, name))
			continue;
		*ret_facility = facilities[i].facility;
		return true;
	}
	return false;
}
