/* One connection: see session.h. */
#include "daemon/session.h"

#include "base/log.h"

#include <netinet/in.h>
#include <stdlib.h>

struct session {
	struct milter_env *env;
	struct session_protocol protocol;
	struct message_peer peer;
	char *host;
	struct sockaddr_storage addr;
	bool passed; /* PeerList: nothing of this connection is touched */
	struct arena *arena;
	struct message *message;
};

struct session *session_new(struct milter_env *env, const struct session_protocol *protocol)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = env;
	s->protocol = *protocol;
	s->peer.leading_space = protocol->leading_space;
	s->peer.host = slice_str(NULL);
	return s;
}

void session_free(struct session **session)
{
	struct session *s = *session;

	if (s == NULL)
		return;
	message_done(&s->message);
	arena_free(&s->arena);
	free(s->host);
	free(s);
	*session = NULL;
}

bool session_may_answer(const struct session *s, enum step step)
{
	return (s->protocol.no_reply & (1U << step)) == 0;
}

static void take_addr(struct session *s, const struct sockaddr *addr)
{
	size_t len = 0;

	if (addr != NULL && addr->sa_family == AF_INET)
		len = sizeof(struct sockaddr_in);
	else if (addr != NULL && addr->sa_family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	if (len != 0)
		memcpy(&s->addr, addr, len);
	s->peer.addr = len != 0 ? (const struct sockaddr *)&s->addr : NULL;
}

static bool is_peer(const struct session *s)
{
	struct snapshot *snapshot = snapshot_pin(s->env->slot);
	bool listed = snapshot != NULL && snapshot->peer_list != NULL &&
		      hostlist_match(snapshot->peer_list, s->peer.host, s->peer.addr, NULL);

	snapshot_unref(&snapshot);
	return listed;
}

enum answer session_connect(struct session *s, const char *host, const struct sockaddr *addr)
{
	session_abort(s);
	free(s->host);
	s->host = slice_dup(slice_str(host));
	s->peer.host = slice_str(s->host);
	take_addr(s, addr);
	s->passed = is_peer(s);
	return s->passed ? ANSWER_ACCEPT : ANSWER_CONTINUE;
}

/* The message that a step belongs to; a peer that left MAIL out gets one all the same. */
static struct message *the_message(struct session *s)
{
	enum err err;

	if (s->message != NULL || s->passed)
		return s->message;
	if (s->arena == NULL)
		s->arena = arena_new(MESSAGE_ARENA_BYTES);
	if (s->arena == NULL)
		return NULL;
	err = message_begin(s->env, s->arena, &s->peer, &s->message);
	if (err != ERR_OK)
		log_line(LOG_LEVEL_ERROR, "cannot begin a message: %s", err_text(err));
	return s->message;
}

enum answer session_mail(struct session *s, const char *sender)
{
	struct message *m;

	session_abort(s);
	m = the_message(s);
	if (m != NULL)
		message_sender(m, sender);
	return ANSWER_CONTINUE;
}

enum answer session_rcpt(struct session *s, const char *recipient)
{
	struct message *m = the_message(s);

	if (m != NULL)
		message_recipient(m, slice_str(recipient));
	return ANSWER_CONTINUE;
}

enum answer session_header(struct session *s, const char *name, const char *value)
{
	struct message *m = the_message(s);

	if (m != NULL)
		message_header(m, slice_str(name), slice_str(value));
	return ANSWER_CONTINUE;
}

/* The answer of a message ends it. */
static enum answer finish(struct session *s, const struct mta *mta)
{
	enum answer answer = message_answer(s->message, mta);

	session_abort(s);
	return answer;
}

enum answer session_eoh(struct session *s, const struct mta *mta)
{
	struct message *m = the_message(s);

	if (m == NULL)
		return ANSWER_CONTINUE;
	message_end_headers(m, mta);
	if (!message_settled(m) || !session_may_answer(s, STEP_EOH))
		return ANSWER_CONTINUE;
	return finish(s, mta);
}

enum answer session_body(struct session *s, const char *data, size_t len)
{
	struct message *m = the_message(s);

	if (m == NULL)
		return ANSWER_CONTINUE;
	message_body(m, data, len);
	return s->protocol.can_skip && message_body_satisfied(m) ? ANSWER_SKIP : ANSWER_CONTINUE;
}

enum answer session_eom(struct session *s, const struct mta *mta)
{
	struct message *m = the_message(s);

	if (s->passed)
		return ANSWER_ACCEPT;
	if (m == NULL || !s->protocol.known) {
		if (m != NULL)
			log_line(LOG_LEVEL_ERROR, "the MTA used a connection without a "
						  "negotiation: its mail is deferred");
		session_abort(s);
		return ANSWER_TEMPFAIL;
	}
	message_end(m, mta);
	return finish(s, mta);
}

void session_abort(struct session *s)
{
	message_done(&s->message);
	if (s->arena != NULL)
		arena_reset(s->arena);
}
