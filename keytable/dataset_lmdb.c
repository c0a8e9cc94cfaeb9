/*
 * lmdb: (OpenDKIM's name: mdb:): the main database of an LMDB file, key -> value. A value may hold
 * several rows, one a line. A set that is asked with dataset_read() stays in its file: it is there
 * at once, however long it is, and every look-up reads three or four pages. Other sets are read
 * into memory and are then as a file: with the same rows.
 */
#include "keytable/dataset_priv.h"

#include "base/text.h"
#include "keytable/lmdbfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Text of a set that is read into memory. */
#define LOADED_BYTES_MAX ((size_t)UINT32_MAX)
#define LOADED_ROOM ((uint64_t)64 * 1024 * 1024)
#define LOADED_GROWTH 16u
/* A writer that commits while all is read makes it start again. */
#define LOAD_TRIES 5u

struct loading {
	struct dataset *set;
	struct buf text;
	struct err_detail *detail;
	enum err err;
};

/* A row that a text file could not hold would be another one there. */
static bool fits_in_a_line(struct slice key, struct slice value)
{
	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] == ' ' || (key.ptr[i] >= '\t' && key.ptr[i] <= '\r') ||
		    key.ptr[i] == '#' || key.ptr[i] == '\0')
			return false;
	return key.len != 0 && slice_find(value, '\0') == value.len &&
	       slice_find(value, '#') == value.len;
}

static bool load_entry(void *ctx, struct slice key, struct slice value)
{
	struct loading *l = ctx;
	struct slice line;
	char shown[80];

	if (!fits_in_a_line(key, value)) {
		err_detail_set(l->detail, "%s: the row of '%s' holds blanks, '#' or NUL bytes",
			       l->set->origin, text_sanitize(key, shown, sizeof(shown)));
		l->err = dataset_fault(l->set, ERR_CONFIG, l->detail);
		return l->err == ERR_OK;
	}
	while (slice_next(&value, '\n', &line)) {
		buf_add(&l->text, key);
		buf_add_ch(&l->text, ' ');
		buf_add(&l->text, line);
		buf_add_ch(&l->text, '\n');
	}
	return l->text.error == ERR_OK;
}

/* A key stands in each line of its value, so the text may be larger than the file. */
static size_t loaded_max(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t most = LOADED_ROOM + LOADED_GROWTH * (uint64_t)(size > 0 ? size : 0);

	return most < LOADED_BYTES_MAX ? (size_t)most : LOADED_BYTES_MAX;
}

/* From here on it is a file: set. */
static enum err load_all(struct dataset *set, struct err_detail *detail)
{
	struct loading l = { .set = set, .detail = detail, .err = ERR_OK };
	struct slice text;
	enum err e = ERR_BUSY;

	buf_init(&l.text, loaded_max(set->fd));
	for (unsigned i = 0; i < LOAD_TRIES && e == ERR_BUSY; i++) {
		buf_reset(&l.text);
		l.err = ERR_OK;
		e = lmdbfile_each(set->fd, load_entry, &l, detail);
	}
	if (e == ERR_OK)
		e = l.err != ERR_OK ? l.err : buf_finish(&l.text, &text);
	if (e != ERR_OK) {
		buf_done(&l.text);
		return e;
	}
	set->text = l.text.data;
	set->kind = &dataset_kind_file;
	e = rows_scan(&set->rows, text, &rows_format_lines);
	return e == ERR_OK ? dataset_index(set, NULL, detail) : e;
}

static enum err lmdb_open(struct dataset *set, const char *name, const char *rest,
			  struct files *files, struct err_detail *detail)
{
	enum err e;

