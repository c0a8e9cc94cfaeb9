/* keytable/lmdbfile: what liblmdb wrote is what our reader finds; damaged, foreign and changing
 * files are errors and never crashes. */
#include "tests/unit/lmdb_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "keytable/lmdbfile.h"

static enum err find_in_file(const char *key)
{
	struct buf value;
	int fd = open(lmdb_path, O_RDONLY);
	enum err e = lmdbfile_check(fd, NULL, NULL);

	buf_init(&value, LMDBFILE_VALUE_BYTES_MAX);
	if (e == ERR_OK)
		e = lmdbfile_get(fd, slice_str(key), &value, NULL);
	buf_done(&value);
	(void)close(fd);
	return e;
}

struct counting {
	int fd;
	size_t rows;
};

static bool count_and_find(void *ctx, struct slice key, struct slice value)
{
	struct counting *c = ctx;
	struct buf found;

	buf_init(&found, LMDBFILE_VALUE_BYTES_MAX);
	assert_int_equal(lmdbfile_get(c->fd, key, &found, NULL), ERR_OK);
	assert_true(slice_eq(buf_slice(&found), value));
	buf_done(&found);
	c->rows++;
	return true;
}

/* Trees of every depth, keys of every length, long values: each key of the walk is found by a
 * look-up, and others are not. */
static void every_row_is_found_whatever_the_size(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 30, 300, 3000, 20000 };

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		FILE *out = fopen(tables_path, "w");
		AUTO(files_free) struct files *files = files_new_real();
		struct counting c = { 0 };
		char spec[96];
		size_t rows;
		uint64_t entries;
		struct buf value;

		assert_non_null(out);
		for (size_t i = 0; i < sizes[s]; i++) {
			int long_value = i % 97 == 5 ? (int)(i % 20000) : (int)(i % 60);

			(void)fprintf(out, "key%zu%0*d %zu%0*d\n", i * 7919 % 100003,
				      (int)(i % 400) + 1, 0, i, long_value + 1, 0);
		}
		assert_int_equal(fclose(out), 0);
		(void)snprintf(spec, sizeof(spec), "file:%s", tables_path);
		assert_int_equal(mktable_build(MKTABLE_LIST, spec, files, lmdb_path, &rows, NULL),
				 ERR_OK);
		assert_int_equal(rows, sizes[s]);
		c.fd = open(lmdb_path, O_RDONLY);
		assert_true(c.fd >= 0);
		assert_int_equal(lmdbfile_check(c.fd, &entries, NULL), ERR_OK);
		assert_int_equal(entries, sizes[s]);
		assert_int_equal(lmdbfile_each(c.fd, count_and_find, &c, NULL), ERR_OK);
		assert_int_equal(c.rows, sizes[s]);
		buf_init(&value, LMDBFILE_VALUE_BYTES_MAX);
		assert_int_equal(lmdbfile_get(c.fd, SLICE_LIT("a"), &value, NULL), ERR_NOT_FOUND);
		assert_int_equal(lmdbfile_get(c.fd, SLICE_LIT("key5"), &value, NULL),
				 ERR_NOT_FOUND);
		assert_int_equal(lmdbfile_get(c.fd, SLICE_LIT("zzz"), &value, NULL), ERR_NOT_FOUND);
		assert_int_equal(lmdbfile_get(c.fd, SLICE_LIT(""), &value, NULL), ERR_NOT_FOUND);
		buf_done(&value);
		(void)close(c.fd);
	}
}

static void foreign_files_are_named(void **state)
{
	MDB_dbi dbi;
	MDB_env *env;

	(void)state;
	(void)table("", "key value\n");
	assert_int_equal(rename(tables_path, lmdb_path), 0);
	assert_contains(open_error("lmdb:", ERR_CONFIG), "ends too early");
	(void)table("", "");
	assert_int_equal(truncate(tables_path, 100000), 0);
	assert_int_equal(rename(tables_path, lmdb_path), 0);
	assert_contains(open_error("mdb:", ERR_CONFIG), "not an LMDB file");
	env = foreign(MDB_DUPSORT, &dbi, false);
	mdb_env_close(env);
	assert_contains(open_error("lmdb:", ERR_CONFIG), "hsmdkim-mktable");
	env = foreign(0, &dbi, true);
	put(env, dbi, "a", "b");
	mdb_env_close(env);
	assert_int_equal(find_in_file("inner"), ERR_CONFIG);
	assert_int_equal(unlink(lmdb_path), 0);
	assert_contains(open_error("lmdb:", ERR_IO), "No such file");
}

static bool any_row(void *ctx, struct slice key, struct slice value)
{
	(void)key;
	(void)value;
	(*(size_t *)ctx)++;
	return true;
}

