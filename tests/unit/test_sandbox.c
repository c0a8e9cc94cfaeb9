/* daemon/sandbox: each border is tried from inside, in a child process. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CROSSED = 42, HELD = 0, NO_SANDBOX = 77 };

static struct sandbox_state inside_state;

/* Run attempt() in a child inside the sandbox. @return its wait status */
static int inside(int (*attempt)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err_detail detail;

		if (sandbox_enter_milter(&inside_state, &detail) != ERR_OK)
			_exit(NO_SANDBOX);
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_held(int status)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), HELD);
}

static void assert_killed(int status)
{
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int read_a_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? CROSSED : HELD;
}

static int write_a_file(void)
{
	return open("/tmp", O_TMPFILE | O_WRONLY, 0600) >= 0 ? CROSSED : HELD;
}

static int unlink_a_file(void)
{
	return unlink("/tmp/hsmdkim-no-such-file") == 0 || errno == ENOENT ? CROSSED : HELD;
}

static int start_a_program(void)
{
	(void)execl("/bin/true", "true", (char *)NULL);
	return CROSSED;
}

static int become_a_process(void)
{
	/* glibc's fork() is clone() without CLONE_THREAD */
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 ? CROSSED : HELD;
}

static int trace_the_parent(void)
{
	(void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	return CROSSED;
}

static int open_a_netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) >= 0 ? CROSSED : HELD;
}

static int make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return CROSSED;
	return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? CROSSED : HELD;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) != MAP_FAILED
		       ? CROSSED
		       : HELD;
}

static int become_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? CROSSED : HELD;
}

static int raise_core_limit(void)
{
	const struct rlimit some = { 1000, 1000 };

	return setrlimit(RLIMIT_CORE, &some) == 0 ? CROSSED : HELD;
}

static void *thread_main(void *arg)
{
	*(int *)arg = socket(AF_INET, SOCK_DGRAM, 0) >= 0;
	return NULL;
}

static int do_the_daily_work(void)
{
	pthread_t thread;
	int has_socket = 0;
	int pair[2];
	char *mem = malloc(8 << 20);

	if (mem == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return CROSSED;
	memset(mem, 1, 8 << 20);
	free(mem);
	if (pthread_create(&thread, NULL, thread_main, &has_socket) != 0 ||
	    pthread_join(thread, NULL) != 0)
		return CROSSED;
	return has_socket && write(pair[0], "x", 1) == 1 ? HELD : CROSSED;
}

static void the_milter_process_cannot_touch_files(void **state)
{
	(void)state;
	assert_held(inside(read_a_file));
	assert_held(inside(write_a_file));
	assert_held(inside(unlink_a_file));
}

static void the_milter_process_cannot_start_or_trace_a_process(void **state)
{
	(void)state;
	assert_killed(inside(start_a_program));
	assert_held(inside(become_a_process));
	assert_killed(inside(trace_the_parent));
}

static void the_milter_process_cannot_make_code(void **state)
{
	(void)state;
	assert_held(inside(make_code));
	assert_held(inside(map_code));
}

static void the_milter_process_cannot_get_back_what_it_gave_up(void **state)
{
	(void)state;
	assert_held(inside(open_a_netlink_socket));
	assert_held(inside(become_dumpable));
	assert_held(inside(raise_core_limit));
}

static void threads_memory_and_sockets_work_inside(void **state)
{
	(void)state;
	assert_held(inside(do_the_daily_work));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_milter_process_cannot_touch_files),
		cmocka_unit_test(the_milter_process_cannot_start_or_trace_a_process),
		cmocka_unit_test(the_milter_process_cannot_make_code),
		cmocka_unit_test(the_milter_process_cannot_get_back_what_it_gave_up),
		cmocka_unit_test(threads_memory_and_sockets_work_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
