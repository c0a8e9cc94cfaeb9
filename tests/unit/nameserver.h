/*
 * A name server on 127.0.0.1 for tests, UDP and TCP, one thread. The first label of a question says
 * how it is answered:
 *
 *   txt...       one TXT record "v=DKIM1; " + "p=abc" in two strings, TTL 60
 *   two...       two records
 *   long...      one record of 700 bytes
 *   tcp...       truncated over UDP, whole over TCP
 *   huge...      one record of 60,000 bytes (TCP)
 *   many...      200 records of 250 bytes (TCP)
 *   chainN...    CNAME to chain(N-1)..., chain0 to txt...
 *   loop...      CNAME to itself by way of another name
 *   nxdomain..., nodata..., servfail..., refused...
 *   garbage...   bytes that are no answer
 *   badtxt...    a TXT record whose string runs over its end
 *   never...     nothing
 */
#ifndef TESTS_UNIT_NAMESERVER_H
#define TESTS_UNIT_NAMESERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define NAMESERVER_ANSWER_MAX 65535u

struct nameserver {
	int udp;
	int tcp;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint questions;
	char spec[64]; /* for Nameservers */
};

struct ns_reply {
	uint8_t bytes[NAMESERVER_ANSWER_MAX];
	size_t len;
	unsigned answers;
	bool send;
};

static inline void ns_put(struct ns_reply *r, const void *data, size_t len)
{
	if (len <= sizeof(r->bytes) - r->len) {
		memcpy(r->bytes + r->len, data, len);
		r->len += len;
	}
}

