/* What the tests of config/settings share: settings, their warnings and the error; files in memory
 * for Include. */
#ifndef TESTS_UNIT_SETTINGS_FIXTURE_H
#define TESTS_UNIT_SETTINGS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "config/settings.h"

/* An in-memory file system for Include. */
struct memory_file {
	const char *path;
	const char *text;
};

static inline enum err read_memory(void *ctx, const char *path, char **ret_text, size_t *ret_len,
				   struct err_detail *detail)
{
	for (const struct memory_file *f = ctx; f->path != NULL; f++) {
		if (strcmp(f->path, path) == 0) {
			*ret_text = slice_dup(slice_str(f->text));
			*ret_len = strlen(f->text);
			return ERR_OK;
		}
	}
	err_detail_set(detail, "%s: cannot read the file: No such file or directory", path);
	return ERR_IO;
}

struct settings_fixture {
	struct settings *s;
	struct settings_warnings warnings;
	struct err_detail detail;
};

static inline void fixture_init(struct settings_fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->s = settings_new();
	assert_non_null(f->s);
}

static inline void fixture_done(struct settings_fixture *f)
{
	settings_free(&f->s);
	settings_warnings_done(&f->warnings);
}

static inline enum err load(struct settings_fixture *f, struct slice text,
			    const struct memory_file *files)
{
	struct settings_reader reader = { read_memory, (void *)files };

	return settings_load_text(f->s, text, "t.conf", &reader, &f->warnings, &f->detail);
}

static inline void assert_contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' does not hold '%s'", text, part);
}

#endif
