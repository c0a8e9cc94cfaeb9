/*
 * refile: one pattern a line; the first line that matches the whole key wins.
 * OpenDKIM makes an anchored POSIX ERE of each and walks them all. Here the usual forms are in the
 * hash index, so that 100,000 of them cost a look-up what one costs; only other wildcards are
 * walked, and only rows that use more of the ERE language than '*' are regular expressions.
 */
#include "keytable/dataset_priv.h"

#include "base/text.h"
#include "keytable/pattern.h"

#include <stdlib.h>

/* The forms that the index finds. The part is what stands in the index. */
enum pattern_class {
	CLASS_EXACT,	 /* user@example.com    part: all of it */
	CLASS_SUFFIX,	 /* *@example.com, *.example.com    part: what follows the star */
	CLASS_SUBDOMAIN, /* *@*.example.com     part: .example.com */
	CLASS_PREFIX,	 /* user@*              part: user@ */
};

struct dataset_pattern {
	uint32_t row;
	struct pattern pattern;
};

static bool classify(struct slice key, unsigned *ret_class, struct slice *ret_part)
{
	struct slice subdomain = slice_sub(key, 3, key.len);
	struct slice suffix = slice_sub(key, 1, key.len);
	struct slice prefix = slice_sub(key, 0, key.len - 1);

	if (pattern_is_plain(key)) {
		*ret_class = CLASS_EXACT;
		*ret_part = key;
	} else if (slice_starts(key, SLICE_LIT("*@*.")) && pattern_is_plain(subdomain)) {
		*ret_class = CLASS_SUBDOMAIN;
		*ret_part = subdomain;
	} else if ((slice_starts(key, SLICE_LIT("*@")) || slice_starts(key, SLICE_LIT("*."))) &&
		   pattern_is_plain(suffix)) {
		*ret_class = CLASS_SUFFIX;
		*ret_part = suffix;
	} else if (slice_ends(key, SLICE_LIT("@*")) && pattern_is_plain(prefix)) {
		*ret_class = CLASS_PREFIX;
		*ret_part = prefix;
	} else {
		return false;
	}
	return true;
}

static enum err compile_row(struct dataset *set, uint32_t row, struct slice key, size_t *room,
			    struct err_detail *detail)
{
	enum err e;

	if (set->pattern_count == *room) {
		size_t more = *room * 2 + 16;
		struct dataset_pattern *grown = realloc(set->patterns, more * sizeof(*grown));

		if (grown == NULL)
			return ERR_NOMEM;
		set->patterns = grown;
		*room = more;
	}
	e = pattern_compile(&set->patterns[set->pattern_count].pattern, key,
			    (set->flags & DATASET_ICASE) != 0, detail);
	if (e != ERR_OK) {
		if (!files_wants_fault(set->files, set->name))
			return dataset_fault(set, e, NULL);
		err_detail_prefix(detail, "%s:%lu: ", set->origin, rows_line(&set->rows, row));
		return dataset_fault(set, e, detail);
	}
	set->patterns[set->pattern_count++].row = row;
	return ERR_OK;
}

static enum err refile_open(struct dataset *set, const char *name, const char *rest,
			    struct files *files, struct err_detail *detail)
{
	size_t room = 0;
	enum err e = dataset_load_lines(set, name, rest, files, detail);

	if ((set->flags & DATASET_WALKED) != 0)
		return e == ERR_OK ? dataset_index(set, classify, detail) : e;
	for (uint32_t i = 0; e == ERR_OK && i < set->rows.count; i++) {
		struct slice key = rows_key(&set->rows, i);
		struct slice part;
		unsigned class;

		if (!classify(key, &class, &part))
			e = compile_row(set, i, key, &room, detail);
		else if (part.len > set->longest_part[class])
			set->longest_part[class] = part.len;
	}
	return e == ERR_OK ? dataset_index(set, classify, detail) : e;
}

static void refile_close(struct dataset *set)
{
	for (size_t i = 0; i < set->pattern_count; i++)
		pattern_done(&set->patterns[i].pattern);
	free(set->patterns);
	dataset_close_rows(set);
}

/* One look-up in the index; nothing longer than the longest row is looked up, so a hostile key of a
 * million dots costs no more than the table's own rows allow. */
static uint32_t indexed(const struct dataset *set, enum pattern_class class, struct slice part,
			uint32_t from, uint32_t best)
{
	uint32_t row;

	if (part.len > set->longest_part[class])
		return best;
	row = rows_next(&set->rows, class, part, from);
	return row < best ? row : best;
}

static uint32_t next_indexed(const struct dataset *set, struct slice key, uint32_t from)
{
	size_t at = slice_find(key, '@');
	uint32_t best = indexed(set, CLASS_EXACT, key, from, ROWS_NONE);

	for (size_t i = 0; i < key.len; i++) {
		struct slice tail = slice_sub(key, i, key.len);

		if (key.ptr[i] == '@') {
			best = indexed(set, CLASS_SUFFIX, tail, from, best);
			best = indexed(set, CLASS_PREFIX, slice_sub(key, 0, i + 1), from, best);
		} else if (key.ptr[i] == '.') {
			best = indexed(set, CLASS_SUFFIX, tail, from, best);
			if (i > at)
				best = indexed(set, CLASS_SUBDOMAIN, tail, from, best);
		}
	}
	return best;
}

static enum err refile_next(const struct dataset *set, struct slice key, uint32_t *cursor,
			    struct dataset_row *ret_row)
{
	uint32_t best = next_indexed(set, key, *cursor);
	bool icase = (set->flags & DATASET_ICASE) != 0;

	for (size_t i = 0; i < set->pattern_count && set->patterns[i].row < best; i++) {
		const struct dataset_pattern *p = &set->patterns[i];

		if (p->row < *cursor)
			continue;
		if (pattern_match(&p->pattern, rows_key(&set->rows, p->row), key, icase))
			best = p->row;
	}
	if (best == ROWS_NONE)
		return ERR_NOT_FOUND;
	rows_get(&set->rows, best, &ret_row->key, &ret_row->value);
	*cursor = best + 1;
	return ERR_OK;
}

const struct dataset_kind dataset_kind_refile = {
	.prefix = "refile",
	.open = refile_open,
	.close = refile_close,
	.next = refile_next,
	.each = dataset_each_row,
	.count = dataset_count_rows,
	.is_pattern = true,
};