static inline void ns_put16(struct ns_reply *r, unsigned value)
{
	uint8_t two[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	ns_put(r, two, 2);
}

/* A record of the name that the question asks for (a pointer to offset 12). */
static inline void ns_record(struct ns_reply *r, unsigned type, const void *data, size_t len)
{
	ns_put16(r, 0xc00c);
	ns_put16(r, type);
	ns_put16(r, 1);
	ns_put16(r, 0);
	ns_put16(r, 60);
	ns_put16(r, (unsigned)len);
	ns_put(r, data, len);
	r->answers++;
}

static inline void ns_txt(struct ns_reply *r, size_t total)
{
	static uint8_t data[61000];
	size_t len = 0;

	while (total != 0) {
		size_t part = total < 255 ? total : 255;

		data[len++] = (uint8_t)part;
		memset(data + len, 'x', part);
		len += part;
		total -= part;
	}
	ns_record(r, 16, data, len);
}

/* CNAME to the same name with another first label. */
static inline void ns_cname(struct ns_reply *r, const char *label, const uint8_t *rest,
			    size_t rest_len)
{
	uint8_t data[256];
	size_t n = strlen(label);

	data[0] = (uint8_t)n;
	memcpy(data + 1, label, n);
	memcpy(data + 1 + n, rest, rest_len);
	ns_record(r, 5, data, 1 + n + rest_len);
}

static inline bool ns_is(const char *label, const char *start)
{
	return strncasecmp(label, start, strlen(start)) == 0;
}

/* @param rest the name behind its first label, in wire form @return the RCODE */
static inline unsigned ns_answer(struct ns_reply *r, const char *label, const uint8_t *rest,
				 size_t rest_len, bool tcp)
{
	char next[32];

	if (ns_is(label, "never"))
		r->send = false;
	else if (ns_is(label, "servfail"))
		return 2;
	else if (ns_is(label, "nxdomain"))
		return 3;
	else if (ns_is(label, "refused"))
		return 5;
	else if (!tcp && (ns_is(label, "tcp") || ns_is(label, "huge") || ns_is(label, "many")))
		r->bytes[2] |= 2; /* TC */
	else if (ns_is(label, "huge"))
		ns_txt(r, 60000);
	else if (ns_is(label, "many"))
		for (int i = 0; i < 200; i++)
			ns_txt(r, 240 + (size_t)i % 10);
	else if (ns_is(label, "long"))
		ns_txt(r, 700);
	else if (ns_is(label, "badtxt"))
		ns_record(r, 16,
			  "\x05"
			  "abc",
			  4);
	else if (ns_is(label, "loopa"))
		ns_cname(r, "loopb", rest, rest_len);
	else if (ns_is(label, "loop"))
		ns_cname(r, "loopa", rest, rest_len);
	else if (ns_is(label, "chain0"))
		ns_cname(r, "txt", rest, rest_len);
	else if (ns_is(label, "chain")) {
		(void)snprintf(next, sizeof(next), "chain%d", atoi(label + 5) - 1);
		ns_cname(r, next, rest, rest_len);
	} else if (ns_is(label, "two")) {
		ns_txt(r, 10);
		ns_txt(r, 20);
	} else if (ns_is(label, "txt") || ns_is(label, "tcp"))
		ns_record(r, 16, "\x09v=DKIM1; \x05p=abc", 16);
	return 0;
}

/* The reply to one message. @return false: none */
static inline bool ns_reply_to(struct nameserver *s, const uint8_t *ask, size_t len, bool tcp,
			       struct ns_reply *r)
{
	char label[64];
	size_t label_len;
	size_t end = 12;
	unsigned rcode;

	if (len < 17)
		return false;
	while (end < len && ask[end] != 0)
		end += 1u + ask[end];
	end += 5;
	label_len = ask[12];
	if (end > len || label_len > 63)
		return false;
	memcpy(label, ask + 13, label_len);
	label[label_len] = '\0';
	atomic_fetch_add(&s->questions, 1);
	r->len = 0;
	r->answers = 0;
	r->send = true;
	ns_put(r, ask, 2);
	ns_put16(r, 0x8180);
	ns_put16(r, 1);
	ns_put(r, "\0\0\0\0\0\0", 6);
	ns_put(r, ask + 12, end - 12);
	rcode = ns_answer(r, label, ask + 13 + label_len, end - 4 - 13 - label_len, tcp);
	r->bytes[3] = (uint8_t)(r->bytes[3] | rcode);
	r->bytes[7] = (uint8_t)r->answers;
	if (ns_is(label, "garbage"))
		memset(r->bytes + 2, 0xff, r->len - 2);
	return r->send;
}

static inline void ns_udp(struct nameserver *s, struct ns_reply *r)
{
	uint8_t ask[2048];
	struct sockaddr_in peer;
	socklen_t peer_len = sizeof(peer);
	ssize_t n = recvfrom(s->udp, ask, sizeof(ask), 0, (struct sockaddr *)&peer, &peer_len);

	if (n > 0 && ns_reply_to(s, ask, (size_t)n, false, r))
		(void)sendto(s->udp, r->bytes, r->len, 0, (struct sockaddr *)&peer, peer_len);
}

static inline bool ns_read(int fd, uint8_t *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(fd, data + at, len - at, 0);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* One question a connection, with a second to send it in. */
static inline void ns_tcp(struct nameserver *s, struct ns_reply *r)
{
	struct timeval second = { .tv_sec = 1 };
	uint8_t head[2];
	uint8_t ask[2048];
	int fd = accept(s->tcp, NULL, NULL);
	size_t len;

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	if (ns_read(fd, head, 2)) {
		len = (size_t)head[0] << 8 | head[1];
		if (len <= sizeof(ask) && ns_read(fd, ask, len) &&
		    ns_reply_to(s, ask, len, true, r)) {
			head[0] = (uint8_t)(r->len >> 8);
			head[1] = (uint8_t)r->len;
			(void)send(fd, head, 2, MSG_NOSIGNAL);
			for (size_t at = 0; at < r->len;) {
				ssize_t n = send(fd, r->bytes + at, r->len - at, MSG_NOSIGNAL);

				if (n <= 0)
					break;
				at += (size_t)n;
			}
		}
	}
	(void)close(fd);
}

static inline void *ns_main(void *arg)
{
	struct nameserver *s = arg;
	struct ns_reply *r = malloc(sizeof(*r));

	while (r != NULL && !atomic_load(&s->stop)) {
		struct pollfd fds[2] = { { .fd = s->udp, .events = POLLIN },
					 { .fd = s->tcp, .events = POLLIN } };

		if (poll(fds, 2, 50) <= 0)
			continue;
		if (fds[0].revents != 0)
			ns_udp(s, r);
		if (fds[1].revents != 0)
			ns_tcp(s, r);
	}
	free(r);
	return NULL;
}

/* UDP and TCP on one free port. @return false: no socket */
static inline bool nameserver_start(struct nameserver *s)
{
	for (int i = 0; i < 20; i++) {
		struct sockaddr_in addr = { .sin_family = AF_INET };
		socklen_t len = sizeof(addr);

		addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(s->udp, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		    getsockname(s->udp, (struct sockaddr *)&addr, &len) == 0 &&
		    bind(s->tcp, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		    listen(s->tcp, 64) == 0) {
			(void)snprintf(s->spec, sizeof(s->spec), "127.0.0.1@%u",
				       ntohs(addr.sin_port));
			atomic_store(&s->stop, false);
			return pthread_create(&s->thread, NULL, ns_main, s) == 0;
		}
		(void)close(s->udp);
		(void)close(s->tcp);
	}
	return false;
}

static inline void nameserver_stop(struct nameserver *s)
{
	atomic_store(&s->stop, true);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->udp);
	(void)close(s->tcp);
}

#endif
