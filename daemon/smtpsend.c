/* A small SMTP client: see smtpsend.h. RFC 5321, nothing that EHLO would offer. */
#include "daemon/smtpsend.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/recv.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_BYTES_MAX 8192u
#define COMMAND_BYTES_MAX 1024u

struct dialogue {
	int fd;
	int64_t deadline_ms;
	struct buf in; /* what came and is no whole reply so far */
	struct smtpsend_said *said;
};

static enum err wait_writable(const struct dialogue *d)
{
	struct pollfd p = { .fd = d->fd, .events = POLLOUT };
	int64_t left_ms = d->deadline_ms - clock_mono_ms();

	if (left_ms <= 0)
		return ERR_TIMEOUT;
	return poll(&p, 1, (int)left_ms) < 0 && errno != EINTR ? ERR_IO : ERR_OK;
}

static enum err put(const struct dialogue *d, struct slice text)
{
	while (text.len != 0) {
		ssize_t n = send(d->fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		enum err err = ERR_OK;

		if (n > 0)
			text = slice_sub(text, (size_t)n, text.len);
		else if (errno == EAGAIN)
			err = wait_writable(d);
		else if (errno != EINTR)
			err = ERR_IO;
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* The last line of the reply is "CODE TEXT", those before it "CODE-TEXT". */
static bool is_complete(struct slice text, struct slice *ret_last)
{
	struct slice line;

	if (!slice_ends(text, SLICE_LIT("\n")))
		return false;
	text = slice_rtrim(text);
	line = slice_sub(text,
			 slice_rfind(text, '\n') == text.len ? 0 : slice_rfind(text, '\n') + 1,
			 text.len);
	if (line.len > 3 && line.ptr[3] == '-')
		return false;
	*ret_last = line;
	return true;
}

/* @param first digit of the code that is wanted */
static enum err expect(struct dialogue *d, char first)
{
	struct slice last = SLICE_LIT("");
	enum err err = ERR_OK;
	bool end = false;

	buf_reset(&d->in);
	while (err == ERR_OK && !is_complete(buf_slice(&d->in), &last))
		err = end ? ERR_IO : recv_some(d->fd, d->deadline_ms, &d->in, &end);
	if (err == ERR_LIMIT)
		return ERR_PROTOCOL;
	if (err != ERR_OK)
		return err == ERR_PEER_LOST ? ERR_IO : err;
	(void)snprintf(d->said->text, sizeof(d->said->text), "%.*s",
		       SLICE_FMT(slice_sub(last, 0, sizeof(d->said->text) - 1)));
	if (last.len < 3 || !ch_is_digit(last.ptr[0]))
		return ERR_PROTOCOL;
	return last.ptr[0] == first ? ERR_OK : ERR_IO;
}

static enum err command(struct dialogue *d, const char *verb, struct slice argument,
			const char *rest, char first)
{
	AUTO(buf_done) struct buf line;
	struct slice text;
	enum err err;

	buf_init(&line, COMMAND_BYTES_MAX);
	buf_add_fmt(&line, "%s%.*s%s\r\n", verb, SLICE_FMT(argument), rest);
	err = buf_finish(&line, &text);
	if (err == ERR_OK)
		err = put(d, text);
	return err == ERR_OK ? expect(d, first) : err;
}

/* LF becomes CRLF, a dot at the start of a line two (section 4.5.2). */
static enum err put_mail(const struct dialogue *d, struct slice mail)
{
	AUTO(buf_done) struct buf wire;
	struct slice text;
	struct slice line;
	enum err err;

	buf_init(&wire, 2 * mail.len + 8);
	if (slice_ends(mail, SLICE_LIT("\n")))
		mail = slice_sub(mail, 0, mail.len - 1);
	while (slice_next(&mail, '\n', &line)) {
		if (slice_starts(line, SLICE_LIT(".")))
			buf_add_ch(&wire, '.');
		buf_add(&wire, line);
		buf_add_str(&wire, "\r\n");
	}
	buf_add_str(&wire, ".\r\n");
	err = buf_finish(&wire, &text);
	return err == ERR_OK ? put(d, text) : err;
}

static enum err converse(struct dialogue *d, const struct slice *recipients, size_t count,
			 struct slice mail)
{
	struct slice host = SLICE_LIT("localhost");
	enum err refused = ERR_IO;
	size_t accepted = 0;
	enum err err = expect(d, '2');

	if (err == ERR_OK)
		err = command(d, "HELO ", host, "", '2');
	if (err == ERR_OK)
		err = command(d, "MAIL FROM:<", SLICE_LIT(""), ">", '2');
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		refused = command(d, "RCPT TO:<", recipients[i], ">", '2');
		accepted += refused == ERR_OK ? 1 : 0;
		if (refused != ERR_IO)
			err = refused;
	}
	if (err == ERR_OK && accepted == 0)
		err = refused;
	if (err == ERR_OK)
		err = command(d, "DATA", SLICE_LIT(""), "", '3');
	if (err == ERR_OK)
		err = put_mail(d, mail);
	if (err == ERR_OK)
		err = expect(d, '2');
	if (err == ERR_OK)
		(void)put(d, SLICE_LIT("QUIT\r\n"));
	return err;
}

/* @return 0, or an errno */
static int connect_to(struct dialogue *d, const struct addrinfo *addr)
{
	int error = 0;
	socklen_t len = sizeof(error);

	d->fd = socket(addr->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return errno;
	if (connect(d->fd, addr->ai_addr, addr->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (wait_writable(d) != ERR_OK || clock_mono_ms() >= d->deadline_ms)
		return ETIMEDOUT;
	return getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static enum err open_connection(struct dialogue *d, const struct smtp_uri *server)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(server->host, server->port, &hints, &list);
	int error = EADDRNOTAVAIL;

	if (rc != 0) {
		(void)snprintf(d->said->text, sizeof(d->said->text), "%s", gai_strerror(rc));
		return ERR_IO;
	}
	for (const struct addrinfo *a = list; a != NULL && error != 0; a = a->ai_next) {
		error = connect_to(d, a);
		if (error != 0 && d->fd >= 0) {
			(void)close(d->fd);
			d->fd = -1;
		}
	}
	freeaddrinfo(list);
	if (error == 0)
		return ERR_OK;
	(void)snprintf(d->said->text, sizeof(d->said->text), "%s", strerror(error));
	return error == ETIMEDOUT ? ERR_TIMEOUT : ERR_IO;
}

enum err smtpsend(const struct smtp_uri *server, const struct slice *recipients, size_t count,
		  struct slice mail, int timeout_ms, struct smtpsend_said *ret_said)
{
	struct dialogue d = { .fd = -1,
			      .deadline_ms = clock_mono_ms() + timeout_ms,
			      .said = ret_said };
	enum err err;

	ret_said->text[0] = '\0';
	buf_init(&d.in, REPLY_BYTES_MAX);
	err = open_connection(&d, server);
	if (err == ERR_OK)
		err = converse(&d, recipients, count, mail);
	if (d.fd >= 0)
		(void)close(d.fd);
	buf_done(&d.in);
	return err;
}
