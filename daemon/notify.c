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
	err_detail_set(detail, "PidFile %s: %s", path, strerror(errno));
	return ERR_IO;
}

enum err pidfile_write(const char *path, int mask, struct err_detail *detail)
{
	char temp[PATH_MAX];
	mode_t old_mask = 0;
	int fd;

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
	if (dprintf(fd, "%ld\n", (long)getpid()) < 0 || close(fd) != 0 || rename(temp, path) != 0) {
		(void)pidfile_error(path, detail);
		(void)unlink(temp);
		return ERR_IO;
	}
	return ERR_OK;
}

void pidfile_remove(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		(void)close(fd);
	if (len > 0 && strtol(text, NULL, 10) == (long)getpid())
		(void)unlink(path);
}
