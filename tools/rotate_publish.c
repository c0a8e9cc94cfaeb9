/* Getting a record into DNS: printed for people, by nsupdate, or by a program of the operator. */
#define _GNU_SOURCE
#include "tools/dnstext.h"
#include "tools/rotate_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Room for one update. */
#define SCRIPT_BYTES_MAX DNSTEXT_BYTES_MAX

static bool write_all(int fd, struct slice input)
{
	while (input.len != 0) {
		ssize_t n = write(fd, input.ptr, input.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		input = slice_sub(input, (size_t)n, input.len);
	}
	return true;
}

static void run_child(char *const argv[], int input)
{
	if (dup2(input, STDIN_FILENO) == STDIN_FILENO)
		(void)execv(argv[0], argv);
	_exit(127);
}

enum err rotate_program(char *const argv[], struct slice input, struct err_detail *detail)
{
	int ends[2];
	int status = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return ERR_IO;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(argv, ends[0]);
	(void)close(ends[0]);
	if (pid > 0)
		(void)write_all(ends[1], input); /* it need not read; its status tells */
	(void)close(ends[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return ERR_OK;
	err_detail_set(detail, "%s: %s %d", argv[0],
		       pid > 0 && WIFSIGNALED(status) ? "ended by signal" : "exit status",
		       pid > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return ERR_IO;
}

/* The record is another name's in each rotation, so that replacing it is safe, and doing it twice,
 * too. */
static void make_script(const struct rotate_run *run, struct slice name, struct slice value,
			struct buf *out)
{
	struct slice server = slice_str(run->options->server);
	size_t at = slice_find(server, '@');

	if (server.len != 0)
		buf_add_fmt(out, "server %.*s %.*s\n", SLICE_FMT(slice_sub(server, 0, at)),
			    SLICE_FMT(slice_sub(server, at + 1, server.len)));
	buf_add_fmt(out, "update delete %.*s. TXT\nupdate add %.*s. %u TXT ", SLICE_FMT(name),
		    SLICE_FMT(name), run->options->ttl_s);
	dnstext_quote(value, out);
	buf_add_str(out, "\nsend\n");
}

static enum err by_nsupdate(const struct rotate_run *run, struct slice name, struct slice value,
			    struct err_detail *detail)
{
	static char program[] = "/usr/bin/nsupdate";
	static char option[] = "-k";
	char *tsig = run->options->tsig != NULL ? strdup(run->options->tsig) : NULL;
	char *argv[] = { program, tsig != NULL ? option : NULL, tsig, NULL };
	struct buf script;
	enum err e;

	buf_init(&script, SCRIPT_BYTES_MAX);
	make_script(run, name, value, &script);
	e = rotate_program(argv, buf_slice(&script), detail);
	buf_done(&script);
	free(tsig);
	return e;
}

/* PROGRAM publish|revoke NAME VALUE */
static enum err by_hook(const struct rotate_run *run, bool revoke, const struct buf *name,
			const struct buf *value, struct err_detail *detail)
{
	static char words[2][8] = { "publish", "revoke" };
	char *program = strdup(run->options->publish);
	char *argv[] = { program, words[revoke ? 1 : 0], name->data, value->data, NULL };
	enum err e = program != NULL ? rotate_program(argv, SLICE_LIT(""), detail) : ERR_NOMEM;

	free(program);
	return e;
}

static void by_print(const struct rotate_run *run, bool revoke, const struct buf *name,
		     const struct buf *value)
{
	(void)run;
	(void)printf("%s this TXT record (one line, without quotes around it):\n  name:  %s\n"
		     "  value: %s\n",
		     revoke ? "Replace" : "Publish", name->data, value->data);
}

enum err rotate_publish(const struct rotate_run *run, const struct rotate_key *key, bool revoke,
			struct err_detail *detail)
{
	const struct rotate_half *half = revoke ? &key->old : &key->new;
	struct dnstext record = {
		.selector = slice_str(half->selector),
		.domain = slice_str(key->domain),
		.hashes = SLICE_LIT("sha256"),
		.key_name = slice_str(key_type_name(half->type)),
		.pubkey = revoke ? SLICE_LIT("") : slice_str(half->p),
	};
	const char *how = run->options->publish;
	struct buf name;
	struct buf value;
	enum err e;

	buf_init(&name, SCRIPT_BYTES_MAX);
	buf_init(&value, SCRIPT_BYTES_MAX);
	dnstext_absolute_name(&record, &name);
	dnstext_value(&record, &value);
	e = name.error != ERR_OK ? name.error : value.error;
	if (e == ERR_OK && strcmp(how, "print") == 0)
		by_print(run, revoke, &name, &value);
	else if (e == ERR_OK && strcmp(how, "nsupdate") == 0)
		e = by_nsupdate(run, buf_slice(&name), buf_slice(&value), detail);
	else if (e == ERR_OK)
		e = by_hook(run, revoke, &name, &value, detail);
	buf_done(&name);
	buf_done(&value);
	return e;
}

void rotate_remind(const struct rotate_run *run, const struct rotate_key *key)
{
	struct err_detail detail;

	if (key->phase != ROTATE_PUBLISHED || strcmp(run->options->publish, "print") != 0)
		return;
	(void)printf("  waits until every name server has this record; unless it was published:\n");
	if (rotate_publish(run, key, false, &detail) != ERR_OK)
		(void)printf("  the record cannot be shown\n");
}
