/* The MTA's side of one milter connection. */
#include "bench/dialogue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmilter/mfdef.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	CHUNK_BYTES = 65535,
	PACKET_MAX = 1 << 20,
	OUT_FLUSH_BYTES = 1 << 20,
	ANSWER_TIMEOUT_S = 60
};

struct dialogue {
	int fd;
	uint32_t steps; /**< SMFIP_ flags the filter chose */
	struct buf out;
	char packet[PACKET_MAX];
};

/* ---- bytes ---- */

static void put_packet(struct buf *out, char command, struct slice a, struct slice b)
{
	uint32_t len = htonl((uint32_t)(1 + a.len + b.len));

	buf_add(out, slice_of(&len, 4));
	buf_add_ch(out, command);
	buf_add(out, a);
	buf_add(out, b);
}

static struct slice with_nul(const char *s)
{
	return slice_of(s, strlen(s) + 1);
}

static enum err flush(struct dialogue *d, struct err_detail *detail)
{
	struct slice rest;
	enum err e = buf_finish(&d->out, &rest);

	while (e == ERR_OK && rest.len > 0) {
		ssize_t n = send(d->fd, rest.ptr, rest.len, MSG_NOSIGNAL);

		if (n < 0) {
			err_detail_set(detail, "send: %s", strerror(errno));
			return ERR_IO;
		}
		rest = slice_sub(rest, (size_t)n, rest.len);
	}
	buf_reset(&d->out);
	return e;
}

static enum err read_all(int fd, char *to, size_t len, struct err_detail *detail)
{
	while (len > 0) {
		ssize_t n = recv(fd, to, len, 0);

		if (n <= 0) {
			err_detail_set(detail, "the filter %s",
				       n == 0 ? "closed the connection" : strerror(errno));
			return ERR_IO;
		}
		to += n;
		len -= (size_t)n;
	}
	return ERR_OK;
}

/* @param ret_answer command byte and data, in d->packet */
static enum err read_packet(struct dialogue *d, struct slice *ret_answer, struct err_detail *detail)
{
	uint32_t len;
	enum err e = read_all(d->fd, (char *)&len, sizeof(len), detail);

	if (e != ERR_OK)
		return e;
	len = ntohl(len);
	if (len < 1 || len > sizeof(d->packet)) {
		err_detail_set(detail, "packet of %u bytes", len);
		return ERR_PROTOCOL;
	}
	*ret_answer = slice_of(d->packet, len);
	return read_all(d->fd, d->packet, len, detail);
}

/* Wait for the answer to one command, unless the filter said that it gives none. */
static enum err await(struct dialogue *d, uint32_t no_reply_flag, char *ret_verdict,
		      struct err_detail *detail)
{
	struct slice answer;
	enum err e;

	*ret_verdict = SMFIR_CONTINUE;
	if ((d->steps & no_reply_flag) != 0)
		return ERR_OK;
	e = flush(d, detail);
	if (e == ERR_OK)
		e = read_packet(d, &answer, detail);
	if (e == ERR_OK)
		*ret_verdict = answer.ptr[0];
	return e;
}

/* ---- connection ---- */

