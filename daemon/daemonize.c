/* Into the background: see daemonize.h. */
#include "daemon/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

__attribute__((noreturn)) static void wait_for_child(int fd)
{
	unsigned char status = EX_SOFTWARE; /* it died without a word */
	ssize_t len;

	do {
		len = read(fd, &status, 1);
	} while (len < 0 && errno == EINTR);
	_exit(status);
}

static void point_at_null(int fd, int flags)
{
	int null = open("/dev/null", flags | O_CLOEXEC);

	if (null < 0)
		return;
	if (null != fd) {
		(void)dup2(null, fd);
		(void)close(null);
	}
}

enum err daemonize_begin(struct daemonize *d, struct err_detail *detail)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) != 0) {
		err_detail_set(detail, "cannot go into the background: %s", strerror(errno));
		return ERR_IO;
	}
	pid = fork();
	if (pid < 0) {
		err_detail_set(detail, "cannot go into the background: %s", strerror(errno));
		(void)close(fds[0]);
		(void)close(fds[1]);
		return ERR_IO;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		wait_for_child(fds[0]);
	}
	(void)close(fds[0]);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	(void)setsid();
	point_at_null(STDIN_FILENO, O_RDONLY);
	point_at_null(STDOUT_FILENO, O_WRONLY);
	d->ready_fd = fds[1];
	return ERR_OK;
}

void daemonize_done(struct daemonize *d, int status)
{
	unsigned char byte = (unsigned char)status;

	if (d->ready_fd < 0)
		return;
	if (write(d->ready_fd, &byte, 1) == 1)
		point_at_null(STDERR_FILENO, O_WRONLY);
	(void)close(d->ready_fd);
	d->ready_fd = -1;
}
