/*
 * The connections of the control socket: one line in ("tokens"), a report out (report/report.h),
 * then the end. The first line of the answer is "ok" or "error TEXT", the last is "."; an answer
 * without it was cut. Nothing here blocks: a client has a place of a few, and a deadline; when all
 * places are taken the one that has said nothing for the longest time makes room.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "base/buf.h"
#include "base/slice.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTROL_CLIENTS_MAX 16u
#define CONTROL_LINE_BYTES_MAX 1100u
/** Longest report for the metrics process: 64 tokens need some 100 KiB. */
#define CONTROL_METRICS_BYTES_MAX ((size_t)4 * 1024 * 1024)
/** To send the line, and to take the answer. */
#define CONTROL_CLIENT_MS 5000
#define CONTROL_POLL_MAX (CONTROL_CLIENTS_MAX + 1)

enum control_state {
	CONTROL_READING, /**< for its line */
	CONTROL_WAITING, /**< for control_answer() */
	CONTROL_WRITING,
};

struct control_client {
	int fd; /**< -1: the place is free */
	enum control_state state;
	bool stays; /**< not a client of the socket but the metrics process: asks again and again */
	uid_t uid;
	int64_t since_ms; /**< of the state */
	char line[CONTROL_LINE_BYTES_MAX];
	size_t line_len;
	struct buf out;
	size_t sent;
};

/** Fields are private to control.c; zeroed is not ready, see control_init(). */
struct control {
	int listen_fd; /**< owned; -1: there is no socket */
	struct control_client clients[CONTROL_CLIENTS_MAX];
	/** A line came from a client; control_answer() follows, now or later. */
	void (*request)(void *ctx, unsigned client, struct slice line);
	/** The place is free again before its answer. */
	void (*gone)(void *ctx, unsigned client);
	void *ctx;
};

void control_init(struct control *c);
void control_done(struct control *c);

/** A client that did not come by the socket, and stays. @param fd owned from now on @return false:
 * no place, fd is closed */
bool control_add(struct control *c, int fd);

/** @param text whole lines without the last "."; copied */
void control_answer(struct control *c, unsigned client, struct slice text);

/** @param fds CONTROL_POLL_MAX entries */
void control_fill(const struct control *c, struct pollfd *fds);
/** Accept, read, write, give up those whose time is over. @param fds as control_fill() made them */
void control_turn(struct control *c, const struct pollfd *fds);
/** @return milliseconds until control_turn() has something to give up; -1: nothing */
int64_t control_wait_ms(const struct control *c);

#endif
