/* lmdb: tables of a test: built by hsmdkim-mktable's code, or by liblmdb for what that does not
 * write. */
#ifndef TESTS_LMDB_FIXTURE_H
#define TESTS_LMDB_FIXTURE_H

#include "tests/unit/tables.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>

#include "keytable/dataset.h"
#include "tools/mktable.h"

static char lmdb_path[80];

static inline int lmdb_setup(void **state)
{
	int rc = tables_setup(state);

	(void)snprintf(lmdb_path, sizeof(lmdb_path), "%s/t.lmdb", tables_dir);
	return rc;
}

static inline int lmdb_teardown(void **state)
{
	(void)unlink(lmdb_path);
	return tables_teardown(state);
}

/* The spec of an lmdb: table that holds the rows of text. */
static inline const char *built(enum mktable_type type, const char *text)
{
	static char spec[96];
	AUTO(files_free) struct files *files = files_new_real();
	struct err_detail detail = { "" };
	size_t rows = 0;

	if (mktable_build(type, table("file:", text), files, lmdb_path, &rows, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
	(void)snprintf(spec, sizeof(spec), "lmdb:%s", lmdb_path);
	return spec;
}

/* An environment of liblmdb's over lmdb_path, for what mktable does not write. */
static inline MDB_env *foreign(unsigned dbi_flags, MDB_dbi *ret_dbi, bool sub)
{
	MDB_env *env;
	MDB_txn *txn;

	(void)unlink(lmdb_path);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_mapsize(env, (size_t)64 << 20), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 2), 0);
	assert_int_equal(mdb_env_open(env, lmdb_path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600),
			 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, sub ? "inner" : NULL, dbi_flags | (sub ? MDB_CREATE : 0),
				      ret_dbi),
			 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	return env;
}

static inline void put(MDB_env *env, MDB_dbi dbi, const char *key, const char *value)
{
	MDB_val k = { strlen(key), (void *)key };
	MDB_val v = { strlen(value), (void *)value };
	MDB_txn *txn;

	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

static inline const char *open_error(const char *prefix, enum err want)
{
	static struct err_detail detail;
	AUTO(files_free) struct files *files = files_new_real();
	struct dataset *set = NULL;
	char spec[96];

	(void)snprintf(spec, sizeof(spec), "%s%s", prefix, lmdb_path);
	assert_int_equal(dataset_open("Test", spec, DATASET_LIVE, files, &set, &detail), want);
	assert_null(set);
	return detail.text;
}

#endif
