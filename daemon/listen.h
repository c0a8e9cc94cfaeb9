/*
 * The milter socket, opened by the supervisor so that it outlives a milter process: libmilter's
 * forms (inet:port@host, inet6:port@host, local:/path, unix:/path, /path), an inherited descriptor
 * (fd:N), and systemd's socket activation.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include "base/err.h"

#include <sys/types.h>

enum listen_kind { LISTEN_UNIX, LISTEN_INET, LISTEN_INET6, LISTEN_FD };

struct listen_addr {
	enum listen_kind kind;
	char path[108]; /**< LISTEN_UNIX: sun_path */
	char host[256]; /**< empty: every address */
	char port[33];	/**< number or service name */
	int fd;		/**< LISTEN_FD */
};

/** @return ERR_CONFIG with the forms that are allowed */
NODISCARD enum err listen_parse(const char *spec, struct listen_addr *ret_addr,
				struct err_detail *detail);

/** Can host and port of an address be found? Opens nothing. @return ERR_CONFIG with a detail */
NODISCARD enum err listen_check(const struct listen_addr *addr, struct err_detail *detail);

struct listen_options {
	int umask; /**< of a Unix socket; -1: the process's own */
	uid_t uid; /**< owner of a Unix socket; (uid_t)-1: leave it */
	gid_t gid;
};

/**
 * Bind and listen. A Unix socket that is there is removed when nobody answers at it; anything else
 * at that path is left alone and is an error. TCP_NODELAY is set (accepted sockets inherit it).
 * @param ret_fd close-on-exec
 * @return ERR_BUSY (someone answers there), ERR_IO, ERR_CONFIG (unknown host or port), each with a
 * detail
 */
NODISCARD enum err listen_open(const struct listen_addr *addr, const struct listen_options *options,
			       int *ret_fd, struct err_detail *detail);

/** Remove the Unix socket's path when it is still the socket that fd is bound to. */
void listen_unlink(const struct listen_addr *addr, int fd);

/**
 * The socket that systemd passed to this process (LISTEN_PID, LISTEN_FDS); the variables are unset.
 * @param ret_fd a close-on-exec copy, -1: none was passed
 * @return ERR_CONFIG when it is not a listening stream socket or there are several
 */
NODISCARD enum err listen_inherited(int *ret_fd, struct err_detail *detail);

#endif
