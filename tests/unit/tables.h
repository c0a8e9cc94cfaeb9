/* Table files for the tests of keytable/, in a folder of their own. */
#ifndef TESTS_UNIT_TABLES_H
#define TESTS_UNIT_TABLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "config/files.h"
#include "tests/unit/cputime.h"

static char tables_dir[] = "/tmp/hsmdkim-test.XXXXXX";
static char tables_path[64];

static inline int tables_setup(void **state)
{
	(void)state;
	if (mkdtemp(tables_dir) == NULL)
		return -1;
	(void)snprintf(tables_path, sizeof(tables_path), "%s/t", tables_dir);
	return 0;
}

static inline int tables_teardown(void **state)
{
	(void)state;
	(void)unlink(tables_path);
	return rmdir(tables_dir);
}

/** Write text as the table file; the spec names it with prefix. */
static inline const char *table_bytes(const char *prefix, struct slice text)
{
	static char spec[96];
	FILE *out = fopen(tables_path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text.ptr, 1, text.len, out), text.len);
	assert_int_equal(fclose(out), 0);
	(void)snprintf(spec, sizeof(spec), "%s%s", prefix, tables_path);
	return spec;
}

static inline const char *table(const char *prefix, const char *text)
{
	return table_bytes(prefix, slice_str(text));
}

static inline void assert_contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' does not hold '%s'", text, part);
}

static inline void assert_slice(struct slice s, const char *want)
{
	if (!slice_eq(s, slice_str(want)))
		fail_msg("'%.*s' is not '%s'", SLICE_FMT(s), want);
}

#endif
