/* The milter socket. */
#include "daemon/listen.h"

#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_FORMS                                                                               \
	"write inet:PORT@HOST, inet6:PORT@HOST, local:/PATH, unix:/PATH, /PATH or fd:NUMBER"
#define SYSTEMD_FIRST_FD 3

static enum err bad_form(const char *spec, const char *why, struct err_detail *detail)
{
	err_detail_set(detail, "Socket %s: %s; " LISTEN_FORMS, spec, why);
	return ERR_CONFIG;
}

static bool copy_part(struct slice part, char *out, size_t out_size)
{
	if (part.len >= out_size)
		return false;
	memcpy(out, part.ptr, part.len);
	out[part.len] = '\0';
	return true;
}

static enum err parse_unix(const char *spec, struct slice path, struct listen_addr *addr,
			   struct err_detail *detail)
{
	if (slice_empty(path))
		return bad_form(spec, "the path is missing", detail);
	addr->kind = LISTEN_UNIX;
	if (!copy_part(path, addr->path, sizeof(addr->path)))
		return bad_form(spec, "the path is longer than 107 bytes", detail);
	return ERR_OK;
}

static enum err parse_inet(const char *spec, struct slice rest, struct listen_addr *addr,
			   struct err_detail *detail)
{
	size_t at = slice_find(rest, '@');
	struct slice port = slice_sub(rest, 0, at);
	struct slice host = slice_sub(rest, at + 1, rest.len);
	unsigned long long number;

	if (slice_empty(port))
		return bad_form(spec, "the port is missing", detail);
	/* libc would take a larger number modulo 65536. */
	if (ch_is_digit(port.ptr[0]) && (!slice_u64(port, &number) || number > 65535))
		return bad_form(spec, "the port is no number up to 65535", detail);
	if (at < rest.len && slice_empty(host))
		return bad_form(spec, "the host is missing", detail);
	if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		host = slice_sub(host, 1, host.len - 1);
	if (!copy_part(port, addr->port, sizeof(addr->port)) ||
	    !copy_part(host, addr->host, sizeof(addr->host)))
		return bad_form(spec, "port or host is too long", detail);
	return ERR_OK;
}

static enum err parse_fd(const char *spec, struct slice rest, struct listen_addr *addr,
			 struct err_detail *detail)
{
	unsigned long long fd;

	if (!slice_u64(rest, &fd) || fd > 65535)
		return bad_form(spec, "the descriptor is no number", detail);
	addr->kind = LISTEN_FD;
	addr->fd = (int)fd;
	return ERR_OK;
}

/* A relative path; a lone number is a port whose kind was forgotten. */
static bool is_bare_path(struct slice spec)
{
	unsigned long long number;

	return slice_find(spec, ':') == spec.len && !slice_u64(spec, &number);
}

enum err listen_parse(const char *spec, struct listen_addr *ret_addr, struct err_detail *detail)
{
	struct slice all = slice_str(spec);
	size_t colon = slice_find(all, ':');
	struct slice kind = slice_sub(all, 0, colon);
	struct slice rest = slice_sub(all, colon + 1, all.len);
	struct listen_addr addr = { .kind = LISTEN_UNIX, .fd = -1 };
	enum err err;

	if (slice_starts(all, SLICE_LIT("/")) || is_bare_path(all)) {
		err = parse_unix(spec, all, &addr, detail);
	} else if (slice_ieq(kind, SLICE_LIT("local")) || slice_ieq(kind, SLICE_LIT("unix"))) {
		err = parse_unix(spec, rest, &addr, detail);
	} else if (slice_ieq(kind, SLICE_LIT("inet"))) {
		addr.kind = LISTEN_INET;
		err = parse_inet(spec, rest, &addr, detail);
	} else if (slice_ieq(kind, SLICE_LIT("inet6"))) {
		addr.kind = LISTEN_INET6;
		err = parse_inet(spec, rest, &addr, detail);
	} else if (slice_ieq(kind, SLICE_LIT("fd"))) {
		err = parse_fd(spec, rest, &addr, detail);
	} else {
		err = bad_form(spec, "unknown form", detail);
	}
	if (err == ERR_OK)
		*ret_addr = addr;
	return err;
}

static enum err io_error(const char *what, const char *where, struct err_detail *detail)
{
	err_detail_set(detail, "%s %s: %s%s", what, where, strerror(errno),
		       errno == EROFS ? "; in a service of systemd its folder has to stand in "
					"ReadWritePaths= (systemctl edit hsmdkim)"
				      : "");
	return ERR_IO;
}

/* Make room for a new socket at the path: only a socket that nobody answers is removed. */
static enum err remove_stale(const struct sockaddr_un *sun, struct err_detail *detail)
{
	struct stat st;
	int fd;
	int error;

	if (lstat(sun->sun_path, &st) != 0)
		return errno == ENOENT ? ERR_OK : io_error("cannot look at", sun->sun_path, detail);
	if (!S_ISSOCK(st.st_mode)) {
		err_detail_set(detail,
			       "%s is there and is no socket; remove it or choose another path",
			       sun->sun_path);
		return ERR_IO;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return io_error("cannot make a socket for", sun->sun_path, detail);
	error = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ? 0 : errno;
	(void)close(fd);
	if (error != ECONNREFUSED) {
		err_detail_set(
			detail,
			"%s is in use by another process; stop that one or choose another path",
			sun->sun_path);
		return ERR_BUSY;
	}
	if (unlink(sun->sun_path) != 0 && errno != ENOENT)
		return io_error("cannot remove the stale socket", sun->sun_path, detail);
	return ERR_OK;
}

static enum err open_unix(const struct listen_addr *addr, const struct listen_options *options,
			  int *ret_fd, struct err_detail *detail)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t old_mask = 0;
	enum err err;
	int bound;
	int fd;

