/*
 * Messages between supervisor and children: one SOCK_SEQPACKET packet each.
 * Layout: struct header, then text_len bytes of text; descriptors in SCM_RIGHTS. A LOAD's text is
 * the paths of its files, each with one letter before it (s: a sealed copy, l: a live file) and a
 * NUL behind it; its first descriptor holds the settings, the others the files in the order of the
 * paths.
 */
#define _GNU_SOURCE /* memfd_create, F_GET_SEALS */

#include "config/handover.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDOVER_MAGIC 0x68736d31U
#define FDS_MAX (HANDOVER_FILES_MAX + 1)
#define PATH_SEALED 's'
#define PATH_LIVE 'l'

struct header {
	uint32_t magic;
	uint32_t type;
	uint32_t generation;
	uint32_t fd_count;
	uint32_t text_len;
};

struct packet {
	struct header header;
	char text[HANDOVER_TEXT_BYTES_MAX];
	int fds[FDS_MAX];
	size_t fd_count; /* open descriptors in fds that nobody owns yet */
};

/* What a type may carry. */
enum carries { CARRIES_NOTHING, CARRIES_TEXT, CARRIES_FD, CARRIES_TEXT_AND_FD, CARRIES_LOAD };

static bool type_carries(uint32_t type, enum carries *ret)
{
	static const enum carries table[] = {
		[HANDOVER_LOAD] = CARRIES_LOAD,		[HANDOVER_COMMIT] = CARRIES_NOTHING,
		[HANDOVER_ABORT] = CARRIES_NOTHING,	[HANDOVER_PEER] = CARRIES_FD,
		[HANDOVER_LISTEN] = CARRIES_FD,		[HANDOVER_STOP] = CARRIES_NOTHING,
		[HANDOVER_LOADED] = CARRIES_NOTHING,	[HANDOVER_FAILED] = CARRIES_TEXT,
		[HANDOVER_READY] = CARRIES_NOTHING,	[HANDOVER_NOTE] = CARRIES_TEXT,
		[HANDOVER_ASK] = CARRIES_TEXT_AND_FD,	[HANDOVER_ANSWER] = CARRIES_NOTHING,
		[HANDOVER_COMMITTED] = CARRIES_NOTHING, [HANDOVER_REPORTS] = CARRIES_FD,
	};

	if (type == 0 || type >= ARRAY_LEN(table))
		return false;
	*ret = table[type];
	return true;
}

void handover_msg_done(struct handover_msg *m)
{
	free(m->text);
	settings_free(&m->settings);
	files_free(&m->files);
	if (m->fd >= 0)
		(void)close(m->fd);
	*m = (struct handover_msg){ .fd = -1 };
}

static enum err socket_error(void)
{
	switch (errno) {
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
	case ECONNREFUSED:
		return ERR_PEER_LOST;
	case EMSGSIZE:
		return ERR_LIMIT;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_IO;
	}
}

/* @param deadline_ms -1: for ever */
static enum err wait_for(int sock, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = { .fd = sock, .events = events };
		int64_t left = deadline_ms < 0 ? -1 : deadline_ms - clock_mono_ms();
		int n;

		if (deadline_ms >= 0 && left < 0)
			left = 0;
		n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (n > 0)
			return ERR_OK;
		if (n == 0 && left <= INT_MAX)
			return ERR_TIMEOUT;
		if (n < 0 && errno != EINTR)
			return ERR_IO;
	}
}

