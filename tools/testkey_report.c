/* What hsmdkim-testkey prints: a line or three a key for people, an array for programs. */
#include "base/json.h"
#include "base/text.h"
#include "tools/dnstext.h"
#include "tools/testkey.h"

#include <stdio.h>

/* One object: the texts are bounded, see keyset and testkey_row. */
#define OBJECT_BYTES_MAX ((size_t)64 * 1024)

int testkey_exit(const struct testkey_options *o, const struct testkey_row *row)
{
	int status = keycheck_info(row->result.id)->exit_status;

	for (size_t i = 0; o->strict && i < row->result.remark_count && status == EX_OK; i++)
		if (row->result.remarks[i] != KEY_NOT_COMPARED)
			status = EX_DATAERR;
	return status;
}

static void print_remarks(const struct testkey_row *row)
{
	for (size_t i = 0; i < row->result.remark_count; i++)
		if (row->result.remarks[i] != row->result.id)
			(void)printf("  also:  %s\n",
				     keycheck_info(row->result.remarks[i])->message);
}

void testkey_print_row(const struct testkey_options *o, const struct testkey_row *row)
{
	const struct keycheck_info *info = keycheck_info(row->result.id);
	char name[300];

	(void)printf("%s: key %s: '%s' %s\n", testkey_spec.program,
		     text_sanitize(slice_str(row->key->name), name, sizeof(name)), row->name,
		     info->message);
	if (row->found.len != 0)
		(void)printf("  found: %s\n", row->found.data);
	if (info->hint[0] != '\0')
		(void)printf("  mend:  %s\n", info->hint);
	print_remarks(row);
	if (o->verbose != 0 && info->exit_status == EX_OK)
		(void)printf("  %s\n", row->result.secure ? "key secure" : "key not secure");
	(void)fflush(stdout);
}

static void add_member(struct buf *out, const char *name, const char *text, bool last)
{
	buf_add_fmt(out, "\"%s\": ", name);
	if (text == NULL)
		buf_add_str(out, "null");
	else
		json_add_string(slice_str(text), out);
	if (!last)
		buf_add_str(out, ", ");
}

static void add_object(struct buf *out, const struct testkey_row *row)
{
	const struct keycheck_info *info = keycheck_info(row->result.id);

	buf_add_ch(out, '{');
	add_member(out, "name", row->key->name, false);
	add_member(out, "domain", row->key->domain, false);
	add_member(out, "selector", row->key->selector, false);
	add_member(out, "owner", row->owner != NULL ? row->owner->name : NULL, false);
	add_member(out, "status",
		   info->exit_status != EX_OK ? "fail"
		   : row->result.id == KEY_OK ? "pass"
					      : "remark",
		   false);
	add_member(out, "code", info->code, false);
	add_member(out, "message", info->message, false);
	add_member(out, "hint", info->hint, false);
	add_member(out, "found", row->found.len != 0 ? row->found.data : NULL, true);
	buf_add_ch(out, '}');
}

void testkey_print_json(const struct testkey_row *rows, size_t count)
{
	struct buf object;

	buf_init(&object, OBJECT_BYTES_MAX);
	(void)fputs("[", stdout);
	for (size_t i = 0; i < count; i++) {
		buf_reset(&object);
		add_object(&object, &rows[i]);
		(void)printf("%s\n  %s", i != 0 ? "," : "", buf_slice(&object).ptr);
	}
	(void)fputs("\n]\n", stdout);
	buf_done(&object);
}
