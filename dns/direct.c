/* A question to one server: UDP with EDNS, then TCP. Messages are read with glibc's bounded ns_*
 * functions. */
#define _GNU_SOURCE
#include "dns/direct.h"

#include "base/clock.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <poll.h>
#include <resolv.h>
#include <stdlib.h>
#include <unistd.h>

/* RFC 9715: what passes everywhere without fragments. */
#define EDNS_BYTES 1232U
#define MESSAGE_BYTES_MAX 65535U
#define UDP_TRIES 3

struct message {
	unsigned char bytes[512];
	size_t len;
	unsigned id;
};

static void put16(struct message *m, unsigned value)
{
	m->bytes[m->len++] = (unsigned char)(value >> 8 & 0xff);
	m->bytes[m->len++] = (unsigned char)(value & 0xff);
}

/* Header, one question, one OPT record. @return false: the name is no name */
static bool build_question(const char *name, enum dns_type type, struct message *m)
{
	unsigned char random[2];
	int len;

	m->len = 0;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	m->id = (unsigned)random[0] << 8 | random[1];
	put16(m, m->id);
	put16(m, 0); /* no recursion */
	put16(m, 1);
	put16(m, 0);
	put16(m, 0);
	put16(m, 1);
	len = ns_name_compress(name, m->bytes + m->len, 300, NULL, NULL);
	if (len <= 0)
		return false;
	m->len += (size_t)len;
	put16(m, (unsigned)type);
	put16(m, ns_c_in);
	m->bytes[m->len++] = 0; /* OPT, RFC 6891 */
	put16(m, ns_t_opt);
	put16(m, EDNS_BYTES);
	put16(m, 0);
	put16(m, 0);
	put16(m, 0);
	return true;
}

static int left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();

	return left > 0 ? (int)left : 0;
}

static bool wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, left_ms(deadline_ms));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* The same id, the same question, and it is an answer. */
static bool is_answer_to(const struct message *m, const char *name, enum dns_type type,
			 const unsigned char *bytes, size_t len, ns_msg *msg)
{
	ns_rr question;

	return ns_initparse(bytes, (int)len, msg) == 0 && ns_msg_id(*msg) == m->id &&
	       ns_msg_getflag(*msg, ns_f_qr) == 1 && ns_msg_count(*msg, ns_s_qd) == 1 &&
	       ns_parserr(msg, ns_s_qd, 0, &question) == 0 &&
	       (int)ns_rr_type(question) == (int)type &&
	       slice_ieq(slice_str(ns_rr_name(question)), slice_str(name));
}

/* @return bytes of the answer, 0: none came, -1: the host says that nobody is there */
static ssize_t ask_udp(int fd, const struct message *m, const char *name, enum dns_type type,
		       int64_t deadline_ms, unsigned char *bytes, ns_msg *msg)
{
	if (send(fd, m->bytes, m->len, MSG_NOSIGNAL) < 0)
		return -1;
	while (wait_for(fd, POLLIN, deadline_ms)) {
		ssize_t n = recv(fd, bytes, MESSAGE_BYTES_MAX, 0);

		if (n < 0)
			return -1;
		if (is_answer_to(m, name, type, bytes, (size_t)n, msg))
			return n;
	}
	return 0;
}

static bool transfer(int fd, unsigned char *bytes, size_t len, bool sending, int64_t deadline_ms)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n;

		if (!wait_for(fd, sending ? POLLOUT : POLLIN, deadline_ms))
			return false;
		n = sending ? send(fd, bytes + at, len - at, MSG_NOSIGNAL)
			    : recv(fd, bytes + at, len - at, 0);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* @return bytes of the answer, 0: none */
static size_t ask_tcp(const struct sockaddr *server, socklen_t server_len, const struct message *m,
		      int64_t deadline_ms, unsigned char *bytes)
{
	int fd = socket(server->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned char framed[2 + sizeof(m->bytes)];
	size_t len = 0;

	if (fd < 0)
		return 0;
	framed[0] = (unsigned char)(m->len >> 8);
	framed[1] = (unsigned char)(m->len & 0xff);
	memcpy(framed + 2, m->bytes, m->len);
	if ((connect(fd, server, server_len) == 0 || errno == EINPROGRESS) &&
	    transfer(fd, framed, m->len + 2, true, deadline_ms) &&
	    transfer(fd, framed, 2, false, deadline_ms)) {
		len = (size_t)framed[0] << 8 | framed[1];
		if (!transfer(fd, bytes, len, false, deadline_ms))
			len = 0;
	}
	(void)close(fd);
	return len;
}

static void take_records(ns_msg *msg, const char *name, enum dns_type type,
			 struct dns_answer *answer)
{
	for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
		ns_rr rr;

		if (ns_parserr(msg, ns_s_an, i, &rr) != 0) {
			answer->status = DNS_BROKEN;
			return;
		}
		if ((int)ns_rr_type(rr) == (int)type &&
		    slice_ieq(slice_str(ns_rr_name(rr)), slice_str(name)) &&
		    dns_answer_add(answer, ns_rr_rdata(rr), ns_rr_rdlen(rr)) != ERR_OK)
			break;
	}
	answer->status = answer->count != 0 ? DNS_FOUND : DNS_NODATA;
}

static void take_answer(ns_msg *msg, const char *name, enum dns_type type,
			struct dns_answer *answer)
{
	switch (ns_msg_getflag(*msg, ns_f_rcode)) {
	case ns_r_noerror:
		if (ns_msg_getflag(*msg, ns_f_aa) == 0)
			answer->status = DNS_REFUSED;
		else
			take_records(msg, name, type, answer);
		break;
	case ns_r_nxdomain:
		answer->status = DNS_NXDOMAIN;
		break;
	case ns_r_servfail:
		answer->status = DNS_SERVFAIL;
		break;
	case ns_r_refused:
	case ns_r_notauth:
		answer->status = DNS_REFUSED;
		break;
	default:
		answer->status = DNS_BROKEN;
		break;
	}
}

static void ask(int fd, const struct sockaddr *server, socklen_t server_len, const char *name,
		enum dns_type type, int timeout_ms, unsigned char *bytes, struct dns_answer *answer)
{
	int64_t end = clock_mono_ms() + timeout_ms;
	struct message m = { .len = 0 };
	ssize_t n = 0;
	ns_msg msg;

	answer->status = DNS_BROKEN;
	if (!build_question(name, type, &m))
		return;
	answer->status = DNS_TIMEOUT;
	for (int i = 1; i <= UDP_TRIES && n == 0; i++)
		n = ask_udp(fd, &m, name, type,
			    end - (int64_t)timeout_ms * (UDP_TRIES - i) / UDP_TRIES, bytes, &msg);
	if (n <= 0)
		return;
	if (ns_msg_getflag(msg, ns_f_tc) == 1) {
		size_t len = ask_tcp(server, server_len, &m, end, bytes);

		if (len == 0 || !is_answer_to(&m, name, type, bytes, len, &msg))
			return;
	}
	take_answer(&msg, name, type, answer);
}

void dns_direct_ask(const struct sockaddr *server, socklen_t server_len, const char *name,
		    enum dns_type type, int timeout_ms, struct dns_answer *answer)
{
	unsigned char *bytes = malloc(MESSAGE_BYTES_MAX);
	int fd = socket(server->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	answer->status = DNS_TIMEOUT;
	if (fd >= 0 && bytes != NULL && connect(fd, server, server_len) == 0)
		ask(fd, server, server_len, name, type, timeout_ms, bytes, answer);
	if (fd >= 0)
		(void)close(fd);
	free(bytes);
}
