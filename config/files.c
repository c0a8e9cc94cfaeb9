/* One generation's files: sealed memfds under the paths that the configuration names. */
#define _GNU_SOURCE /* memfd_create, F_ADD_SEALS, MADV_DONTDUMP */

#include "config/files.h"

#include "config/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_CHUNK ((size_t)256 * 1024)

struct file {
	char *path;
	int fd;
	bool live; /* opened, not copied; never mapped */
	void *map; /* NULL: not mapped, or empty */
	size_t len;
};

struct files {
	bool real;	      /* opens what it does not hold */
	pthread_mutex_t lock; /* of the maps: files are mapped when they are first wanted, by any
				 thread */
	struct file *list;
	size_t count;
	struct faults *faults; /* NULL: an error is the end */
};

static struct files *files_new(bool real)
{
	struct files *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->real = real;
	(void)pthread_mutex_init(&f->lock, NULL);
	return f;
}

struct files *files_new_real(void)
{
	return files_new(true);
}

struct files *files_new_closed(void)
{
	return files_new(false);
}

void files_free(struct files **f)
{
	if (*f == NULL)
		return;
	for (size_t i = 0; i < (*f)->count; i++) {
		struct file *file = &(*f)->list[i];

		if (file->map != NULL)
			(void)munmap(file->map, file->len);
		(void)close(file->fd);
		free(file->path);
	}
	free((*f)->list);
	(void)pthread_mutex_destroy(&(*f)->lock);
	free(*f);
	*f = NULL;
}

/* @return the path behind one of the prefixes; NULL: none of them */
static const char *behind_prefix(const char *spec, const struct slice *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_istarts(slice_str(spec), prefixes[i]))
			return spec + prefixes[i].len;
	return NULL;
}

static const char *live_path(const char *spec)
{
	static const struct slice prefixes[] = { SLICE_INIT("lmdb:"), SLICE_INIT("mdb:") };

	return behind_prefix(spec, prefixes, ARRAY_LEN(prefixes));
}

bool files_spec_is_live(const char *spec)
{
	return live_path(spec) != NULL;
}

const char *files_spec_path(const char *spec)
{
	static const struct slice prefixes[] = { SLICE_INIT("file:"), SLICE_INIT("refile:") };
	struct slice s = slice_str(spec);
	const char *path = behind_prefix(spec, prefixes, ARRAY_LEN(prefixes));

	if (path == NULL)
		path = live_path(spec);
	if (path != NULL)
		return path;
	/* A colon in the first entry ends a prefix. */
	return spec[0] == '/' && slice_find(s, ':') >= slice_find(s, ',') ? spec : NULL;
}

static struct file *files_find(const struct files *f, const char *path, bool live)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].live == live && strcmp(f->list[i].path, path) == 0)
			return &f->list[i];
	return NULL;
}

static enum err put(struct files *f, const char *path, int fd, bool live)
{
	struct file *grown = realloc(f->list, (f->count + 1) * sizeof(*grown));
	char *copy = slice_dup(slice_str(path));

	if (grown != NULL)
		f->list = grown;
	if (grown == NULL || copy == NULL) {
		free(copy);
		(void)close(fd);
		return ERR_NOMEM;
	}
	f->list[f->count] = (struct file){ .path = copy, .fd = fd, .live = live };
	f->count++;
	return ERR_OK;
}

enum err files_put(struct files *f, const char *path, int fd)
{
	return put(f, path, fd, false);
}

enum err files_put_live(struct files *f, const char *path, int fd)
{
	return put(f, path, fd, true);
}

enum err files_share(const struct files *from, size_t i, struct files *to)
{
	int copy = fcntl(files_fd(from, i), F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return ERR_IO;
	return put(to, files_path(from, i), copy, files_is_live(from, i));
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static enum err copy_bytes(int from, int to)
{
	char *chunk = malloc(COPY_CHUNK);
	uint64_t total = 0;
	enum err e = chunk != NULL ? ERR_OK : ERR_NOMEM;

	while (e == ERR_OK) {
		ssize_t n = read(from, chunk, COPY_CHUNK);

		if (n == 0)
			break;
		if (n < 0) {
			if (errno != EINTR)
				e = ERR_IO;
			continue;
		}
		total += (uint64_t)n;
		if (total > UINT32_MAX) /* rows are found by 32-bit offsets */
			e = ERR_LIMIT;
		else if (!write_all(to, chunk, (size_t)n))
			e = ERR_IO;
	}
	free(chunk);
	return e;
}

/* @param ret_fd a sealed memfd with the bytes of the regular file path */
static enum err read_sealed(const char *path, int *ret_fd, const char **ret_why)
{
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int to = -1;
	enum err e = ERR_IO;

	*ret_why = NULL;
	if (from >= 0 && fstat(from, &st) == 0) {
		if (S_ISREG(st.st_mode))
			to = memfd_create("hsmdkim-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		else
			*ret_why = "not a regular file";
	}
	if (to >= 0)
		e = copy_bytes(from, to);
	if (e == ERR_OK &&
	    fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		e = ERR_IO;
	if (e != ERR_OK && *ret_why == NULL)
		*ret_why = e == ERR_IO ? strerror(errno) : err_text(e);
	if (from >= 0)
		(void)close(from);
	if (e == ERR_OK)
		*ret_fd = to;
	else if (to >= 0)
		(void)close(to);
	return e;
}

enum err files_read(struct files *f, const char *path, struct err_detail *detail)
{
	const char *why;
	int fd = -1;
	enum err e;

	if (files_find(f, path, false) != NULL)
		return ERR_OK;
	e = read_sealed(path, &fd, &why);
	if (e != ERR_OK) {
		err_detail_set(detail, "%s: cannot read the file: %s", path, why);
		return e;
	}
	return files_put(f, path, fd);
}

/* @return a descriptor of the regular file path, or of data.mdb in it; -1 with *ret_why */
static int open_live(const char *path, const char **ret_why)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags);
	struct stat st;

	*ret_why = NULL;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		int inner = openat(fd, "data.mdb", flags);

		(void)close(fd);
		fd = inner;
	}
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		(void)close(fd);
		*ret_why = "not a regular file";
		return -1;
	}
	if (fd < 0)
		*ret_why = strerror(errno);
	return fd;
}

