/* One request over the control socket. */
#include "base/clock.h"
#include "base/recv.h"
#include "base/text.h"
#include "tools/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* What connect() and send() wait for at most: a daemon that hangs accepts nobody. */
static enum err bound_waits(int fd, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - clock_mono_ms();
	struct timeval left;

	if (left_ms <= 0)
		return ERR_TIMEOUT;
	left = (struct timeval){ left_ms / 1000, left_ms % 1000 * 1000 };
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) == 0 ? ERR_OK : ERR_IO;
}

static enum err connect_error(const char *path, int error, struct err_detail *detail)
{
	const char *advice = "; is hsmdkim running, with this ControlSocket?";

	if (error == EAGAIN || error == ETIMEDOUT) {
		err_detail_set(detail, "%s: hsmdkim takes no connections; see its log", path);
		return ERR_TIMEOUT;
	}
	if (error == EACCES)
		advice = "; only the owner of the socket may use it";
	err_detail_set(detail, "%s: %s%s", path, strerror(error), advice);
	return error == EACCES ? ERR_DENIED : ERR_PEER_LOST;
}

static enum err open_socket(const char *path, int64_t deadline_ms, int *ret_fd,
			    struct err_detail *detail)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	enum err e;
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		err_detail_set(detail, "%s: the path is longer than 107 bytes", path);
		return ERR_LIMIT;
	}
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	e = bound_waits(fd, deadline_ms);
	if (e == ERR_OK && connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0)
		e = connect_error(path, errno, detail);
	if (e == ERR_OK)
		*ret_fd = fd;
	else
		(void)close(fd);
	return e;
}

/* Small, and the socket is new: it always has room for all of it. */
static enum err send_line(int fd, const char *line)
{
	struct iovec parts[2] = { { (void *)line, strlen(line) }, { (void *)"\n", 1 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL);

	return sent == (ssize_t)(parts[0].iov_len + 1) ? ERR_OK : ERR_PEER_LOST;
}

static enum err read_to_end(int fd, int64_t deadline_ms, struct buf *out)
{
	bool end = false;
	enum err e = ERR_OK;

	while (e == ERR_OK && !end)
		e = recv_some(fd, deadline_ms, out, &end);
	return e;
}

/* "ok", the report, "."; or "error TEXT" and ".". */
static enum err take_apart(struct slice all, struct slice *ret_report, struct err_detail *detail)
{
	static const struct slice error = SLICE_INIT("error ");
	size_t end = slice_find(all, '\n');
	char shown[sizeof(detail->text)];
	struct slice first = slice_sub(all, 0, end);

	if (!slice_ends(all, SLICE_LIT("\n.\n"))) {
		err_detail_set(detail, "the answer was cut; see the log of hsmdkim");
		return ERR_PEER_LOST;
	}
	if (slice_starts(first, error)) {
		err_detail_set(detail, "%s",
			       text_sanitize(slice_sub(first, error.len, first.len), shown,
					     sizeof(shown)));
		return ERR_NOT_SUPPORTED;
	}
	*ret_report = slice_sub(all, end + 1, all.len - 2);
	return slice_eq(first, SLICE_LIT("ok")) ? ERR_OK : ERR_PROTOCOL;
}

enum err ctl_ask(const char *socket_path, const char *line, int timeout_ms, struct buf *answer,
		 struct slice *ret_report, struct err_detail *detail)
{
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	struct slice all = SLICE_LIT("");
	int fd = -1;
	enum err e = open_socket(socket_path, deadline_ms, &fd, detail);

	if (e == ERR_OK)
		e = send_line(fd, line);
	if (e == ERR_OK)
		e = read_to_end(fd, deadline_ms, answer);
	if (e == ERR_OK)
		e = buf_finish(answer, &all);
	if (e == ERR_OK)
		e = take_apart(all, ret_report, detail);
	if (fd >= 0)
		(void)close(fd);
	return e;
}
