/* An MTA that only tells: see testmta.h. OpenDKIM's lines. */
#include "daemon/testmta.h"

#include <stdio.h>
#include <string.h>

#define VALUE_PREFIX "DEBUG-"

/* As in OpenDKIM every macro is set, so every message comes from an authenticated client. */
static const char *get_macro(void *ctx, const char *name)
{
	const struct testmta *t = ctx;
	size_t size = sizeof(VALUE_PREFIX) + strlen(name);
	char *value = arena_alloc(t->arena, size);

	if (value != NULL)
		(void)snprintf(value, size, VALUE_PREFIX "%s", name);
	return value;
}

static bool insert_header(void *ctx, int index, const char *name, const char *value)
{
	const struct testmta *t = ctx;

	if (t->tell)
		(void)printf("### INSHEADER: idx=%d hname='%s' hvalue='%s'\n", index, name,
			     value + (*value == ' '));
	return true;
}

static bool delete_header(void *ctx, const char *name, size_t nth)
{
	const struct testmta *t = ctx;

	if (t->tell)
		(void)printf("### CHGHEADER: hname='%s' idx=%zu hvalue='(null)'\n", name, nth);
	return true;
}

static bool add_recipient(void *ctx, const char *address)
{
	const struct testmta *t = ctx;

	if (t->tell)
		(void)printf("### ADDRCPT: '%s'\n", address);
	return true;
}

static bool delete_recipient(void *ctx, const char *address)
{
	const struct testmta *t = ctx;

	if (t->tell)
		(void)printf("### DELRCPT: '%s'\n", address);
	return true;
}

static bool set_reply(void *ctx, const char *code, const char *xcode, const char *text)
{
	const struct testmta *t = ctx;

	if (t->tell)
		(void)printf("### SETREPLY: rcode='%s' xcode='%s' replytxt='%s'\n", code, xcode,
			     text);
	return true;
}

static bool quarantine(void *ctx, const char *reason)
{
	const struct testmta *t = ctx;

	if (t->tell)
		(void)printf("### QUARANTINE: reason='%s'\n", reason);
	return true;
}

static const struct mta_ops ops = {
	.macro = get_macro,
	.insert_header = insert_header,
	.delete_header = delete_header,
	.add_recipient = add_recipient,
	.delete_recipient = delete_recipient,
	.set_reply = set_reply,
	.quarantine = quarantine,
};

struct mta testmta_mta(struct testmta *t)
{
	return (struct mta){ .ops = &ops, .ctx = t };
}