enum err files_read_live(struct files *f, const char *path, struct err_detail *detail)
{
	const char *why;
	int fd;

	if (files_find(f, path, true) != NULL)
		return ERR_OK;
	fd = open_live(path, &why);
	if (fd < 0) {
		err_detail_set(detail, "%s: cannot open the table: %s", path, why);
		return ERR_IO;
	}
	return files_put_live(f, path, fd);
}

enum err files_live(struct files *f, const char *path, int *ret_fd, struct err_detail *detail)
{
	enum err e = f->real ? files_read_live(f, path, detail) : ERR_OK;
	const struct file *file = files_find(f, path, true);

	if (e != ERR_OK)
		return e;
	if (file == NULL) {
		err_detail_set(detail, "%s: the file was not handed to this process", path);
		return ERR_NOT_FOUND;
	}
	*ret_fd = file->fd;
	return ERR_OK;
}

static enum err map_file(struct file *file)
{
	/* Not fstat(): libc makes a newfstatat of it, which the milter's sandbox cannot tell from a
	 * look at any path. */
	off_t size = lseek(file->fd, 0, SEEK_END);

	if (size < 0)
		return ERR_IO;
	if ((uint64_t)size > UINT32_MAX)
		return ERR_LIMIT;
	if (size == 0) /* mmap refuses length 0 */
		return ERR_OK;
	file->map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, file->fd, 0);
	if (file->map == MAP_FAILED) {
		file->map = NULL;
		return ERR_NOMEM;
	}
	file->len = (size_t)size;
	return ERR_OK;
}

enum err files_map(struct files *f, const char *path, struct slice *ret_text,
		   struct err_detail *detail)
{
	struct file *file = files_find(f, path, false);
	enum err e = ERR_OK;

	if (file == NULL && f->real) {
		e = files_read(f, path, detail);
		if (e != ERR_OK)
			return e;
		file = files_find(f, path, false);
	}
	if (file == NULL) {
		err_detail_set(detail, "%s: the file was not handed to this process", path);
		return ERR_NOT_FOUND;
	}
	(void)pthread_mutex_lock(&f->lock);
	if (file->map == NULL)
		e = map_file(file);
	(void)pthread_mutex_unlock(&f->lock);
	if (e != ERR_OK) {
		err_detail_set(detail, "%s: cannot map the file: %s", path, err_text(e));
		return e;
	}
	*ret_text = slice_of(file->map != NULL ? file->map : "", file->len);
	return ERR_OK;
}

enum err files_map_secret(struct files *f, const char *path, struct slice *ret_text,
			  struct err_detail *detail)
{
	enum err e = files_map(f, path, ret_text, detail);

	if (e != ERR_OK || ret_text->len == 0)
		return e;
	(void)mlock(ret_text->ptr, ret_text->len);
	(void)madvise((void *)ret_text->ptr, ret_text->len, MADV_DONTDUMP);
	return ERR_OK;
}

size_t files_count(const struct files *f)
{
	return f->count;
}

const char *files_path(const struct files *f, size_t i)
{
	return f->list[i].path;
}

int files_fd(const struct files *f, size_t i)
{
	return f->list[i].fd;
}

bool files_is_live(const struct files *f, size_t i)
{
	return f->list[i].live;
}

void files_gather(struct files *f, struct faults *faults)
{
	f->faults = faults;
}

enum err files_fault(struct files *f, const char *table, enum err e, struct err_detail *detail)
{
	if (f == NULL || f->faults == NULL || (err_class(e) != ERR_CLASS_PERM && e != ERR_IO))
		return e;
	faults_add(f->faults, table, e, detail);
	if (detail != NULL)
		detail->text[0] = '\0';
	return ERR_OK;
}

bool files_wants_fault(const struct files *f, const char *table)
{
	return f == NULL || f->faults == NULL || faults_has_room(f->faults, table);
}

enum err files_gathered(struct files *f, struct err_detail *detail)
{
	struct faults *faults = f->faults;
	struct slice first;

	f->faults = NULL;
	if (faults == NULL || faults_close(faults) == ERR_OK)
		return ERR_OK;
	first = buf_slice(&faults->text);
	first.len = slice_find(first, '\n');
	err_detail_set(detail, "%.*s", SLICE_FMT(first));
	return faults->first;
}