	if (rest[0] == '\0') {
		err_detail_set(detail, "%s: %s: names no file", name, set->kind->prefix);
		return ERR_CONFIG;
	}
	set->origin = slice_dup(slice_str(rest));
	if (set->origin == NULL)
		return ERR_NOMEM;
	e = files_live(files, rest, &set->fd, detail);
	if (e == ERR_OK) {
		e = lmdbfile_check(set->fd, NULL, detail);
		if (e == ERR_OK && (set->flags & DATASET_LIVE) == 0)
			e = load_all(set, detail);
		if (e != ERR_OK && detail != NULL &&
		    !slice_starts(slice_str(detail->text), slice_str(rest)))
			err_detail_prefix(detail, "%s: ", rest);
	}
	if (e != ERR_OK)
		err_detail_prefix(detail, "%s: ", name);
	return e;
}

static void lmdb_close(struct dataset *set)
{
	(void)set; /* the descriptor is the files' */
}

/* Keys of sets without case stand in lower case in the file. */
static enum err read_value(const struct dataset *set, struct slice key, struct buf *room)
{
	char folded[LMDBFILE_KEY_BYTES_MAX];

	if (key.len == 0 || key.len > sizeof(folded))
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < key.len; i++)
		folded[i] = (set->flags & DATASET_ICASE) != 0 ? ch_lower(key.ptr[i]) : key.ptr[i];
	return lmdbfile_get(set->fd, slice_of(folded, key.len), room, NULL);
}

/* The file is read once: the rows behind the first are in room, *cursor is where the next one
 * starts. So all are of one transaction, and so many rows cost so many steps. */
static enum err lmdb_read(const struct dataset *set, struct slice key, uint32_t *cursor,
			  struct buf *room, struct dataset_row *ret_row)
{
	enum err e = *cursor == 0 ? read_value(set, key, room) : ERR_OK;
	struct slice rest;
	size_t end;

	if (e != ERR_OK)
		return e;
	if (*cursor > room->len)
		return ERR_NOT_FOUND;
	rest = slice_sub(buf_slice(room), *cursor, room->len);
	end = slice_find(rest, '\n');
	ret_row->key = key;
	ret_row->value = slice_trim(slice_sub(rest, 0, end));
	*cursor += (uint32_t)end + 1; /* values are far shorter than 4 GiB */
	return ERR_OK;
}

struct each {
	const struct dataset *set;
	char *origin;
	size_t room;
	uint64_t number;
	bool (*fn)(void *ctx, struct slice key, struct slice value, const char *origin);
	void *ctx;
};

static bool each_entry(void *ctx, struct slice key, struct slice value)
{
	struct each *each = ctx;
	struct slice line;

	each->number++;
	(void)snprintf(each->origin, each->room, "%s:row %llu", each->set->origin,
		       (unsigned long long)each->number);
	while (slice_next(&value, '\n', &line))
		if (!each->fn(each->ctx, key, slice_trim(line), each->origin))
			return false;
	return true;
}

static enum err lmdb_each(const struct dataset *set,
			  bool (*fn)(void *ctx, struct slice key, struct slice value,
				     const char *origin),
			  void *ctx)
{
	struct each each = { .set = set, .fn = fn, .ctx = ctx };
	enum err e;

	each.room = strlen(set->origin) + 32;
	each.origin = malloc(each.room);
	if (each.origin == NULL)
		return ERR_NOMEM;
	e = lmdbfile_each(set->fd, each_entry, &each, NULL);
	free(each.origin);
	return e;
}

static size_t lmdb_count(const struct dataset *set)
{
	uint64_t entries = 0;

	return lmdbfile_check(set->fd, &entries, NULL) == ERR_OK ? (size_t)entries : 0;
}

const struct dataset_kind dataset_kind_lmdb = {
	.prefix = "lmdb",
	.open = lmdb_open,
	.close = lmdb_close,
	.read = lmdb_read,
	.each = lmdb_each,
	.count = lmdb_count,
};

const struct dataset_kind dataset_kind_mdb = {
	.prefix = "mdb",
	.open = lmdb_open,
	.close = lmdb_close,
	.read = lmdb_read,
	.each = lmdb_each,
	.count = lmdb_count,
};
