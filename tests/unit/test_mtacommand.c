/* daemon/mtacommand: programs that take the message, refuse it, say too much, never end, or are not
 * there; what they are given and what they cannot see. */
#define _GNU_SOURCE /* setresuid */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/mtacommand.h"

enum { NO_SETUID = 77 };

static char folder[] = "/tmp/hsmdkim-mta-XXXXXX";
static char program[64];
static char output[96];

static int open_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(program, sizeof(program), "%s/mta", folder);
	(void)snprintf(output, sizeof(output), "%s/out", folder);
	return 0;
}

static int close_folder(void **state)
{
	(void)state;
	(void)unlink(program);
	(void)unlink(output);
	return rmdir(folder);
}

/* A shell script; OUT stands for a file of its own. */
static void write_program(const char *script)
{
	FILE *file = fopen(program, "w");

	assert_non_null(file);
	assert_true(fprintf(file, "#!/bin/sh\nOUT=%s\n%s\n", output, script) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(program, 0700), 0);
	(void)unlink(output);
}

static void read_output(char *text, size_t size)
{
	int fd = open(output, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, text, size - 1);
	assert_true(len >= 0);
	text[len] = '\0';
	(void)close(fd);
}

/* The pid that the program wrote. */
static pid_t read_pid(void)
{
	char text[32];
	unsigned long long pid = 0;

	read_output(text, sizeof(text));
	assert_true(slice_u64(slice_trim(slice_str(text)), &pid));
	return (pid_t)pid;
}

static void the_message_arrives(void **state)
{
	char mail[100000];
	char text[sizeof(mail) + 100];
	struct mtacommand_end end;

	(void)state;
	memset(mail, 'x', sizeof(mail));
	write_program("echo \"$#:$1:$2:$HOME\" > $OUT; cat >> $OUT");
	assert_int_equal(mtacommand_run(program, slice_of(mail, sizeof(mail)), 60000, &end),
			 ERR_OK);
	assert_int_equal(end.status, 0);
	assert_string_equal(end.said, "");
	read_output(text, sizeof(text));
	assert_memory_equal(text, "2:-t:-f<>:\n", 11);
	assert_int_equal(strlen(text), 11 + sizeof(mail));
}

static size_t count_in(const char *text, const char *what)
{
	size_t count = 0;

	for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
		count++;
	return count;
}

/* Of ours it has the message and two ends of one pipe. */
static void no_descriptor_is_inherited(void **state)
{
	struct mtacommand_end end;
	char text[4096];
	char pipe[64];
	const char *at;

	(void)state;
	write_program("ls -l /proc/$$/fd > $OUT");
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 60000, &end), ERR_OK);
	read_output(text, sizeof(text));
	assert_int_equal(count_in(text, "memfd:report"), 1);
	at = strstr(text, " 2 -> pipe:");
	assert_non_null(at);
	assert_int_equal(sscanf(at, " 2 -> %63[][pipe:0-9]", pipe), 1);
	assert_int_equal(count_in(text, pipe),
			 2); /* the shell keeps the first while it redirects */
}

static void what_it_says_is_kept(void **state)
{
	struct mtacommand_end end;

	(void)state;
	write_program("echo 'no such user' >&2; exit 67");
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 60000, &end), ERR_OK);
	assert_int_equal(end.status, 67);
	assert_string_equal(end.said, "no such user\n");
}

/* More than a pipe holds: it is read on, and forgotten. */
static void what_says_much_still_ends(void **state)
{
	struct mtacommand_end end;

	(void)state;
	write_program("head -c 1000000 /dev/zero | tr '\\0' y; exit 3");
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 60000, &end), ERR_OK);
	assert_int_equal(end.status, 3);
	assert_int_equal(strlen(end.said), sizeof(end.said) - 1);
}

static void a_signal_is_a_status(void **state)
{
	struct mtacommand_end end;

	(void)state;
	write_program("kill -TERM $$");
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 60000, &end), ERR_OK);
	assert_int_equal(end.status, 128 + SIGTERM);
}