static int connect_unix(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path) || fd < 0)
		return fd;
	memcpy(addr.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int connect_inet(const char *port_at_host)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct slice spec = slice_str(port_at_host);
	size_t at = slice_find(spec, '@');
	char port[16];
	const char *host = at < spec.len ? port_at_host + at + 1 : "127.0.0.1";
	struct addrinfo *found = NULL;
	const int on = 1;
	int fd;

	if (at >= sizeof(port))
		return -1;
	memcpy(port, port_at_host, at);
	port[at] = '\0';
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static enum err negotiate(struct dialogue *d, struct err_detail *detail)
{
	const uint32_t offer[3] = { htonl(6), htonl(0x1ff), htonl(0x1fffff) };
	uint32_t chosen[3];
	struct slice answer;
	enum err e;

	put_packet(&d->out, SMFIC_OPTNEG, slice_of(offer, sizeof(offer)), slice_of("", 0));
	e = flush(d, detail);
	if (e == ERR_OK)
		e = read_packet(d, &answer, detail);
	if (e != ERR_OK)
		return e;
	if (answer.ptr[0] != SMFIC_OPTNEG || answer.len < 1 + sizeof(chosen)) {
		err_detail_set(detail, "no answer to the negotiation");
		return ERR_PROTOCOL;
	}
	memcpy(chosen, answer.ptr + 1, sizeof(chosen));
	d->steps = ntohl(chosen[2]);
	return ERR_OK;
}

static void put_macros(struct buf *out, char command, const char *const *pairs, size_t count)
{
	struct buf body;
	struct slice all = SLICE_LIT("");

	buf_init(&body, 4096);
	buf_add_ch(&body, command);
	for (size_t i = 0; i < count; i++)
		buf_add(&body, with_nul(pairs[i]));
	if (buf_finish(&body, &all) == ERR_OK)
		put_packet(out, SMFIC_MACRO, all, slice_of("", 0));
	buf_done(&body);
}

/* connect: name NUL '4' port address NUL */
static void put_client(struct buf *out, const char *client)
{
	bool local = strncmp(client, "127.", 4) == 0;
	char peer[64];
	int n = snprintf(peer, sizeof(peer), "%s%c4%c%c%s", local ? "localhost" : "mx.example.org",
			 '\0', '\0', '\031', client);

	put_packet(out, SMFIC_CONNECT, slice_of(peer, (size_t)n + 1), slice_of("", 0));
}

static enum err greet(struct dialogue *d, const char *client, struct err_detail *detail)
{
	static const char *const macros[] = { "j", "mx.example.net", "{daemon_name}", "smtpd" };
	enum err e = ERR_OK;
	char verdict;

	put_macros(&d->out, SMFIC_CONNECT, macros, ARRAY_LEN(macros));
	if ((d->steps & SMFIP_NOCONNECT) == 0) {
		put_client(&d->out, client);
		e = await(d, SMFIP_NR_CONN, &verdict, detail);
	}
	if (e == ERR_OK && (d->steps & SMFIP_NOHELO) == 0) {
		put_packet(&d->out, SMFIC_HELO, with_nul("localhost"), slice_of("", 0));
		e = await(d, SMFIP_NR_HELO, &verdict, detail);
	}
	return e;
}

enum err dialogue_open(const char *socket_spec, const char *client, struct dialogue **ret_dialogue,
		       struct err_detail *detail)
{
	const struct timeval patience = { .tv_sec = ANSWER_TIMEOUT_S };
	struct dialogue *d = malloc(sizeof(*d));
	enum err e;

	if (d == NULL)
		return ERR_NOMEM;
	buf_init(&d->out, (size_t)64 << 20);
	if (strncmp(socket_spec, "unix:", 5) == 0 || strncmp(socket_spec, "local:", 6) == 0)
		d->fd = connect_unix(strchr(socket_spec, ':') + 1);
	else
		d->fd = connect_inet(strncmp(socket_spec, "inet:", 5) == 0 ? socket_spec + 5
									   : socket_spec);
	if (d->fd < 0) {
		err_detail_set(detail, "%s: %s", socket_spec, strerror(errno));
		dialogue_close(&d);
		return ERR_IO;
	}
	(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	e = negotiate(d, detail);
	if (e == ERR_OK)
		e = greet(d, client, detail);
	if (e != ERR_OK)
		dialogue_close(&d);
	else
		*ret_dialogue = d;
	return e;
}

void dialogue_close(struct dialogue **dialogue)
{
	if (dialogue == NULL || *dialogue == NULL)
		return;
	if ((*dialogue)->fd >= 0) {
		put_packet(&(*dialogue)->out, SMFIC_QUIT, slice_of("", 0), slice_of("", 0));
		(void)flush(*dialogue, NULL);
		(void)close((*dialogue)->fd);
	}
	buf_done(&(*dialogue)->out);
	free(*dialogue);
	*dialogue = NULL;
}

/* ---- one message ---- */

/* Send a command with its no-step and no-reply flags; false when the filter has decided already. */
static bool step(struct dialogue *d, char command, uint32_t no_step, uint32_t no_reply,
		 struct slice a, struct slice b, struct dialogue_result *result, enum err *error,
		 struct err_detail *detail)
{
	if ((d->steps & no_step) != 0)
		return true;
	put_packet(&d->out, command, a, b);
	*error = await(d, no_reply, &result->verdict, detail);
	return *error == ERR_OK &&
	       (result->verdict == SMFIR_CONTINUE || result->verdict == SMFIR_SKIP);
}

static bool send_envelope(struct dialogue *d, const struct dialogue_message *m,
			  struct dialogue_result *r, enum err *e, struct err_detail *detail)
{
	const char *const macros[] = { "i", m->queue_id };

	put_macros(&d->out, SMFIC_MAIL, macros, ARRAY_LEN(macros));
	return step(d, SMFIC_MAIL, SMFIP_NOMAIL, SMFIP_NR_MAIL, with_nul(m->mail_from),
		    slice_of("", 0), r, e, detail) &&
	       step(d, SMFIC_RCPT, SMFIP_NORCPT, SMFIP_NR_RCPT, with_nul(m->rcpt_to),
		    slice_of("", 0), r, e, detail) &&
	       step(d, SMFIC_DATA, SMFIP_NODATA, SMFIP_NR_DATA, slice_of("", 0), slice_of("", 0), r,
		    e, detail);
}

static bool send_headers(struct dialogue *d, const struct dialogue_message *m,
			 struct dialogue_result *r, enum err *e, struct err_detail *detail)
{
	char value[2048];

	for (size_t i = 0; i < m->header_count; i++) {
		bool space = (d->steps & SMFIP_HDR_LEADSPC) != 0;
		int n = snprintf(value, sizeof(value), "%s%s", space ? " " : "",
				 m->headers[i].value);

		if (n < 0 || (size_t)n >= sizeof(value)) {
			*e = ERR_LIMIT;
			return false;
		}
		if (!step(d, SMFIC_HEADER, SMFIP_NOHDRS, SMFIP_NR_HDR, with_nul(m->headers[i].name),
			  with_nul(value), r, e, detail))
			return false;
	}
	return step(d, SMFIC_EOH, SMFIP_NOEOH, SMFIP_NR_EOH, slice_of("", 0), slice_of("", 0), r, e,
		    detail);
}

static bool send_body_once(struct dialogue *d, const struct dialogue_message *m,
			   struct dialogue_result *r, enum err *e, struct err_detail *detail)
{
	for (size_t at = 0; at < m->body.len && r->verdict != SMFIR_SKIP; at += CHUNK_BYTES)
		if (!step(d, SMFIC_BODY, SMFIP_NOBODY, SMFIP_NR_BODY,
			  slice_sub(m->body, at, at + CHUNK_BYTES), slice_of("", 0), r, e, detail))
			return false;
	return true;
}

static bool send_body(struct dialogue *d, const struct dialogue_message *m,
		      struct dialogue_result *r, enum err *e, struct err_detail *detail)
{
	for (unsigned i = 0; i < m->body_repeat; i++) {
		if (!send_body_once(d, m, r, e, detail))
			return false;
		if (d->out.len > OUT_FLUSH_BYTES && (*e = flush(d, detail)) != ERR_OK)
			return false;
	}
	return true;
}

/* insheader: index, name NUL value NUL */
static void note_header(struct slice data, struct dialogue_result *r)
{
	struct slice name;
	struct slice value;

	r->inserted++;
	if (r->headers == NULL || data.len < 4)
		return;
	data = slice_sub(data, 4, data.len);
	name = slice_sub(data, 0, slice_find(data, '\0'));
	value = slice_sub(data, name.len + 1, data.len);
	value = slice_sub(value, 0, slice_find(value, '\0'));
	buf_add(r->headers, name);
	buf_add_ch(r->headers, ':');
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\n')
			buf_add_ch(r->headers, '\r');
		buf_add_ch(r->headers, value.ptr[i]);
	}
	buf_add_str(r->headers, "\r\n");
}

enum err dialogue_begin(struct dialogue *d, const struct dialogue_message *m,
			struct dialogue_result *result, struct err_detail *detail)
{
	enum err e = ERR_OK;

	result->inserted = 0;
	result->verdict = SMFIR_CONTINUE;
	if (!send_envelope(d, m, result, &e, detail) || !send_headers(d, m, result, &e, detail) ||
	    !send_body(d, m, result, &e, detail)) {
		if (e == ERR_OK) { /* decided early: give the message up, keep the connection */
			put_packet(&d->out, SMFIC_ABORT, slice_of("", 0), slice_of("", 0));
			err_detail_set(detail, "decided before the end: %c", result->verdict);
		}
		return e == ERR_OK ? ERR_PROTOCOL : e;
	}
	return flush(d, detail);
}

/* Modifications come first, then one verdict. */
enum err dialogue_end(struct dialogue *d, struct dialogue_result *r, struct err_detail *detail)
{
	enum err e;

	put_packet(&d->out, SMFIC_BODYEOB, slice_of("", 0), slice_of("", 0));
	e = flush(d, detail);
	while (e == ERR_OK) {
		struct slice answer;

		e = read_packet(d, &answer, detail);
		if (e != ERR_OK)
			break;
		r->verdict = answer.ptr[0];
		if (r->verdict == SMFIR_INSHEADER)
			note_header(slice_sub(answer, 1, answer.len), r);
		if (strchr("actrdy", r->verdict) != NULL)
			return ERR_OK;
	}
	return e;
}

enum err dialogue_send(struct dialogue *d, const struct dialogue_message *m,
		       struct dialogue_result *result, struct err_detail *detail)
{
	enum err e = dialogue_begin(d, m, result, detail);

	return e == ERR_OK ? dialogue_end(d, result, detail) : e;
}
