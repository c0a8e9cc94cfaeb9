/* Building LMDB files: the rows are checked by the code that the daemon reads them with, sorted,
 * and appended. */
#include "tools/mktable.h"

#include "base/text.h"
#include "keytable/keytable.h"
#include "keytable/lmdbfile.h"
#include "keytable/signtable.h"
#include "tools/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pages that one transaction may hold in memory are limited. */
#define ROWS_PER_TXN 50000u
/* Room in the file for each row beside its bytes: node, share of the branches, half-filled pages.
 */
#define ROOM_PER_ROW ((size_t)128)
#define ROOM_PER_LONG_ROW ((size_t)16384)
#define ROOM_LEAST ((size_t)16 * 1024 * 1024)
#define NEW_FILE_MODE 0640

struct entry {
	struct slice key; /* in the table's text, or in folded */
	struct slice value;
	size_t number; /* rows of one key stay in their order */
};

struct build {
	bool folds; /* keys without case are stored in lower case */
	struct entry *entries;
	size_t count;
	size_t room;
	char **folded; /* the lower-case keys; NULL where the text's own will do */
	size_t bytes;
	struct err_detail *detail;
	enum err err;
};

bool mktable_type_find(const char *name, enum mktable_type *ret_type)
{
	static const char *const names[] = {
		[MKTABLE_KEYTABLE] = "keytable",
		[MKTABLE_SIGNINGTABLE] = "signingtable",
		[MKTABLE_LIST] = "list",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (slice_ieq(slice_str(name), slice_str(names[i]))) {
			*ret_type = (enum mktable_type)i;
			return true;
		}
	}
	return false;
}

/* The daemon's own checks of the text. */
static enum err check_rows(enum mktable_type type, const char *spec, struct files *files,
			   struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *keys = NULL;
	AUTO(signtable_free) struct signtable *signers = NULL;

	if (type == MKTABLE_KEYTABLE)
		return keytable_open(spec, files, &keys, detail);
	if (type == MKTABLE_SIGNINGTABLE)
		return signtable_open(spec, files, &signers, detail);
	return ERR_OK;
}

static bool grow(struct build *b)
{
	size_t more = b->room * 2 + 64;
	struct entry *entries = realloc(b->entries, more * sizeof(*entries));
	char **folded;

	if (entries == NULL)
		return false;
	b->entries = entries;
	folded = realloc(b->folded, more * sizeof(*folded));
	if (folded == NULL)
		return false;
	b->folded = folded;
	b->room = more;
	return true;
}

/* @return false: no memory */
static bool fold(struct slice *key, char **ret_folded)
{
	char *lower;

	*ret_folded = NULL;
	for (size_t i = 0; i < key->len; i++) {
		if (ch_lower(key->ptr[i]) == key->ptr[i])
			continue;
		lower = slice_dup(*key);
		if (lower == NULL)
			return false;
		for (; i < key->len; i++)
			lower[i] = ch_lower(lower[i]);
		*ret_folded = lower;
		*key = slice_of(lower, key->len);
	}
	return true;
}

static const char *row_fault(const struct build *b, struct slice key, struct slice value)
{
	if (key.len > LMDBFILE_KEY_BYTES_MAX)
		return "the key is longer than LMDB's 511 bytes";
	if (value.len > LMDBFILE_VALUE_BYTES_MAX)
		return "the value is longer than 65536 bytes";
	if (b->folds && slice_starts(key, SLICE_LIT("*@")))
		return "patterns are never found in an lmdb: table; write the domain alone, "
		       "without '*@'";
	return NULL;
}

static bool add_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct build *b = ctx;
	const char *fault = row_fault(b, key, value);
	char shown[80];

	if (fault != NULL) {
		err_detail_set(b->detail, "%s: '%s': %s", origin,
			       text_sanitize(key, shown, sizeof(shown)), fault);
		b->err = ERR_CONFIG;
	} else if (b->count == b->room && !grow(b)) {
		b->err = ERR_NOMEM;
	}
	if (b->err != ERR_OK)
		return false;
	b->folded[b->count] = NULL;
	if (b->folds && !fold(&key, &b->folded[b->count])) {
		b->err = ERR_NOMEM;
		return false;
	}
	b->entries[b->count] = (struct entry){ key, value, b->count };
	b->count++;
	b->bytes += key.len + value.len;
	if (key.len + value.len > 1024)
		b->bytes += ROOM_PER_LONG_ROW;
	return true;
}

/* LMDB's order of keys; then the table's. */
static int compare(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
	int order = memcmp(a->key.ptr, b->key.ptr, len);

	if (order == 0 && a->key.len != b->key.len)
		order = a->key.len < b->key.len ? -1 : 1;
	if (order == 0)
		order = a->number < b->number ? -1 : 1;
	return order;
}

static enum err lmdb_error(int rc, const char *path, struct err_detail *detail)
{
	err_detail_set(detail, "%s: %s", path, mdb_strerror(rc));
	return rc == ENOMEM ? ERR_NOMEM : ERR_IO;
}

/* All rows of the key at *next as one value, a row a line. */
static enum err join_values(const struct build *b, size_t *next, struct buf *value)
{
	struct slice key = b->entries[*next].key;

