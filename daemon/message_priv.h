/* For daemon/message*.c only: message.c collects, decides and answers; message_sign.c and
 * message_verify.c do what was decided. */
#ifndef DAEMON_MESSAGE_PRIV_H
#define DAEMON_MESSAGE_PRIV_H

#include "daemon/crlf.h"
#include "daemon/message.h"
#include "daemon/reply.h"
#include "daemon/required.h"
#include "daemon/signing.h"
#include "daemon/verifying.h"
#include "dkim/bodyhash.h"

#define QUEUE_ID_BYTES 64u

struct message {
	struct milter_env *env;
	struct arena *arena;
	const struct message_peer *peer;
	struct snapshot *snapshot; /* NULL until the first header field */
	bool counted;		   /* in env->in_flight */

	struct slice sender; /* of the envelope, without brackets; empty: the null sender */
	struct slice *recipients;
	size_t recipients_count;
	size_t recipients_room;

	struct hdrstore *headers;
	bool headers_ended;
	struct decision decision;
	struct signing *signing;
	struct crlf crlf;      /* FixCRLF */
	struct bodyhash *body; /* of a message that is signed */
	size_t body_id;
	int canonicalization; /* of this message: CANONICALIZATION_... */
	uint64_t body_limit;  /* bytes of the body that are signed, or BODYHASH_NO_LIMIT */
	bool write_length;    /* l= */
	struct verifying *verifying;
	bool decided;	       /* decision holds */
	struct slice author;   /* of From, while verifying; empty: not exactly one */
	bool malformed;	       /* From has no address that can be read, or unfit */
	bool unfit;	       /* StrictHeaders: neither signed nor verified */
	bool verified;	       /* there are verdicts */
	size_t unseen_results; /* Authentication-Results fields that were not stored any more */

	/* Once failed, the rest of the message is only waited for. */
	bool failed;
	bool told; /* in the log */
	enum err error;
	enum policy policy;
	struct err_detail detail;
	char refusal[REQUIRED_TEXT_BYTES]; /* RequiredHeaders; empty: not refused by it */
};

/* The first cause is the one to tell: a message that failed stays as it is. */
void message_fail(struct message *m, enum policy policy, enum err err);

/* For the log, never NULL. The MTA knows the queue id only after the first recipient, so it is
 * asked each time. */
const char *message_queue_id(const struct mta *mta, char *out, size_t out_size);

/* What the settings say of the policy by which the message failed. */
enum settings_action message_action(const struct message *m);

/* True when the message goes on to its recipients, perhaps marked. */
bool message_goes_on(const struct message *m);

/* End of the header. @return what the message fails with */
NODISCARD enum err message_sign_start(struct message *m, const struct mta *mta);
NODISCARD enum err message_verify_start(struct message *m);

/* End of the message: do it, log it, fail the message where it went wrong. */
void message_sign_end(struct message *m, const struct mta *mta);
void message_verify_end(struct message *m, const struct mta *mta);

/* AuthservID, or how the MTA calls itself. */
struct slice message_authserv_id(const struct message *m, const struct mta *mta);

/* Ask for the failure report that a signature wants (SendReports), once the verdicts are there and
 * what becomes of the message is known. Does not wait. */
void message_report(struct message *m, const struct mta *mta);

#endif
