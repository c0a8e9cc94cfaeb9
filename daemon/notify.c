/* sd_notify(3) and the PID file: see notify.h. */
#include "daemon/notify.h"

#include "base/clock.h"
#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void notify_state(const char *state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* the abstract name space */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&sun,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

void notify_ready(void)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "READY=1\nMAINPID=%ld", (long)getpid());
	notify_state(state);
}

void notify_reloading(void)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)clock_mono_ms() * 1000);
	notify_state(state);
}

void notify_stopping(void)
{
	notify_state("STOPPING=1");
}

static enum err pidfile_error(const char *path, struct err_detail *detail)
{
	err_detail_set(detail, "PidFile %s: %s%s", path, strerror(errno),
		       errno == ENOENT
			       ? "; make its folder (RuntimeDirectory= in a unit of systemd)"
			       : "");
	return ERR_IO;
}

/* Asked for a lock that only a writer's excludes, so that nobody who may just read the file can
 * keep us from starting. */
static enum err pidfile_refuse_held(const char *path, struct err_detail *detail)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool held = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

	if (fd >= 0)
		(void)close(fd);
	if (!held)
		return ERR_OK;
	err_detail_set(detail,
		       "PidFile %s: process %ld uses it, another hsmdkim; stop that one, or give "
		       "each its own PidFile",
		       path, (long)lock.l_pid);
	return ERR_BUSY;
}

enum err pidfile_write(const char *path, int mask, int *ret_fd, struct err_detail *detail)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char temp[PATH_MAX];
	mode_t old_mask = 0;
	int fd;

	*ret_fd = -1;
	if (pidfile_refuse_held(path, detail) != ERR_OK)
		return ERR_BUSY;
	if ((size_t)snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid()) >= sizeof(temp)) {
		err_detail_set(detail, "PidFile %s: the path is too long", path);
		return ERR_LIMIT;
	}
	if (mask >= 0)
		old_mask = umask((mode_t)mask);
	(void)unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (mask >= 0)
		(void)umask(old_mask);
	if (fd < 0)
		return pidfile_error(path, detail);
	(void)fcntl(fd, F_SETLK, &lock); /* a filesystem without locks: as before there were any */
	if (dprintf(fd, "%ld\n", (long)getpid()) < 0 || rename(temp, path) != 0) {
		(void)pidfile_error(path, detail);
		(void)unlink(temp);
		(void)close(fd);
		return ERR_IO;
	}
	*ret_fd = fd;
	return ERR_OK;
}

void pidfile_remove(const char *path, int fd)
{
	char text[32] = "";
	int now = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t len = now >= 0 ? read(now, text, sizeof(text) - 1) : -1;

	if (len > 0 && strtol(text, NULL, 10) == (long)getpid())
		(void)unlink(path);
	if (now >= 0)
		(void)close(now);
	if (fd >= 0)
		(void)close(fd);
}