/* Every length: the answer is right, or an error; and the same for thousands of changed bytes. */
static void damaged_files_are_errors(void **state)
{
	char rows[8192] = "";
	char *bytes;
	struct stat st;
	unsigned seed = 1;
	FILE *file;
	int fd;

	(void)state;
	for (int i = 0; i < 300; i++)
		(void)snprintf(rows + strlen(rows), sizeof(rows) - strlen(rows), "key%d value%d\n",
			       i, i);
	(void)built(MKTABLE_LIST, rows);
	assert_int_equal(stat(lmdb_path, &st), 0);
	bytes = malloc((size_t)st.st_size);
	file = fopen(lmdb_path, "r");
	assert_true(bytes != NULL && file != NULL);
	assert_int_equal(fread(bytes, 1, (size_t)st.st_size, file), st.st_size);
	(void)fclose(file);
	for (int i = 0; i < 4000; i++) {
		char *changed = malloc((size_t)st.st_size);
		off_t cut = st.st_size;
		size_t seen = 0;

		assert_non_null(changed);
		memcpy(changed, bytes, (size_t)st.st_size);
		for (int n = 0; n < 1 + i % 3; n++) {
			seed = seed * 1103515245 + 12345;
			/* heads of pages, where it hurts, or anywhere */
			size_t at = i % 2 == 0 ? (size_t)(seed >> 8) % (size_t)st.st_size / 4096 *
								 4096 +
							 (seed >> 4) % 160
					       : (size_t)(seed >> 8) % (size_t)st.st_size;
			changed[at] = (char)(seed >> 24);
		}
		if (i % 5 == 0)
			cut = (off_t)(seed >> 5) % st.st_size;
		fd = open(lmdb_path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
		assert_int_equal(write(fd, changed, (size_t)cut), cut);
		(void)close(fd);
		free(changed);
		(void)find_in_file("key7");
		(void)find_in_file("nothing");
		fd = open(lmdb_path, O_RDONLY);
		(void)!lmdbfile_each(fd, any_row, &seen, NULL);
		(void)close(fd);
		assert_true(seen < 100000);
	}
	free(bytes);
}

struct race {
	MDB_env *env;
	MDB_dbi dbi;
	atomic_bool stop;
};

static void *write_all_the_time(void *arg)
{
	struct race *race = arg;
	char key[32];
	char value[64];

	for (unsigned i = 0; !atomic_load(&race->stop); i++) {
		(void)snprintf(key, sizeof(key), "changing%u", i % 500);
		(void)snprintf(value, sizeof(value), "%0*u", (int)(i % 60) + 1, i);
		put(race->env, race->dbi, key, value);
	}
	return NULL;
}

/* Rows that stay are found with their values while a writer replaces pages under the reader. */
static void a_reader_beside_a_writer_sees_whole_pages(void **state)
{
	struct race race = { .stop = false };
	struct buf value;
	pthread_t writer;
	int right = 0;
	int fd;

	(void)state;
	race.env = foreign(0, &race.dbi, false);
	for (int i = 0; i < 200; i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "constant%d", i);
		put(race.env, race.dbi, key, key);
	}
	fd = open(lmdb_path, O_RDONLY);
	buf_init(&value, LMDBFILE_VALUE_BYTES_MAX);
	assert_int_equal(pthread_create(&writer, NULL, write_all_the_time, &race), 0);
	for (int i = 0; i < 20000; i++) {
		char key[32];
		enum err e;

		(void)snprintf(key, sizeof(key), "constant%d", i % 200);
		e = lmdbfile_get(fd, slice_str(key), &value, NULL);
		if (e == ERR_BUSY)
			continue;
		assert_int_equal(e, ERR_OK);
		assert_slice(buf_slice(&value), key);
		right++;
	}
	atomic_store(&race.stop, true);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_true(right > 10000);
	buf_done(&value);
	(void)close(fd);
	mdb_env_close(race.env);
}

/* What the file system may show of a meta page that is being written: the number of the new
 * transaction, and the root that was there before. */
ssize_t __real_pread(int fd, void *to, size_t len, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t len, off_t offset);
static unsigned torn_reads;

#define META_BYTES 152u
#define META_DEPTH_AT 94u
#define META_ROOT_AT 128u

ssize_t __wrap_pread(int fd, void *to, size_t len, off_t offset)
{
	ssize_t n = __real_pread(fd, to, len, offset);

	if (len != META_BYTES || n != META_BYTES || torn_reads == 0)
		return n;
	/* Each read of both pages looks different: how far the writer came. */
	memset((char *)to + META_ROOT_AT, 0xff, sizeof(uint64_t));
	memset((char *)to + META_DEPTH_AT, 0, sizeof(uint16_t));
	((char *)to)[META_ROOT_AT - sizeof(uint64_t)] = (char)(torn_reads / 2);
	torn_reads--;
	return n;
}

static void a_meta_page_that_is_being_written_is_read_again(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct err_detail detail = { "" };
	struct buf value;
	size_t rows;
	int fd;

	(void)state;
	assert_int_equal(mktable_build(MKTABLE_LIST, table("file:", "key value\n"), files,
				       lmdb_path, &rows, NULL),
			 ERR_OK);
	fd = open(lmdb_path, O_RDONLY);
	buf_init(&value, LMDBFILE_VALUE_BYTES_MAX);
	for (unsigned torn = 1; torn <= 8; torn++) {
		torn_reads = torn;
		assert_int_equal(lmdbfile_get(fd, SLICE_LIT("key"), &value, NULL), ERR_OK);
		assert_slice(buf_slice(&value), "value");
		assert_int_equal(torn_reads, 0);
	}
	torn_reads = 1000000; /* a bounded number of times */
	assert_int_equal(lmdbfile_get(fd, SLICE_LIT("key"), &value, &detail), ERR_BUSY);
	assert_true(torn_reads > 1000000 - 100);
	torn_reads = 0;
	buf_done(&value);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_found_whatever_the_size),
		cmocka_unit_test(foreign_files_are_named),
		cmocka_unit_test(damaged_files_are_errors),
		cmocka_unit_test(a_reader_beside_a_writer_sees_whole_pages),
		cmocka_unit_test(a_meta_page_that_is_being_written_is_read_again),
	};

	return cmocka_run_group_tests(tests, lmdb_setup, lmdb_teardown);
}