/* It is killed, and its children with it. */
static void what_never_ends(void **state)
{
	int64_t start_ms = clock_mono_ms();
	struct mtacommand_end end;
	pid_t pid;

	(void)state;
	write_program("sleep 1000 & echo $! > $OUT.new; mv $OUT.new $OUT; wait");
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 2000, &end), ERR_TIMEOUT);
	assert_true(clock_mono_ms() - start_ms < 60000);
	assert_int_equal(end.status, 128 + SIGKILL);
	pid = read_pid();
	for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
		(void)poll(NULL, 0, 10);
	assert_int_not_equal(kill(pid, 0), 0);
}

/* A program in the background that keeps the output open holds nobody up. */
static void what_leaves_a_process_behind(void **state)
{
	int64_t start_ms = clock_mono_ms();
	struct mtacommand_end end;

	(void)state;
	write_program("sleep 300 & echo $! > $OUT; exit 0");
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 200000, &end), ERR_OK);
	assert_int_equal(end.status, 0);
	assert_true(clock_mono_ms() - start_ms < 100000);
	(void)kill(read_pid(), SIGKILL);
}

static void what_cannot_be_started(void **state)
{
	struct mtacommand_end end;

	(void)state;
	assert_int_equal(mtacommand_run("/nonexistent/mta", SLICE_LIT("x"), 60000, &end), ERR_IO);
	assert_string_equal(end.said, "No such file or directory");
	write_program("exit 0");
	assert_int_equal(chmod(program, 0600), 0);
	assert_int_equal(mtacommand_run(program, SLICE_LIT("x"), 60000, &end), ERR_IO);
	assert_string_equal(end.said, "Permission denied");
	/* no shell reads the path */
	assert_int_equal(mtacommand_run("/bin/true -x", SLICE_LIT("x"), 60000, &end), ERR_IO);
}

/* ---- a program that we may not kill ---- */

/* This program, setuid: it becomes root for good, and takes its time. */
static int be_setuid(const char *name)
{
	FILE *file;

	if (setresuid(0, 0, 0) != 0)
		return NO_SETUID;
	(void)snprintf(output, sizeof(output), "%s.out", name);
	file = fopen(output, "w");
	if (file == NULL)
		return NO_SETUID;
	(void)fprintf(file, "%d\n", (int)getpid());
	(void)fclose(file);
	(void)alarm(30);
	(void)pause();
	return 0;
}

static void copy_setuid(void)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "cp /proc/%d/exe %s && chmod 4755 %s",
		       (int)getpid(), program, program);
	assert_int_equal(chmod(folder, 0711), 0);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) fixed words */
}

/* As a user who is not root. @return as mtacommand_run(), or NO_SETUID */
static int run_as_nobody(void)
{
	struct mtacommand_end end;
	enum err err;

	if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
		return NO_SETUID;
	err = mtacommand_run(program, SLICE_LIT("x"), 1000, &end);
	return err == ERR_OK && end.status == NO_SETUID ? NO_SETUID : (int)err;
}

static void what_may_not_be_killed(void **state)
{
	int64_t start_ms = clock_mono_ms();
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	copy_setuid();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	(void)snprintf(output, sizeof(output), "%s.out", program);
	if (WEXITSTATUS(status) == NO_SETUID)
		skip(); /* the file system is mounted with nosuid */
	(void)kill(read_pid(), SIGKILL);
	assert_int_equal(WEXITSTATUS(status), ERR_TIMEOUT);
	assert_true(clock_mono_ms() - start_ms < 25000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_message_arrives),
		cmocka_unit_test(no_descriptor_is_inherited),
		cmocka_unit_test(what_it_says_is_kept),
		cmocka_unit_test(what_says_much_still_ends),
		cmocka_unit_test(a_signal_is_a_status),
		cmocka_unit_test(what_never_ends),
		cmocka_unit_test(what_leaves_a_process_behind),
		cmocka_unit_test(what_cannot_be_started),
		cmocka_unit_test(what_may_not_be_killed),
	};

	if (argc == 3 && strcmp(argv[1], "-t") == 0)
		return be_setuid(argv[0]);
	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
