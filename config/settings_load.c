/* opendkim.conf's syntax: lines, comments, Include. */
#include "config/settings_priv.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define INCLUDE_DEPTH_MAX 5
#define CONFIG_FILE_BYTES_MAX (16U * 1024U * 1024U)

struct loader {
	struct settings *s;
	const struct settings_reader *reader;
	struct settings_warnings *warnings;
	struct err_detail *detail;
	bool placed; /* the detail names file and line: those of the innermost file */
};

static enum err load_text(struct loader *l, struct slice text, const char *origin, unsigned depth);

static enum err load_file(struct loader *l, const char *path, unsigned depth)
{
	char *text = NULL;
	size_t len = 0;
	enum err e = l->reader->read(l->reader->ctx, path, &text, &len, l->detail);

	if (e == ERR_OK)
		e = load_text(l, slice_of(text, len), path, depth);
	free(text);
	return e;
}

static enum err include(struct loader *l, struct slice value, unsigned depth)
{
	char *path;
	enum err e;

	if (depth >= INCLUDE_DEPTH_MAX) {
		err_detail_set(l->detail, "Include is nested deeper than %d files",
			       INCLUDE_DEPTH_MAX);
		return ERR_CONFIG;
	}
	if (value.len == 0 || memchr(value.ptr, '\0', value.len) != NULL) {
		err_detail_set(l->detail, "Include: missing file name");
		return ERR_CONFIG;
	}
	path = slice_dup(value);
	if (path == NULL)
		return ERR_NOMEM;
	e = load_file(l, path, depth + 1);
	free(path);
	return e;
}

/* What is left of a line: a '#' and a CR cut it wherever they stand. */
static struct slice cut_comment(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' || line.ptr[i] == '\r')
			return slice_sub(line, 0, i);
	return line;
}

static enum err load_line(struct loader *l, struct slice line, unsigned depth, bool *ret_include)
{
	struct slice rest = slice_trim(cut_comment(line));
	size_t end = 0;
	struct slice name;

	if (rest.len == 0)
		return ERR_OK;
	while (end < rest.len && !ch_is_wsp(rest.ptr[end]))
		end++;
	name = slice_sub(rest, 0, end);
	rest = slice_trim(slice_sub(rest, end, rest.len));
	*ret_include = slice_ieq(name, SLICE_LIT("Include"));
	if (*ret_include)
		return include(l, rest, depth);
	return settings_set(l->s, name, rest, l->warnings, l->detail);
}

/* Warnings that came from this line get its place in front. */
static void place_warnings(struct settings_warnings *w, size_t from, const char *origin,
			   unsigned long line)
{
	for (size_t i = from; w != NULL && i < w->count; i++) {
		char placed[1024];
		char *copy;

		(void)snprintf(placed, sizeof(placed), "%s: line %lu: %s", origin, line,
			       w->texts[i]);
		copy = slice_dup(slice_str(placed));
		if (copy == NULL)
			continue;
		free(w->texts[i]);
		w->texts[i] = copy;
	}
}

static enum err load_text(struct loader *l, struct slice text, const char *origin, unsigned depth)
{
	struct slice line;
	unsigned long number = 0;

	while (slice_next(&text, '\n', &line)) {
		size_t warned = l->warnings != NULL ? l->warnings->count : 0;
		bool is_include = false;
		enum err e;

		number++;
		e = load_line(l, line, depth, &is_include);
		if (e != ERR_OK && !l->placed) {
			err_detail_prefix(l->detail,
					  "%s: configuration error at line %lu: ", origin, number);
			l->placed = true;
		}
		if (e != ERR_OK)
			return e;
		if (!is_include) /* the lines of the included file have placed theirs */
			place_warnings(l->warnings, warned, origin, number);
	}
	return ERR_OK;
}

enum err settings_load_text(struct settings *s, struct slice text, const char *origin,
			    const struct settings_reader *reader,
			    struct settings_warnings *warnings, struct err_detail *detail)
{
	struct loader l = { s, reader, warnings, detail, false };

	return load_text(&l, text, origin, 0);
}

enum err settings_load_file(struct settings *s, const char *path,
			    const struct settings_reader *reader,
			    struct settings_warnings *warnings, struct err_detail *detail)
{
	struct loader l = { s, reader, warnings, detail, false };

	return load_file(&l, path, 0);
}

static enum err read_fd(int fd, char **ret_text, size_t *ret_len)
{
	char *text = NULL;
	size_t len = 0;
	size_t room = 0;
	ssize_t n;

	do {
		if (len == room) {
			char *grown = room < CONFIG_FILE_BYTES_MAX ? realloc(text, room * 2 + 4097)
								   : NULL;

			if (grown == NULL) {
				free(text);
				return room < CONFIG_FILE_BYTES_MAX ? ERR_NOMEM : ERR_LIMIT;
			}
			text = grown;
			room = room * 2 + 4096; /* one more for the NUL */
		}
		n = read(fd, text + len, room - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		free(text);
		return ERR_IO;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return ERR_OK;
}

static enum err read_real_file(void *ctx, const char *path, char **ret_text, size_t *ret_len,
			       struct err_detail *detail)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum err e = ERR_IO;
	int saved;

	(void)ctx;
	if (fd >= 0)
		e = read_fd(fd, ret_text, ret_len);
	saved = errno;
	if (fd >= 0)
		(void)close(fd);
	if (e != ERR_OK)
		err_detail_set(detail, "%s: cannot read the file: %s", path,
			       e == ERR_IO ? strerror(saved) : err_text(e));
	return e;
}

const struct settings_reader settings_reader_files = { .read = read_real_file, .ctx = NULL };
