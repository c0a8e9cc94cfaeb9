/*
 * One connection of the MTA: its steps in whatever order they come, several messages one after the
 * other. Which steps may be answered was negotiated; what cannot be answered when it is known waits
 * for the end of the message.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "daemon/message.h"

/** The steps of the dialogue that can have an answer. */
enum step {
	STEP_CONNECT,
	STEP_HELO,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_HEADER,
	STEP_EOH,
	STEP_BODY,
	STEP_EOM,
};

/** What was agreed with the MTA. */
struct session_protocol {
	bool known;	    /**< a negotiation took place */
	bool leading_space; /**< header values come, and go, with the space behind the colon */
	bool can_skip;	    /**< SKIP is understood */
	unsigned no_reply;  /**< 1 << step: no answer is sent there */
};

struct session;

/** @return NULL when memory is short */
NODISCARD struct session *session_new(struct milter_env *env,
				      const struct session_protocol *protocol);
void session_free(struct session **session);

/** True when an answer at this step reaches the MTA. */
bool session_may_answer(const struct session *s, enum step step);

/** @param host may be NULL @param addr NULL or of a family without addresses: local mail */
enum answer session_connect(struct session *s, const char *host, const struct sockaddr *addr);
enum answer session_mail(struct session *s, const char *sender);
enum answer session_rcpt(struct session *s, const char *recipient);
enum answer session_header(struct session *s, const char *name, const char *value);
enum answer session_eoh(struct session *s, const struct mta *mta);
enum answer session_body(struct session *s, const char *data, size_t len);
enum answer session_eom(struct session *s, const struct mta *mta);
/** The message is over without an answer; the connection stays. */
void session_abort(struct session *s);

#endif
