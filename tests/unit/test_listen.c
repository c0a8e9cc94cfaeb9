/* daemon/listen: forms of Socket, stale and living Unix sockets, permissions. */
#include "daemon/listen.h"

#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const struct listen_options plain = { .umask = -1, .uid = (uid_t)-1, .gid = (gid_t)-1 };

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/hsmdkim-listen.XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	(void)unlink(path);
	return rmdir(dir);
}

static struct listen_addr in_dir(void)
{
	struct listen_addr addr = { .kind = LISTEN_UNIX };

	(void)snprintf(addr.path, sizeof(addr.path), "%s/s", dir);
	return addr;
}

static void forms_of_libmilter_are_understood(void **state)
{
	static const struct {
		const char *spec;
		enum listen_kind kind;
		const char *path;
		const char *host;
		const char *port;
	} cases[] = {
		{ "local:/run/x.sock", LISTEN_UNIX, "/run/x.sock", "", "" },
		{ "unix:/run/x.sock", LISTEN_UNIX, "/run/x.sock", "", "" },
		{ "LOCAL:rel/x", LISTEN_UNIX, "rel/x", "", "" },
		{ "/run/x.sock", LISTEN_UNIX, "/run/x.sock", "", "" },
		{ "run/x.sock", LISTEN_UNIX, "run/x.sock", "", "" },
		{ "/run/a:b@c", LISTEN_UNIX, "/run/a:b@c", "", "" },
		{ "inet:8891", LISTEN_INET, "", "", "8891" },
		{ "inet:8891@localhost", LISTEN_INET, "", "localhost", "8891" },
		{ "Inet:8891@127.0.0.1", LISTEN_INET, "", "127.0.0.1", "8891" },
		{ "inet:smtp@[127.0.0.1]", LISTEN_INET, "", "127.0.0.1", "smtp" },
		{ "inet6:8891@[::1]", LISTEN_INET6, "", "::1", "8891" },
		{ "inet6:8891@::1", LISTEN_INET6, "", "::1", "8891" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct listen_addr addr;

		assert_int_equal(listen_parse(cases[i].spec, &addr, NULL), ERR_OK);
		assert_int_equal(addr.kind, cases[i].kind);
		assert_string_equal(addr.path, cases[i].path);
		assert_string_equal(addr.host, cases[i].host);
		assert_string_equal(addr.port, cases[i].port);
	}
}

static void other_forms_are_refused_with_the_right_ones(void **state)
{
	static const char *const cases[] = {
		"",	      "8891",
		"inet:",      "inet:@localhost",
		"inet:8891@", "local:",
		"unix:",      "tcp:25",
		"fd:",	      "fd:-1",
		"fd:x",	      "fd:70000",
		"inet:65536", "inet:99999@localhost",
		"inet:25x",   "inet:123456789012345678901234567890123",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct listen_addr addr;
		struct err_detail detail = { "" };

		assert_int_equal(listen_parse(cases[i], &addr, &detail), ERR_CONFIG);
		assert_non_null(strstr(detail.text, "inet:PORT@HOST"));
	}
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
	struct listen_addr addr;
	char spec[200];

	(void)state;
	memset(spec, 'x', sizeof(spec));
	spec[0] = '/';
	spec[107] = '\0';
	assert_int_equal(listen_parse(spec, &addr, NULL), ERR_OK);
	spec[107] = 'x';
	spec[108] = '\0';
	assert_int_equal(listen_parse(spec, &addr, NULL), ERR_CONFIG);
}

static int connect_to(const struct listen_addr *addr)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	memcpy(sun.sun_path, addr->path, sizeof(sun.sun_path));
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void a_unix_socket_gets_the_permissions_that_umask_leaves(void **state)
{
	struct listen_addr addr = in_dir();
	struct listen_options options = plain;
	struct stat st;
	int fd = -1;
	int client;

	(void)state;
	options.umask = 007;
	assert_int_equal(listen_open(&addr, &options, &fd, NULL), ERR_OK);
	assert_int_equal(stat(addr.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0770);
	client = connect_to(&addr);
	assert_true(client >= 0);
	(void)close(client);
	listen_unlink(&addr, fd);
	assert_int_equal(stat(addr.path, &st), -1);
	(void)close(fd);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct listen_addr addr = in_dir();
	int fd = -1;
	int again = -1;

	(void)state;
	assert_int_equal(listen_open(&addr, &plain, &fd, NULL), ERR_OK);
	(void)close(fd); /* the path stays, as after kill -9 */
	assert_int_equal(listen_open(&addr, &plain, &again, NULL), ERR_OK);
	(void)close(again);
	assert_int_equal(unlink(addr.path), 0);
}

static void a_socket_that_answers_is_left_alone(void **state)
{
	struct listen_addr addr = in_dir();
	struct err_detail detail = { "" };
	int fd = -1;
	int again = -1;
	int client;

	(void)state;
	assert_int_equal(listen_open(&addr, &plain, &fd, NULL), ERR_OK);
	assert_int_equal(listen_open(&addr, &plain, &again, &detail), ERR_BUSY);
	assert_non_null(strstr(detail.text, "in use"));
	assert_int_equal(again, -1);
	client = connect_to(&addr);
	assert_true(client >= 0);
	(void)close(client);
	(void)close(fd);
	assert_int_equal(unlink(addr.path), 0);
}

static void a_file_is_never_removed(void **state)
{
	struct listen_addr addr = in_dir();
	struct err_detail detail = { "" };
	int file = open(addr.path, O_CREAT | O_WRONLY, 0600);
	int fd = -1;

	(void)state;
	assert_true(file >= 0);
	assert_int_equal(listen_open(&addr, &plain, &fd, &detail), ERR_IO);
	assert_non_null(strstr(detail.text, "no socket"));
	listen_unlink(&addr, file);
	assert_int_equal(access(addr.path, F_OK), 0);
	(void)close(file);
	assert_int_equal(unlink(addr.path), 0);
}

static void a_tcp_socket_does_not_delay_small_answers(void **state)
{
	struct listen_addr addr = { .kind = LISTEN_INET, .host = "127.0.0.1", .port = "0" };
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int nodelay = 0;
	int fd = -1;
	int again = -1;
	struct err_detail detail = { "" };

	(void)state;
	assert_int_equal(listen_open(&addr, &plain, &fd, NULL), ERR_OK);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	len = sizeof(nodelay);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
	assert_true(nodelay != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	(void)snprintf(addr.port, sizeof(addr.port), "%u", (unsigned)ntohs(sin.sin_port));
	assert_int_equal(listen_open(&addr, &plain, &again, &detail), ERR_BUSY);
	assert_non_null(strstr(detail.text, addr.port));
	(void)close(fd);
}

static void an_unknown_service_is_a_configuration_error(void **state)
{
	struct listen_addr addr = { .kind = LISTEN_INET,
				    .host = "127.0.0.1",
				    .port = "no-such-service" };
	int fd = -1;

	(void)state;
	assert_int_equal(listen_open(&addr, &plain, &fd, NULL), ERR_CONFIG);
}

static void an_inherited_descriptor_must_listen(void **state)
{
	struct listen_addr addr = in_dir();
	struct listen_addr inherited = { .kind = LISTEN_FD };
	int fd = -1;
	int copy = -1;
	int pipes[2];

	(void)state;
	assert_int_equal(listen_open(&addr, &plain, &fd, NULL), ERR_OK);
	inherited.fd = fd;
	assert_int_equal(listen_open(&inherited, &plain, &copy, NULL), ERR_OK);
	assert_true(copy >= 10);
	(void)close(copy);
	(void)close(fd);
	assert_int_equal(unlink(addr.path), 0);
	assert_int_equal(pipe(pipes), 0);
	inherited.fd = pipes[0];
	assert_int_equal(listen_open(&inherited, &plain, &copy, NULL), ERR_CONFIG);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void sockets_for_another_process_are_not_taken(void **state)
{
	char pid[32];
	int fd = 99;

	(void)state;
	assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
	assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
	assert_int_equal(listen_inherited(&fd, NULL), ERR_OK);
	assert_int_equal(fd, -1);
	assert_null(getenv("LISTEN_FDS"));
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
	assert_int_equal(setenv("LISTEN_FDS", "2", 1), 0);
	assert_int_equal(listen_inherited(&fd, NULL), ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_libmilter_are_understood),
		cmocka_unit_test(other_forms_are_refused_with_the_right_ones),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused),
		cmocka_unit_test(a_unix_socket_gets_the_permissions_that_umask_leaves),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_socket_that_answers_is_left_alone),
		cmocka_unit_test(a_file_is_never_removed),
		cmocka_unit_test(a_tcp_socket_does_not_delay_small_answers),
		cmocka_unit_test(an_unknown_service_is_a_configuration_error),
		cmocka_unit_test(an_inherited_descriptor_must_listen),
		cmocka_unit_test(sockets_for_another_process_are_not_taken),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
