/* Texts and classes of the error list. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CLASS(c) ERR_CLASS_##c

static const struct {
	const char *name;
	const char *text;
	enum err_class class;
} errors[] = {
#define X(name, class, text) [name] = { #name, text, CLASS(class) },
	ERR_LIST(X)
#undef X
};

const char *err_text(enum err e)
{
	return (unsigned)e < ERR_COUNT ? errors[e].text : "unknown error";
}

const char *err_name(enum err e)
{
	return (unsigned)e < ERR_COUNT ? errors[e].name : "ERR_UNKNOWN";
}

enum err_class err_class(enum err e)
{
	return (unsigned)e < ERR_COUNT ? errors[e].class : ERR_CLASS_BUG;
}

void err_detail_set(struct err_detail *d, const char *fmt, ...)
{
	va_list ap;

	if (d == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
}

void err_detail_prefix(struct err_detail *d, const char *fmt, ...)
{
	char old[sizeof(d->text)];
	va_list ap;
	int n;

	if (d == NULL)
		return;
	memcpy(old, d->text, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(d->text))
		(void)snprintf(d->text + n, sizeof(d->text) - (size_t)n, "%s", old);
}