/* @param wait_ms for room; 0: not at all */
static enum err send_packet(int sock, struct header *header, struct slice text, const int *fds,
			    size_t fd_count, int64_t wait_ms)
{
	union {
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov[2] = { { header, sizeof(*header) }, { (void *)text.ptr, text.len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	int64_t deadline_ms = clock_mono_ms() + wait_ms;

	header->magic = HANDOVER_MAGIC;
	header->fd_count = (uint32_t)fd_count;
	header->text_len = (uint32_t)text.len;
	if (fd_count > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	for (;;) {
		enum err e;

		if (sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return ERR_OK;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return socket_error();
		if (wait_ms == 0)
			return ERR_BUSY;
		e = wait_for(sock, POLLOUT, deadline_ms);
		if (e != ERR_OK)
			return e;
	}
}

static enum err send_message(int sock, enum handover_type type, uint32_t generation,
			     const char *text, int fd, int64_t wait_ms)
{
	struct header header = { .type = type, .generation = generation };
	struct slice s = slice_str(text);

	if (s.len > HANDOVER_TEXT_BYTES_MAX)
		return ERR_LIMIT;
	return send_packet(sock, &header, s, &fd, fd >= 0 ? 1 : 0, wait_ms);
}

enum err handover_send(int sock, enum handover_type type, uint32_t generation, const char *text,
		       int fd)
{
	return send_message(sock, type, generation, text, fd, HANDOVER_SEND_TIMEOUT_MS);
}

enum err handover_send_now(int sock, enum handover_type type, uint32_t generation, const char *text,
			   int fd)
{
	return send_message(sock, type, generation, text, fd, 0);
}

/* The settings as a file without a name; *ret_fd is the caller's. */
static enum err print_to_memfd(const struct settings *s, int *ret_fd)
{
	int fd = memfd_create("hsmdkim-settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;
	enum err e = out != NULL ? settings_print(s, false, out) : ERR_IO;

	if (out != NULL) {
		if (fclose(out) != 0)
			e = ERR_IO;
	} else if (copy >= 0) {
		(void)close(copy);
	}
	if (e == ERR_OK &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		e = ERR_IO;
	if (e == ERR_OK)
		*ret_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return e;
}

enum err handover_send_load(int sock, uint32_t generation, const struct settings *s,
			    const struct files *f)
{
	struct header header = { .type = HANDOVER_LOAD, .generation = generation };
	int fds[FDS_MAX];
	struct buf paths;
	struct slice text;
	enum err e;

	if (files_count(f) > HANDOVER_FILES_MAX)
		return ERR_LIMIT;
	e = print_to_memfd(s, &fds[0]);
	if (e != ERR_OK)
		return e;
	buf_init(&paths, HANDOVER_TEXT_BYTES_MAX);
	for (size_t i = 0; i < files_count(f); i++) {
		fds[i + 1] = files_fd(f, i);
		buf_add_ch(&paths, files_is_live(f, i) ? PATH_LIVE : PATH_SEALED);
		buf_add_str(&paths, files_path(f, i));
		buf_add_ch(&paths, '\0');
	}
	e = buf_finish(&paths, &text);
	if (e == ERR_OK)
		e = send_packet(sock, &header, text, fds, files_count(f) + 1, 0);
	buf_done(&paths);
	(void)close(fds[0]);
	return e;
}

static void close_fds(struct packet *p)
{
	for (size_t i = 0; i < p->fd_count; i++)
		if (p->fds[i] >= 0)
			(void)close(p->fds[i]);
	p->fd_count = 0;
}

/* Take every descriptor that came, also from a packet that is refused afterwards.
 * @return false: there was something else than descriptors, or more than we take */
static bool take_fds(struct msghdr *msg, struct packet *p)
{
	bool ok = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			ok = false;
			continue;
		}
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (p->fd_count < FDS_MAX) {
				p->fds[p->fd_count++] = fd;
			} else {
				(void)close(fd);
				ok = false;
			}
		}
	}
	return ok;
}

static enum err recv_packet(int sock, int64_t deadline_ms, struct packet *p)
{
	union {
		char room[CMSG_SPACE(253 * sizeof(int))]; /* the kernel's SCM_MAX_FD */
		struct cmsghdr align;
	} control;
	struct iovec iov[2] = { { &p->header, sizeof(p->header) }, { p->text, sizeof(p->text) } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;
	bool ok;

	do {
		enum err e = wait_for(sock, POLLIN, deadline_ms);

		if (e != ERR_OK)
			return e;
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n < 0)
		return socket_error();
	ok = take_fds(&msg, p);
	if (n == 0 && p->fd_count == 0)
		return ERR_PEER_LOST;
	if (!ok || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    (size_t)n < sizeof(p->header) || p->header.magic != HANDOVER_MAGIC ||
	    p->header.text_len != (size_t)n - sizeof(p->header) ||
	    p->header.fd_count != p->fd_count)
		return ERR_PROTOCOL;
	return ERR_OK;
}

/* A table that the sender could still write to or cut short would crash us when we read its map. */
static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	int wanted = F_SEAL_SHRINK | F_SEAL_WRITE;

	return seals >= 0 && (seals & wanted) == wanted;
}

/* A live file is read with pread() only: its owner may do with it what he wants. */
static bool is_read_only_file(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && lseek(fd, 0, SEEK_CUR) >= 0;
}

static enum err take_settings(int fd, struct handover_msg *m)
{
	AUTO(files_free) struct files *f = files_new_closed();
	struct slice text;
	enum err e;

	if (f == NULL) {
		(void)close(fd);
		return ERR_NOMEM;
	}
	m->settings = settings_new();
	e = files_put(f, "settings", fd);
	if (e == ERR_OK && m->settings == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK)
		e = files_map(f, "settings", &text, NULL);
	if (e == ERR_OK)
		e = settings_load_text(m->settings, text, "settings", &settings_reader_files, NULL,
				       NULL);
	return e == ERR_CONFIG ? ERR_PROTOCOL : e;
}

/* @param entry letter and path; fd is the files' then */
static enum err take_file(struct files *files, const char *entry, int fd)
{
	bool live = entry[0] == PATH_LIVE;

	if ((!live && entry[0] != PATH_SEALED) || !(live ? is_read_only_file(fd) : is_sealed(fd))) {
		(void)close(fd);
		return ERR_PROTOCOL;
	}
	return live ? files_put_live(files, entry + 1, fd) : files_put(files, entry + 1, fd);
}

/* The caller closes what stays in p->fds. */
static enum err take_load(struct packet *p, struct handover_msg *m)
{
	struct slice paths = slice_of(p->text, p->header.text_len);
	size_t next = 1;
	enum err e;

	if (p->fd_count == 0 || !is_sealed(p->fds[0]) ||
	    (paths.len != 0 && paths.ptr[paths.len - 1] != '\0'))
		return ERR_PROTOCOL;
	m->files = files_new_closed();
	if (m->files == NULL)
		return ERR_NOMEM;
	e = take_settings(p->fds[0], m);
	p->fds[0] = -1;
	while (e == ERR_OK && paths.len > 0) {
		size_t len = strlen(paths.ptr);

		if (next >= p->fd_count)
			return ERR_PROTOCOL;
		e = take_file(m->files, paths.ptr, p->fds[next]);
		p->fds[next++] = -1;
		paths = slice_sub(paths, len + 1, paths.len);
	}
	return e == ERR_OK && next != p->fd_count ? ERR_PROTOCOL : e;
}

static enum err take_text(const struct packet *p, struct handover_msg *m)
{
	struct slice text = slice_of(p->text, p->header.text_len);

	if (slice_find(text, '\0') != text.len)
		return ERR_PROTOCOL;
	m->text = slice_dup(text);
	return m->text != NULL ? ERR_OK : ERR_NOMEM;
}

static void take_fd(struct packet *p, struct handover_msg *m)
{
	m->fd = p->fds[0];
	p->fd_count = 0;
}

static enum err take_packet(struct packet *p, struct handover_msg *m)
{
	enum carries what;

	if (!type_carries(p->header.type, &what))
		return ERR_PROTOCOL;
	m->type = (enum handover_type)p->header.type;
	m->generation = p->header.generation;
	switch (what) {
	case CARRIES_LOAD:
		return take_load(p, m);
	case CARRIES_TEXT:
		return p->fd_count == 0 ? take_text(p, m) : ERR_PROTOCOL;
	case CARRIES_FD:
		if (p->fd_count != 1 || p->header.text_len != 0)
			return ERR_PROTOCOL;
		take_fd(p, m);
		return ERR_OK;
	case CARRIES_TEXT_AND_FD:
		if (p->fd_count != 1)
			return ERR_PROTOCOL;
		take_fd(p, m);
		return take_text(p, m);
	case CARRIES_NOTHING:
		break;
	}
	return p->fd_count == 0 && p->header.text_len == 0 ? ERR_OK : ERR_PROTOCOL;
}

enum err handover_recv(int sock, int timeout_ms, struct handover_msg *ret_msg)
{
	struct handover_msg m = { .fd = -1 };
	struct packet *p = calloc(1, sizeof(*p));
	enum err e;

	if (p == NULL)
		return ERR_NOMEM;
	e = recv_packet(sock, timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms, p);
	if (e == ERR_OK)
		e = take_packet(p, &m);
	close_fds(p);
	free(p);
	if (e != ERR_OK)
		handover_msg_done(&m);
	else
		*ret_msg = m;
	return e;
}
