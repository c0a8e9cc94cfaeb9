/*
 * The far side of signer/client for tests: takes requests from the socket one by one and answers
 * them as the test wants. All waits are bounded.
 */
#ifndef TESTS_UNIT_FAKE_SIGNER_H
#define TESTS_UNIT_FAKE_SIGNER_H

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signer/client.h"
#include "signer/wire.h"

/* Far more than any step takes; a test that needs it all has failed. */
#define FAKE_PATIENCE_MS 10000

struct fake_signer {
	int fd; /* -1: none */
	struct wire_msg request;
	char packet[WIRE_PACKET_BYTES]; /* what request points into */
};

/** A new signer process for the client. */
static inline void fake_start(struct fake_signer *s, struct sigclient *client)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	s->fd = pair[1];
	sigclient_attach(client, pair[0]);
}

static inline void fake_crash(struct fake_signer *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

/** @return false: nothing came in this time, or the client is gone */
static inline bool fake_next_within(struct fake_signer *s, int timeout_ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) != 1)
		return false;
	n = recv(s->fd, s->packet, sizeof(s->packet), MSG_DONTWAIT | MSG_TRUNC);
	return n > 0 && (size_t)n <= sizeof(s->packet) &&
	       wire_decode(slice_of(s->packet, (size_t)n), &s->request) == ERR_OK;
}

/** Wait for the next request. */
static inline void fake_next(struct fake_signer *s)
{
	assert_true(fake_next_within(s, FAKE_PATIENCE_MS));
}

static inline void fake_answer(struct fake_signer *s, const struct wire_msg *answer)
{
	struct buf packet;

	buf_init(&packet, WIRE_PACKET_BYTES);
	assert_int_equal(wire_encode(answer, &packet), ERR_OK);
	(void)send(s->fd, packet.data, packet.len, MSG_NOSIGNAL);
	buf_done(&packet);
}

/** Describe a key; its "public key" is the text that stands in pubkey. */
static inline void fake_answer_key(struct fake_signer *s, uint64_t id, const char *pubkey)
{
	const struct wire_msg answer = { .type = WIRE_OPENED,
					 .id = id,
					 .alg = DKIM_ALG_RSA_SHA256,
					 .bits = 2048,
					 .domain = SLICE_LIT("d.example"),
					 .selector = SLICE_LIT("s1"),
					 .bytes = slice_str(pubkey) };

	fake_answer(s, &answer);
}

static inline void fake_answer_signature(struct fake_signer *s, uint64_t id, struct slice signature)
{
	const struct wire_msg answer = { .type = WIRE_SIGNED, .id = id, .bytes = signature };

	fake_answer(s, &answer);
}

static inline void fake_answer_failure(struct fake_signer *s, uint64_t id, enum err error,
				       const char *text)
{
	const struct wire_msg answer = {
		.type = WIRE_FAILED, .id = id, .error = error, .text = slice_str(text)
	};

	fake_answer(s, &answer);
}

#endif
