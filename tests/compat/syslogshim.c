/*
 * Preloaded into OpenDKIM by the compatibility tests: what it sends to syslog goes to standard
 * error instead, one write a line, in the form that hsmdkim has there. OpenDKIM cannot log anywhere
 * else.
 */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

/* glibc's fortified form of syslog(): programs built with _FORTIFY_SOURCE call it instead. */
void __syslog_chk(int priority, int flag, const char *format, ...);
void __vsyslog_chk(int priority, int flag, const char *format, va_list args);

#define LINE_BYTES 8192

static void write_line(const char *format, va_list args)
{
	char line[LINE_BYTES];
	int head = snprintf(line, sizeof(line), "opendkim[%ld]: ", (long)getpid());
	int text = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
	size_t len = (size_t)head;

	if (text > 0)
		len += (size_t)text < sizeof(line) - len - 1 ? (size_t)text
							     : sizeof(line) - len - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody to tell */
}

void vsyslog(int priority, const char *format, va_list args)
{
	(void)priority;
	write_line(format, args);
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list args)
{
	(void)flag;
	vsyslog(priority, format, args);
}

void syslog(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsyslog(priority, format, args);
	va_end(args);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	vsyslog(priority, format, args);
	va_end(args);
}
