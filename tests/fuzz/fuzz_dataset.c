/*
 * Tables: what the index finds is what a walk over all rows finds. For file: the walk compares
 * keys, for refile: it uses the regular expression that OpenDKIM would make of each row. Input: one
 * byte of flags, the table up to a 0xff byte, a key.
 */
#define _GNU_SOURCE /* memfd_create */

#include <regex.h>
#include <stdint.h>
#include <stdlib.h>

#include "keytable/dataset.h"
#include "memory_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATTERN_MAX 512
#define MATCHES_MAX 64

struct walk {
	struct slice key;
	unsigned flags;
	bool refile;
	struct slice values[MATCHES_MAX];
	size_t count;
};

static bool matches_as_opendkim(struct slice pattern, struct slice key, bool icase)
{
	char ere[2 * PATTERN_MAX + 3] = "^";
	char text[PATTERN_MAX + 1];
	size_t len = 1;
	regex_t re;
	bool matches;

	for (size_t i = 0; i < pattern.len; i++) {
		if (pattern.ptr[i] == '*')
			ere[len++] = '.';
		else if (pattern.ptr[i] == '+' || pattern.ptr[i] == '.')
			ere[len++] = '\\';
		ere[len++] = pattern.ptr[i];
	}
	memcpy(ere + len, "$", 2);
	memcpy(text, key.ptr, key.len);
	text[key.len] = '\0';
	check(regcomp(&re, ere, REG_EXTENDED | REG_NOSUB | (icase ? REG_ICASE : 0)) == 0);
	matches = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return matches;
}

static bool walk_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct walk *w = ctx;
	bool icase = (w->flags & DATASET_ICASE) != 0;
	bool matches;

	check(origin != NULL && key.len != 0);
	check((w->flags & DATASET_NEED_VALUE) == 0 || value.len != 0);
	if (w->refile)
		matches = matches_as_opendkim(key, w->key, icase);
	else
		matches = icase ? slice_ieq(key, w->key) : slice_eq(key, w->key);
	if (matches && w->count < MATCHES_MAX)
		w->values[w->count++] = value;
	return true;
}

static void compare(const struct dataset *set, struct walk *w)
{
	struct dataset_row row;
	uint32_t cursor = 0;
	size_t n = 0;
	enum err e;

	check(dataset_each(set, walk_row, w) == ERR_OK);
	while ((e = dataset_next(set, w->key, &cursor, &row)) == ERR_OK && n < MATCHES_MAX) {
		check(n < w->count && row.value.len == w->values[n].len);
		check(row.value.len == 0 || row.value.ptr == w->values[n].ptr);
		n++;
	}
	check(n == w->count && (n == MATCHES_MAX || e == ERR_NOT_FOUND));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct walk w = { .count = 0 };
	struct slice text;
	struct dataset *set = NULL;
	struct files *files;
	struct err_detail detail = { "" };

	if (size == 0 || size > PATTERN_MAX)
		return 0;
	w.flags = data[0] & 7U;
	w.refile = (data[0] & 8U) != 0;
	input = slice_sub(input, 1, input.len);
	text = slice_sub(input, 0, slice_find(input, '\xff'));
	w.key = slice_sub(input, text.len + 1, input.len);
	if (slice_find(w.key, '\0') != w.key.len)
		return 0; /* the walk's regexec() would end there */
	files = memory_table(text);
	if (dataset_open("Fuzz", w.refile ? "refile:/t" : "file:/t", w.flags, files, &set,
			 &detail) == ERR_OK)
		compare(set, &w);
	else
		check(detail.text[0] == '/' || detail.text[0] == 'F');
	dataset_free(&set);
	files_free(&files);
	return 0;
}
