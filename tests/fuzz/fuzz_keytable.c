/*
 * KeyTable rows: every row of a table that was accepted is found by its name, and neither a path
 * nor a domain holds anything that the author's domain could have smuggled in. Input: the table up
 * to a 0xff byte, an author domain.
 */
#define _GNU_SOURCE /* memfd_create */

#include <stdint.h>
#include <stdlib.h>

#include "dkim/address.h"
#include "keytable/keytable.h"
#include "memory_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct look_up {
	const struct keytable *table;
	struct slice from_domain;
};

static size_t count_of(struct slice s, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == c;
	return n;
}

static bool find_row(void *ctx, const struct keytable_row *row, const char *origin)
{
	const struct look_up *l = ctx;
	struct keytable_row found;
	char *domain = NULL;
	char *ref = NULL;
	enum err e = keytable_find(l->table, row->name, l->from_domain, &found, &domain, &ref);

	check(origin[0] == '/');
	check(e == ERR_OK || (e == ERR_DENIED && !dkim_domain_valid(l->from_domain)));
	if (e == ERR_OK) {
		check(slice_eq(found.ref, row->ref) && found.kind == row->kind);
		check(dkim_domain_valid(slice_str(domain)));
		check(count_of(slice_str(ref), '/') == count_of(row->ref, '/'));
	}
	free(domain);
	free(ref);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct slice text = slice_sub(input, 0, slice_find(input, '\xff'));
	struct look_up l = { .from_domain = slice_sub(input, text.len + 1, input.len) };
	struct files *files = memory_table(text);
	struct keytable *table = NULL;
	struct err_detail detail = { "" };

	if (keytable_open("/t", files, &table, &detail) == ERR_OK) {
		l.table = table;
		check(keytable_each(table, find_row, &l) == ERR_OK);
	} else {
		check(detail.text[0] == '/');
	}
	keytable_free(&table);
	files_free(&files);
	return 0;
}
