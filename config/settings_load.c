/* opendkim.conf's syntax: lines, comments, Include. */
#include "config/settings_priv.h"

#include "config/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define INCLUDE_DEPTH_MAX 5
#define CONFIG_FILE_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* So many errors are told; more are mostly one mistake. */
#define ERRORS_MAX 20u

/* One file that is being read; those above it wait at their Include line. */
struct source {
	char *path; /* NULL: the text is the caller's */
	char *text;
	const char *origin;
	struct slice rest;
	unsigned long line;
};

struct loader {
	struct settings *s;
	const struct settings_reader *reader;
	struct settings_warnings *warnings;
	struct err_detail *detail;
	struct source sources[INCLUDE_DEPTH_MAX + 1];
	size_t depth; /* of the innermost source, from 1; 0: done */
	size_t errors;
	enum err first_error;
	struct err_detail first_detail;
};

static void pop_source(struct loader *l)
{
	struct source *source = &l->sources[--l->depth];

	free(source->path);
	free(source->text);
}

static enum err push_file(struct loader *l, struct slice name)
{
	struct source *source = &l->sources[l->depth];
	size_t len = 0;
	enum err e;

	*source = (struct source){ .path = slice_dup(name) };
	if (source->path == NULL)
		return ERR_NOMEM;
	e = l->reader->read(l->reader->ctx, source->path, &source->text, &len, l->detail);
	if (e != ERR_OK) {
		free(source->path);
		return e;
	}
	source->origin = source->path;
	source->rest = slice_of(source->text, len);
	l->depth++;
	return ERR_OK;
}

static enum err include(struct loader *l, struct slice name)
{
	if (l->depth == ARRAY_LEN(l->sources)) {
		err_detail_set(l->detail, "Include is nested deeper than %d files",
			       INCLUDE_DEPTH_MAX);
		return ERR_CONFIG;
	}
	if (name.len == 0 || slice_find(name, '\0') != name.len) {
		err_detail_set(l->detail, "Include: missing file name");
		return ERR_CONFIG;
	}
	return push_file(l, name);
}

/* What is left of a line: a '#' and a CR cut it wherever they stand. */
static struct slice cut_comment(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' || line.ptr[i] == '\r')
			return slice_sub(line, 0, i);
	return line;
}

/* Bytes that an editor put into the file and that no one sees in it. */
static enum err check_encoding(struct slice line, bool first, struct err_detail *detail)
{
	const char *wrong = NULL;

	if (first && slice_starts(line, SLICE_LIT("\xef\xbb\xbf")))
		wrong = "the file starts with a byte order mark: save it without one";
	else if (first && (slice_starts(line, SLICE_LIT("\xff\xfe")) ||
			   slice_starts(line, SLICE_LIT("\xfe\xff"))))
		wrong = "the file is in UTF-16: save it in UTF-8";
	else if (slice_find(line, '\0') < line.len)
		wrong = "the line holds a NUL byte: is this a text file in UTF-8?";
	if (wrong == NULL)
		return ERR_OK;
	err_detail_set(detail, "%s", wrong);
	return ERR_CONFIG;
}

static enum err load_line(struct loader *l, struct slice line)
{
	struct source *source = &l->sources[l->depth - 1];
	struct slice rest = slice_trim(cut_comment(line));
	size_t end = 0;
	struct slice name;
	enum err e = check_encoding(rest, source->line == 1, l->detail);

	if (e != ERR_OK)
		source->rest = SLICE_LIT(""); /* no text: its other lines say no more */
	if (e != ERR_OK || rest.len == 0)
		return e;
	while (end < rest.len && !ch_is_wsp(rest.ptr[end]))
		end++;
	name = slice_sub(rest, 0, end);
	rest = slice_trim(slice_sub(rest, end, rest.len));
	if (slice_ieq(name, SLICE_LIT("Include")))
		return include(l, rest);
	e = settings_set(l->s, name, rest, l->warnings, l->detail);
	return e == ERR_OK ? settings_remember(l->s, name, source->origin, source->line) : e;
}

/* Warnings that came from this line get its place in front. */
static void place_warnings(struct settings_warnings *w, size_t from, const struct source *source)
{
	for (size_t i = from; w != NULL && i < w->count; i++) {
		char placed[1024];
		char *copy;

		(void)snprintf(placed, sizeof(placed), "%s: line %lu: %s", source->origin,
			       source->line, w->texts[i]);
		copy = slice_dup(slice_str(placed));
		if (copy == NULL)
			continue;
		free(w->texts[i]);
		w->texts[i] = copy;
	}
}

/* The first error is the caller's, the others go to the warnings, so that one run shows all of
 * them. @return ERR_OK: go on */
static enum err note_error(struct loader *l, enum err e)
{
	struct err_detail also;

	if ((e != ERR_CONFIG && e != ERR_IO) || l->warnings == NULL || l->detail == NULL)
		return e;
	if (l->errors++ == 0) {
		l->first_error = e;
		l->first_detail = *l->detail;
	} else {
		err_detail_set(&also, "%s", l->detail->text);
		err_detail_prefix(&also, FAULTS_ALSO);
		settings_warn(l->warnings, also.text);
	}
	return l->errors < ERRORS_MAX ? ERR_OK : e;
}

static enum err end_load(struct loader *l, enum err e)
{
	while (l->depth > 0)
		pop_source(l);
	if (l->errors == 0)
		return e;
	*l->detail = l->first_detail;
	return l->first_error;
}

/* Read the sources from the innermost out; an Include line puts one on top. */
static enum err load(struct loader *l)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && l->depth > 0) {
		struct source *source = &l->sources[l->depth - 1];
		size_t warned = l->warnings != NULL ? l->warnings->count : 0;
		struct slice line;

		if (!slice_next(&source->rest, '\n', &line)) {
			pop_source(l);
			continue;
		}
		source->line++;
		e = load_line(l, line);
		place_warnings(l->warnings, warned, source);
		if (e != ERR_OK) {
			err_detail_prefix(l->detail,
					  "%s: configuration error at line %lu: ", source->origin,
					  source->line);
			e = note_error(l, e);
		}
	}
	return end_load(l, e);
}

enum err settings_load_text(struct settings *s, struct slice text, const char *origin,
			    const struct settings_reader *reader,
			    struct settings_warnings *warnings, struct err_detail *detail)
{
	struct loader l = { s, reader, warnings, detail, .depth = 1 };

	l.sources[0] = (struct source){ .origin = origin, .rest = text };
	return load(&l);
}

enum err settings_load_file(struct settings *s, const char *path,
			    const struct settings_reader *reader,
			    struct settings_warnings *warnings, struct err_detail *detail)
{
	struct loader l = { s, reader, warnings, detail, .depth = 0 };
	enum err e = push_file(&l, slice_str(path));

	return e == ERR_OK ? load(&l) : e;
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