	memcpy(sun.sun_path, addr->path, sizeof(sun.sun_path));
	err = remove_stale(&sun, detail);
	if (err != ERR_OK)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return io_error("cannot make a socket for", addr->path, detail);
	if (options->umask >= 0)
		old_mask = umask((mode_t)options->umask);
	bound = bind(fd, (const struct sockaddr *)&sun, sizeof(sun));
	if (options->umask >= 0)
		(void)umask(old_mask);
	if (bound != 0 || listen(fd, SOMAXCONN) != 0 ||
	    (options->uid != (uid_t)-1 && lchown(addr->path, options->uid, options->gid) != 0)) {
		err = io_error("cannot listen at", addr->path, detail);
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return ERR_OK;
}

static int bind_one(const struct addrinfo *ai)
{
	int on = 1;
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);

	if (fd < 0)
		return -1;
	/* Small replies must not wait for the MTA's delayed acknowledgement: 45 ms a message. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	on = errno;
	(void)close(fd);
	errno = on;
	return -1;
}

static enum err find_inet(const struct listen_addr *addr, struct addrinfo **ret_list,
			  struct err_detail *detail)
{
	struct addrinfo hints = { .ai_family = addr->kind == LISTEN_INET6 ? AF_INET6 : AF_INET,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	const char *host = addr->host[0] != '\0' ? addr->host : NULL;
	int failed = getaddrinfo(host, addr->port, &hints, ret_list);

	if (failed == 0)
		return ERR_OK;
	err_detail_set(detail, "cannot find port %s at host %s: %s", addr->port,
		       host != NULL ? host : "*", gai_strerror(failed));
	return ERR_CONFIG;
}

enum err listen_check(const struct listen_addr *addr, struct err_detail *detail)
{
	struct addrinfo *list = NULL;
	enum err err;

	if (addr->kind != LISTEN_INET && addr->kind != LISTEN_INET6)
		return ERR_OK;
	err = find_inet(addr, &list, detail);
	if (err == ERR_OK)
		freeaddrinfo(list);
	return err;
}

static enum err open_inet(const struct listen_addr *addr, int *ret_fd, struct err_detail *detail)
{
	struct addrinfo *list = NULL;
	enum err err = find_inet(addr, &list, detail);
	int fd;

	if (err != ERR_OK)
		return err;
	fd = bind_one(list);
	freeaddrinfo(list);
	if (fd < 0) {
		err_detail_set(detail, "cannot listen at port %s of host %s: %s", addr->port,
			       addr->host[0] != '\0' ? addr->host : "*", strerror(errno));
		return errno == EADDRINUSE ? ERR_BUSY : ERR_IO;
	}
	*ret_fd = fd;
	return ERR_OK;
}

/* A close-on-exec copy of a descriptor that must be a listening stream socket. */
static enum err copy_listening(int fd, int *ret_fd, struct err_detail *detail)
{
	int listening = 0;
	int on = 1;
	socklen_t len = sizeof(listening);
	int copy;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || listening == 0) {
		err_detail_set(detail, "descriptor %d is no listening socket", fd);
		return ERR_CONFIG;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	if (copy < 0) {
		err_detail_set(detail, "cannot copy descriptor %d: %s", fd, strerror(errno));
		return ERR_IO;
	}
	(void)setsockopt(copy, IPPROTO_TCP, TCP_NODELAY, &on,
			 sizeof(on)); /* not a TCP socket: fails */
	*ret_fd = copy;
	return ERR_OK;
}

enum err listen_open(const struct listen_addr *addr, const struct listen_options *options,
		     int *ret_fd, struct err_detail *detail)
{
	switch (addr->kind) {
	case LISTEN_UNIX:
		return open_unix(addr, options, ret_fd, detail);
	case LISTEN_INET:
	case LISTEN_INET6:
		return open_inet(addr, ret_fd, detail);
	case LISTEN_FD:
		return copy_listening(addr->fd, ret_fd, detail);
	}
	return ERR_INTERNAL;
}

void listen_unlink(const struct listen_addr *addr, int fd)
{
	struct sockaddr_un bound;
	socklen_t len = sizeof(bound);
	struct stat st;

	if (addr->kind != LISTEN_UNIX || getsockname(fd, (struct sockaddr *)&bound, &len) != 0 ||
	    bound.sun_family != AF_UNIX || lstat(addr->path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	(void)unlink(addr->path);
}

enum err listen_inherited(int *ret_fd, struct err_detail *detail)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");
	unsigned long long pid_value = 0;
	unsigned long long count_value = 0;
	bool ours = pid != NULL && count != NULL && slice_u64(slice_str(pid), &pid_value) &&
		    slice_u64(slice_str(count), &count_value) &&
		    pid_value == (unsigned long long)getpid();
	enum err err;

	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (!ours || count_value == 0) {
		*ret_fd = -1;
		return ERR_OK;
	}
	if (count_value > 1) {
		err_detail_set(detail,
			       "systemd passed %llu sockets; the socket unit must have one "
			       "ListenStream=",
			       count_value);
		return ERR_CONFIG;
	}
	err = copy_listening(SYSTEMD_FIRST_FD, ret_fd, detail);
	if (err == ERR_OK)
		(void)close(SYSTEMD_FIRST_FD);
	return err;
}