	buf_reset(value);
	for (size_t first = *next; *next < b->count && slice_eq(b->entries[*next].key, key);
	     (*next)++) {
		if (*next > first)
			buf_add_ch(value, '\n');
		buf_add(value, b->entries[*next].value);
	}
	if (value->error == ERR_LIMIT)
		err_detail_set(b->detail, "'%.*s' has more rows than fit into %u bytes",
			       SLICE_FMT(key), LMDBFILE_VALUE_BYTES_MAX);
	return value->error;
}

/* Append up to ROWS_PER_TXN keys in one transaction. */
static int append_some(const struct build *b, MDB_env *env, size_t *next, struct buf *value,
		       enum err *err)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &dbi);
	for (unsigned n = 0; rc == 0 && n < ROWS_PER_TXN && *next < b->count; n++) {
		struct slice key = b->entries[*next].key;
		MDB_val k = { key.len, (void *)key.ptr };
		MDB_val v;

		*err = join_values(b, next, value);
		if (*err != ERR_OK)
			break;
		v = (MDB_val){ value->len, value->data };
		rc = mdb_put(txn, dbi, &k, &v, MDB_APPEND);
	}
	if (rc == 0 && *err == ERR_OK)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static enum err write_env(const struct build *b, const char *path)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC;
	struct buf value;
	MDB_env *env;
	size_t next = 0;
	enum err e = ERR_OK;
	int rc = mdb_env_create(&env);

	if (rc != 0)
		return lmdb_error(rc, path, b->detail);
	buf_init(&value, LMDBFILE_VALUE_BYTES_MAX);
	rc = mdb_env_set_mapsize(env, ROOM_LEAST + 2 * b->bytes + b->count * ROOM_PER_ROW);
	if (rc == 0)
		rc = mdb_env_open(env, path, flags, NEW_FILE_MODE);
	do { /* also for a table without rows: the main database is made */
		if (rc == 0 && e == ERR_OK)
			rc = append_some(b, env, &next, &value, &e);
	} while (rc == 0 && e == ERR_OK && next < b->count);
	if (rc == 0 && e == ERR_OK)
		rc = mdb_env_sync(env, 1);
	mdb_env_close(env);
	buf_done(&value);
	return rc != 0 ? lmdb_error(rc, path, b->detail) : e;
}

static enum err write_file(const struct build *b, const char *out)
{
	char temp[PATH_MAX];
	enum err e = outfile_temp(out, temp, b->detail);

	if (e != ERR_OK)
		return e;
	e = write_env(b, temp);
	if (e == ERR_OK)
		return outfile_adopt(temp, out, NEW_FILE_MODE, b->detail);
	(void)unlink(temp);
	return e;
}

/* Operands in the wrong order, or a table's own name twice, must cost nobody his text. */
static enum err check_out(const char *path, const struct files *files, char *target,
			  struct err_detail *detail)
{
	enum err e = outfile_target(path, target, detail);
	struct stat st;
	int fd;
	bool is_table;

	for (size_t i = 0; e == ERR_OK && i < files_count(files); i++) {
		if (files_is_live(files, i) || !outfile_same(files_path(files, i), target))
			continue;
		err_detail_set(detail, "%s: is the table itself and is not replaced", path);
		return ERR_DENIED;
	}
	if (e != ERR_OK || stat(target, &st) != 0 || st.st_size == 0)
		return e;
	fd = open(target, O_RDONLY | O_CLOEXEC);
	is_table = fd >= 0 && lmdbfile_check(fd, NULL, NULL) == ERR_OK;
	if (!is_table) {
		err_detail_set(detail, "%s: is there and %s; move it away or name another file",
			       path, fd >= 0 ? "not an LMDB table" : "cannot be read");
		e = ERR_DENIED;
	}
	if (fd >= 0)
		(void)close(fd);
	return e;
}

static void build_done(struct build *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->folded[i]);
	free(b->folded);
	free(b->entries);
}

enum err mktable_build(enum mktable_type type, const char *spec, struct files *files,
		       const char *out, size_t *ret_rows, struct err_detail *detail)
{
	AUTO(dataset_free) struct dataset *set = NULL;
	struct build b = { .folds = type != MKTABLE_KEYTABLE, .detail = detail, .err = ERR_OK };
	char target[PATH_MAX];
	enum err e = dataset_open("mktable", spec, 0, files, &set, detail);

	if (e == ERR_OK && dataset_is_pattern(set)) {
		err_detail_set(detail,
			       "%s: refile: cannot be an lmdb: table: patterns are not looked "
			       "up there; write the rows without '*' and name file:",
			       spec);
		e = ERR_NOT_SUPPORTED;
	}
	if (e == ERR_OK)
		e = check_out(out, files, target, detail);
	if (e == ERR_OK)
		e = check_rows(type, spec, files, detail);
	if (e == ERR_OK)
		e = dataset_each(set, add_row, &b);
	if (e == ERR_OK)
		e = b.err;
	if (e == ERR_OK && b.count > 0)
		qsort(b.entries, b.count, sizeof(*b.entries), compare);
	if (e == ERR_OK)
		e = write_file(&b, target);
	*ret_rows = b.count;
	build_done(&b);
	return e;
}
