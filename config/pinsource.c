/* PINs from where the settings say: see pinsource.h. */
#define _GNU_SOURCE /* memfd_create */
#include "config/pinsource.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/safefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

static const struct slice file_prefix = SLICE_INIT("file:");
static const struct slice credential_prefix = SLICE_INIT("credential:");
static const struct slice prompt_word = SLICE_INIT("prompt");

struct slice pinsource_name(struct slice source)
{
	return slice_starts(source, file_prefix) ? slice_sub(source, file_prefix.len, source.len)
						 : source;
}

/* The descriptor that a set holds under a name, -1: none. */
static int find(const struct files *files, struct slice name)
{
	for (size_t i = 0; files != NULL && i < files_count(files); i++) {
		if (slice_eq(slice_str(files_path(files, i)), name))
			return files_fd(files, i);
	}
	return -1;
}

static enum err put_copy(struct files *files, struct slice name, int fd, struct err_detail *detail)
{
	AUTO(buf_done) struct buf path;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	buf_init(&path, PATH_MAX);
	buf_add(&path, name);
	if (copy < 0 || path.error != ERR_OK) {
		err_detail_set(detail, "PIN: %s", strerror(errno));
		if (copy >= 0)
			(void)close(copy);
		return ERR_IO;
	}
	return files_put(files, path.data, copy);
}

/* Read path under another name. */
static enum err read_file(const char *path, struct slice name, const struct pinsource_rules *rules,
			  struct files *files, struct err_detail *detail)
{
	AUTO(files_free) struct files *one = files_new_closed();
	enum err err = rules->safe_only ? safefile_check(path, rules->owner, detail) : ERR_OK;

	if (err == ERR_OK && one == NULL)
		err = ERR_NOMEM;
	if (err == ERR_OK)
		err = files_read(one, path, detail);
	return err == ERR_OK ? put_copy(files, name, files_fd(one, 0), detail) : err;
}

static enum err read_credential(struct slice source, struct files *files, struct err_detail *detail)
{
	static const struct pinsource_rules systemd = { .safe_only = false };
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	struct slice name = slice_sub(source, credential_prefix.len, source.len);
	char path[PATH_MAX];

	if (slice_empty(name) || slice_find(name, '/') != name.len) {
		err_detail_set(detail,
			       "PIN: write credential:NAME, with the NAME of LoadCredential=");
		return ERR_CONFIG;
	}
	if (directory == NULL) {
		err_detail_set(
			detail,
			"PIN: %.*s needs systemd: put LoadCredential=%.*s:/path into the unit",
			SLICE_FMT(source), SLICE_FMT(name));
		return ERR_CONFIG;
	}
	if ((size_t)snprintf(path, sizeof(path), "%s/%.*s", directory, SLICE_FMT(name)) >=
	    sizeof(path))
		return ERR_LIMIT;
	/* systemd keeps its directory safe, and shows it to us with permissions that do not say so
	 */
	return read_file(path, source, &systemd, files, detail);
}

static enum err terminal_error(struct err_detail *detail)
{
	err_detail_set(detail,
		       "PIN: there is no terminal to ask at (%s); start in the foreground "
		       "or write file:/path or credential:NAME",
		       strerror(errno));
	return ERR_CONFIG;
}

/* One line from the terminal, without echo. @param ret_len without the line end */
static enum err ask(char *line, size_t size, size_t *ret_len, struct err_detail *detail)
{
	static const char question[] = "PIN of the token: ";
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios old;
	struct termios quiet;
	ssize_t len;

	if (tty < 0 || tcgetattr(tty, &old) != 0) {
		if (tty >= 0)
			(void)close(tty);
		return terminal_error(detail);
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(tty, TCSAFLUSH, &quiet);
	(void)!write(tty, question, sizeof(question) - 1);
	len = read(tty, line, size);
	(void)tcsetattr(tty, TCSAFLUSH, &old);
	(void)!write(tty, "\n", 1);
	(void)close(tty);
	if (len <= 0)
		return terminal_error(detail);
	*ret_len = line[len - 1] == '\n' ? (size_t)len - 1 : (size_t)len;
	return ERR_OK;
}

static enum err put_bytes(struct files *files, struct slice name, const char *bytes, size_t len,
			  struct err_detail *detail)
{
	int fd = memfd_create("hsmdkim-pin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	enum err err = ERR_IO;

	if (fd >= 0 && write(fd, bytes, len) == (ssize_t)len &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		err = put_copy(files, name, fd, detail);
	else
		err_detail_set(detail, "PIN: %s", strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return err;
}

static enum err read_prompt(struct files *files, struct err_detail *detail)
{
	char line[LIMIT_PIN_BYTES + 2];
	size_t len = 0;
	enum err err = ask(line, sizeof(line), &len, detail);

	if (err == ERR_OK)
		err = put_bytes(files, prompt_word, line, len, detail);
	OPENSSL_cleanse(line, sizeof(line));
	return err;
}

enum err pinsource_read(struct slice source, const struct pinsource_rules *rules,
			struct files *files, struct err_detail *detail)
{
	struct slice name = pinsource_name(source);
	char path[PATH_MAX];

	if (find(files, name) >= 0)
		return ERR_OK;
	if (slice_starts(source, credential_prefix))
		return read_credential(source, files, detail);
	if (slice_eq(source, prompt_word)) {
		int kept = find(rules->old, name);

		if (kept < 0 && !rules->may_ask)
			return ERR_OK;
		return kept >= 0 ? put_copy(files, name, kept, detail) : read_prompt(files, detail);
	}
	if (!slice_starts(source, file_prefix) || !slice_starts(name, SLICE_LIT("/")) ||
	    name.len >= sizeof(path)) {
		err_detail_set(detail,
			       "PIN: write file:/path, credential:NAME or prompt, never the "
			       "PIN itself");
		return ERR_CONFIG;
	}
	(void)snprintf(path, sizeof(path), "%.*s", SLICE_FMT(name));
	return read_file(path, name, rules, files, detail);
}
