/*
 * Messages on files (hsmdkim -t). Input: a first byte of 's' asks for strict line ends, the rest is
 * the message. Whatever stands in it: header fields, one end of the header, lines of the body, in
 * this order, each in its form.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/testfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned ends;
	size_t line; /* of the last field */
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Every LF belongs to a CRLF. */
static void check_line_ends(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		check(text.ptr[i] != '\n' || (i > 0 && text.ptr[i - 1] == '\r'));
}

static bool on_header(void *ctx, const char *name, const char *value, size_t line)
{
	struct seen *seen = ctx;

	check(seen->ends == 0 && *name != '\0' && strpbrk(name, ":\n") == NULL);
	check(line > seen->line);
	check_line_ends(slice_str(value));
	seen->line = line;
	return true;
}

static bool on_end(void *ctx, bool any)
{
	struct seen *seen = ctx;

	check(any || seen->line == 0);
	seen->ends++;
	return true;
}

static void on_body(void *ctx, struct slice line)
{
	const struct seen *seen = ctx;

	check(seen->ends == 1);
	check(slice_ends(line, SLICE_LIT("\r\n")));
	check(slice_find(line, '\n') == line.len - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	bool strict = slice_starts(text, SLICE_LIT("s"));
	struct seen seen = { .ends = 0 };
	const struct testfile_steps steps = { on_header, on_end, on_body, &seen };
	struct err_detail detail = { "" };
	enum err err;

	err = testfile_walk(slice_sub(text, strict ? 1 : 0, text.len), strict, &steps, &detail);
	check(err == ERR_OK || err == ERR_SYNTAX);
	check(err == ERR_OK ? seen.ends == 1 : detail.text[0] != '\0');
	return 0;
}
