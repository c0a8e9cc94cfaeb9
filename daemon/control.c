/* Connections of the control socket: see control.h. */
#define _GNU_SOURCE /* accept4, struct ucred */
#include "daemon/control.h"

#include "base/clock.h"
#include "config/question.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The children's answers, and what the supervisor says itself. */
#define ANSWER_BYTES_MAX (2 * QUESTION_ANSWER_BYTES_MAX + 65536)

void control_init(struct control *c)
{
	*c = (struct control){ .listen_fd = -1 };
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
}

static void enter(struct control_client *client, enum control_state state)
{
	client->state = state;
	client->since_ms = clock_mono_ms();
}

static void drop(struct control *c, unsigned i)
{
	struct control_client *client = &c->clients[i];

	if (client->fd < 0)
		return;
	if (client->state == CONTROL_WAITING)
		c->gone(c->ctx, i);
	(void)close(client->fd);
	buf_done(&client->out);
	client->fd = -1;
}

void control_done(struct control *c)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		drop(c, i);
	if (c->listen_fd >= 0)
		(void)close(c->listen_fd);
	c->listen_fd = -1;
}

/* ---- places ---- */

/* A free one, or the one of a client that is not waiting for us, the longest first. @return
 * CONTROL_CLIENTS_MAX: there is none */
static unsigned find_place(const struct control *c)
{
	unsigned place = CONTROL_CLIENTS_MAX;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &c->clients[i];

		if (client->fd < 0)
			return i;
		if (client->state == CONTROL_WAITING || client->stays)
			continue;
		if (place == CONTROL_CLIENTS_MAX || client->since_ms < c->clients[place].since_ms)
			place = i;
	}
	return place;
}

static void seat(struct control *c, unsigned place, int fd, bool stays, uid_t uid)
{
	struct control_client *client = &c->clients[place];

	drop(c, place);
	client->fd = fd;
	client->stays = stays;
	client->uid = uid;
	client->line_len = client->sent = 0;
	buf_init(&client->out, ANSWER_BYTES_MAX);
	enter(client, CONTROL_READING);
}

bool control_add(struct control *c, int fd)
{
	unsigned place = find_place(c);

	if (place == CONTROL_CLIENTS_MAX || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		(void)close(fd);
		return false;
	}
	seat(c, place, fd, true, geteuid());
	return true;
}

static void accept_one(struct control *c)
{
	unsigned place = find_place(c);
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
	int fd;

	if (place == CONTROL_CLIENTS_MAX)
		return;
	fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
	seat(c, place, fd, false, who.uid);
}

/* ---- one client ---- */

static void write_more(struct control *c, unsigned i)
{
	struct control_client *client = &c->clients[i];
	struct slice rest = slice_sub(buf_slice(&client->out), client->sent, client->out.len);
	ssize_t n = send(client->fd, rest.ptr, rest.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		client->sent += (size_t)n;
	if (n >= 0 && client->sent < client->out.len)
		return;
	if (n < 0 || !client->stays) {
		drop(c, i);
		return;
	}
	buf_done(&client->out);
	client->line_len = client->sent = 0;
	enter(client, CONTROL_READING);
}

void control_answer(struct control *c, unsigned i, struct slice text)
{
	struct control_client *client = &c->clients[i];
	struct slice all;

	buf_reset(&client->out);
	buf_add(&client->out, text);
	buf_add_str(&client->out, ".\n");
	if (buf_finish(&client->out, &all) != ERR_OK) {
		client->state = CONTROL_READING; /* nobody needs to hear that it is gone */
		drop(c, i);
		return;
	}
	enter(client, CONTROL_WRITING);
	write_more(c, i);
}

static void read_more(struct control *c, unsigned i)
{
	struct control_client *client = &c->clients[i];
	size_t room = sizeof(client->line) - client->line_len;
	ssize_t n = recv(client->fd, client->line + client->line_len, room, MSG_DONTWAIT);
	struct slice line;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c, i);
		return;
	}
	client->line_len += (size_t)n;
	line = slice_of(client->line, client->line_len);
	line.len = slice_find(line, '\n');
	if (line.len == client->line_len) {
		if (client->line_len == sizeof(client->line))
			drop(c, i); /* longer than any request */
		return;
	}
	enter(client, CONTROL_WAITING);
	c->request(c->ctx, i, slice_trim(line));
}

/* ---- all of them ---- */

void control_fill(const struct control *c, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = find_place(c) < CONTROL_CLIENTS_MAX ? c->listen_fd : -1,
				  .events = POLLIN };
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &c->clients[i];

		fds[1 + i] = (struct pollfd){ .fd = client->fd };
		if (client->state == CONTROL_READING)
			fds[1 + i].events = POLLIN;
		else if (client->state == CONTROL_WRITING)
			fds[1 + i].events = POLLOUT;
	}
}

static bool is_late(const struct control_client *client, int64_t now_ms)
{
	return client->fd >= 0 && client->state != CONTROL_WAITING &&
	       !(client->stays && client->state == CONTROL_READING) &&
	       now_ms - client->since_ms >= CONTROL_CLIENT_MS;
}

void control_turn(struct control *c, const struct pollfd *fds)
{
	int64_t now_ms = clock_mono_ms();

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &c->clients[i];

		if (client->fd >= 0 && client->fd == fds[1 + i].fd && fds[1 + i].revents != 0) {
			if (client->state == CONTROL_READING)
				read_more(c, i);
			else if (client->state == CONTROL_WRITING)
				write_more(c, i);
			else
				drop(c, i); /* it hung up and does not wait any more */
		}
		if (is_late(client, now_ms))
			drop(c, i);
	}
	if (c->listen_fd >= 0 && fds[0].revents != 0)
		accept_one(c);
}

int64_t control_wait_ms(const struct control *c)
{
	int64_t now_ms = clock_mono_ms();
	int64_t wait_ms = -1;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &c->clients[i];
		int64_t left = client->since_ms + CONTROL_CLIENT_MS - now_ms;

		if (client->fd < 0 || client->state == CONTROL_WAITING ||
		    (client->stays && client->state == CONTROL_READING))
			continue;
		left = left > 0 ? left : 0;
		wait_ms = wait_ms < 0 || left < wait_ms ? left : wait_ms;
	}
	return wait_ms;
}
