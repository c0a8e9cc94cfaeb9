/* opendkim.conf: what was accepted, printed and read again, prints the same. Include reads the
 * input itself. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static enum err read_self(void *ctx, const char *path, char **ret_text, size_t *ret_len,
			  struct err_detail *detail)
{
	const struct slice *self = ctx;

	if (strcmp(path, "self") != 0) {
		err_detail_set(detail, "%s: cannot read the file", path);
		return ERR_IO;
	}
	*ret_text = slice_dup(*self);
	*ret_len = self->len;
	return *ret_text != NULL ? ERR_OK : ERR_NOMEM;
}

static char *printed(const struct settings *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	check(out != NULL && settings_print(s, false, out) == ERR_OK);
	check(fclose(out) == 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice self = slice_of(data, size);
	struct settings_reader reader = { read_self, &self };
	struct settings_warnings warnings = { NULL, 0 };
	struct settings *first = settings_new();
	struct settings *second = settings_new();
	struct err_detail detail = { "" };

	check(first != NULL && second != NULL);
	if (settings_load_text(first, self, "fuzz", &reader, &warnings, &detail) != ERR_OK) {
		check(strstr(detail.text, "configuration error at line ") != NULL);
	} else if (settings_finish(first, &warnings, &detail) == ERR_OK) {
		char *a = printed(first);
		char *b;

		check(settings_load_text(second, slice_str(a), "printed", &reader, NULL, &detail) ==
		      ERR_OK);
		b = printed(second);
		check(strcmp(a, b) == 0);
		free(a);
		free(b);
	}
	settings_warnings_done(&warnings);
	settings_free(&first);
	settings_free(&second);
	return 0;
}
