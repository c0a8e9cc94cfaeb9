/* PINs from where the settings say: see pinsource.h. */
#define _GNU_SOURCE /* memfd_create */
#include "config/pinsource.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/safefile.h"
#include "base/text.h"

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

char *pinsource_name(struct slice source, struct slice token)
{
	AUTO(buf_done) struct buf name;

	buf_init(&name, PATH_MAX);
	if (!slice_eq(source, prompt_word))
		return slice_dup(slice_starts(source, file_prefix)
					 ? slice_sub(source, file_prefix.len, source.len)
					 : source);
	buf_add_fmt(&name, "%.*s:%.*s", SLICE_FMT(prompt_word), SLICE_FMT(token));
	return name.error == ERR_OK ? slice_dup(buf_slice(&name)) : NULL;
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
	    sizeof(path)) {
		err_detail_set(detail, "PIN: the name of a credential is too long");
		return ERR_LIMIT;
	}
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
static enum err ask(const char *question, char *line, size_t size, size_t *ret_len,
		    struct err_detail *detail)
{
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
	(void)!write(tty, question, strlen(question));
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

static enum err read_prompt(struct slice name, struct slice token, struct files *files,
			    struct err_detail *detail)
{
	char line[LIMIT_PIN_BYTES + 2];
	char shown[128];
	char question[sizeof(shown) + 32];
	size_t len = 0;
	enum err err;

	(void)snprintf(question, sizeof(question),
		       "PIN of token %s: ", text_sanitize(token, shown, sizeof(shown)));
	err = ask(question, line, sizeof(line), &len, detail);
	if (err == ERR_OK)
		err = put_bytes(files, name, line, len, detail);
	OPENSSL_cleanse(line, sizeof(line));
	return err;
}

/* What was typed at the start is kept: a reload has nobody to ask, and does not wait for him. */
static enum err take_prompt(struct slice name, struct slice token,
			    const struct pinsource_rules *rules, struct files *files,
			    struct err_detail *detail)
{
	int kept = find(rules->old, name);

	if (kept >= 0)
		return put_copy(files, name, kept, detail);
	if (!rules->may_ask)
		return ERR_OK;
	if (rules->old == NULL)
		return read_prompt(name, token, files, detail);
	err_detail_set(detail, "PIN: the terminal is asked at start only; restart, or write "
			       "file:/path or credential:NAME");
	return ERR_CONFIG;
}

static enum err read_named(struct slice source, const char *name, struct slice token,
			   const struct pinsource_rules *rules, struct files *files,
			   struct err_detail *detail)
{
	if (find(files, slice_str(name)) >= 0)
		return ERR_OK;
	if (slice_starts(source, credential_prefix))
		return read_credential(source, files, detail);
	if (slice_eq(source, prompt_word))
		return take_prompt(slice_str(name), token, rules, files, detail);
	if (slice_starts(source, file_prefix) && name[0] == '/' && strlen(name) < PATH_MAX)
		return read_file(name, slice_str(name), rules, files, detail);
	err_detail_set(detail,
		       "PIN: write file:/path, credential:NAME or prompt, never the PIN itself");
	return ERR_CONFIG;
}

enum err pinsource_read(struct slice source, struct slice token,
			const struct pinsource_rules *rules, struct files *files,
			struct err_detail *detail)
{
	char *name = pinsource_name(source, token);
	enum err err =
		name != NULL ? read_named(source, name, token, rules, files, detail) : ERR_NOMEM;

	free(name);
	return err;
}
