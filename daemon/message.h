/*
 * One message in the milter process, from MAIL FROM to the answer at its end: header store,
 * decision, body hash, signatures. It collects and never answers on its own; the session asks
 * message_answer() as soon as the protocol lets it.
 */
#ifndef DAEMON_MESSAGE_H
#define DAEMON_MESSAGE_H

#include "base/arena.h"
#include "base/clock.h"
#include "daemon/mailcount.h"
#include "daemon/mta.h"
#include "daemon/reporter.h"
#include "daemon/signing.h"
#include "daemon/snapshot.h"
#include "dns/source.h"
#include "signer/client.h"

#include <stdatomic.h>
#include <sys/socket.h>

/** What all sessions of the milter process share. */
struct milter_env {
	struct snapshot_slot *slot;
	struct sigclient *signer;
	struct dns_source *dns;	   /**< of key records; NULL: this process does not verify */
	bool dnssec;		   /**< its answers are validated */
	struct reporter *reporter; /**< NULL: no failure reports */
	const struct clock_ops *clock;
	struct mailcount mail;
	atomic_uint in_flight; /**< messages between MAIL FROM and their end */
	atomic_bool draining;  /**< the process is about to stop: messages that begin now are not
				  counted */
};

/** All that a message may hold: MaximumHeaders at its largest, with every LF made CRLF, and the
 * rest.
 */
#define MESSAGE_ARENA_BYTES (2u * 16u * 1024u * 1024u + LIMIT_MESSAGE_ARENA_BYTES)

/** What a message knows of its connection; lives as long as the connection. */
struct message_peer {
	struct slice host;
	const struct sockaddr *addr; /**< NULL: the MTA sent none */
	bool leading_space;	     /**< SMFIP_HDR_LEADSPC was negotiated */
};

struct message;

/**
 * Begin a message. The snapshot in force is pinned with its first header field.
 * @param arena  empty; the message lives there, with all it holds
 * @return ERR_NOMEM
 */
NODISCARD enum err message_begin(struct milter_env *env, struct arena *arena,
				 const struct message_peer *peer, struct message **ret_message);
/** Release what is not in the arena; unfinished requests are given up. *m may be NULL. */
void message_done(struct message **m);

/** @param address as in the envelope; may be NULL */
void message_sender(struct message *m, const char *address);
/** @param address with or without angle brackets */
void message_recipient(struct message *m, struct slice address);
void message_header(struct message *m, struct slice name, struct slice value);
/** Decide, and ask for the keys. */
void message_end_headers(struct message *m, const struct mta *mta);
void message_body(struct message *m, const char *data, size_t len);

/** True when more of the body changes nothing. */
bool message_body_satisfied(const struct message *m);
/** True when the answer is known before the end: nothing to do, or an error. */
bool message_settled(const struct message *m);
/** True when the header has ended, and the message is neither signed nor verified. */
bool message_passes(const struct message *m);

/** The end: make the signatures or the verdicts, put them in. Blocks for up to TokenTimeout or
 * DNSTimeout. */
void message_end(struct message *m, const struct mta *mta);

/** Log what happened, set the SMTP reply. Call it once, as the last. */
enum answer message_answer(struct message *m, const struct mta *mta);

/** Its signatures as they were made. @return NULL: it was not to be signed. Valid until
 * message_done() */
const struct signing *message_signatures(const struct message *m);
/** Its signatures as they were verified. @return false: it was not verified. Valid until
 * message_done() */
bool message_verdicts(const struct message *m, const struct dkim_verdict **ret_verdicts,
		      size_t *ret_count);

#endif
