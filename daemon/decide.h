/*
 * Who is signed, and with which keys: OpenDKIM's decision at the end of the header
 * (opendkim.conf(5)). Pure: rules and what is known of the message go in, a decision and its
 * reasons come out. No token, no DNS, no clock.
 *
 * A message is signed when its author's domain is ours (SigningTable, or Domain) and it comes from
 * ours (MTA, MacroList, InternalHosts, or {auth_type}); otherwise it is verified or passed, as Mode
 * says. Where we do not follow OpenDKIM: a message from ours that names several authors, in several
 * fields or in one, and one of the fields is of a domain of ours, is not signed by a guess at the
 * first: it fails (ERR_NO_SENDER).
 */
#ifndef DAEMON_DECIDE_H
#define DAEMON_DECIDE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "dkim/hdrstore.h"
#include "keytable/dataset.h"
#include "keytable/hostlist.h"
#include "keytable/signtable.h"

#include <sys/socket.h>

/** What the configuration says; all pointers are borrowed and immutable, NULL where a setting is
 * unset. */
struct decide_rules {
	int mode; /**< MODE_SIGN + MODE_VERIFY */
	const struct signtable *signing_table;
	bool multiple_signatures;
	const struct dataset *domain; /**< when there is no SigningTable */
	bool sub_domains;
	const struct dataset *mta;
	const struct dataset *macro_list;
	const struct hostlist *internal_hosts;
	const struct hostlist *external_ignore_list;
	const struct dataset *exempt_domains;
	const struct dataset *dont_sign_mail_to;
	const char
		*sender_macro; /**< whose value, when the MTA sends it, is the author's address */
	const struct slice *sender_headers; /**< in order of preference */
	size_t sender_headers_count;
	bool log_why; /**< make the notes of LogWhy, too */
};

struct decide_input {
	const struct hdrstore *headers;
	struct slice host;	     /**< the client's name as the MTA says it */
	const struct sockaddr *addr; /**< NULL: none was sent, local mail: counts as 127.0.0.1 */
	/** @return NULL when the MTA did not send it */
	const char *(*macro)(void *ctx, const char *name);
	void *macro_ctx;
	const struct slice *recipients; /**< without angle brackets */
	size_t recipients_count;
};

enum decide_kind {
	DECIDE_PASS, /**< leave it alone */
	DECIDE_VERIFY,
	DECIDE_SIGN,
	DECIDE_FAIL, /**< it should be signed and cannot be: error says why */
};

struct decide_note {
	enum log_level level;
	const char *text; /**< safe for the log, without the queue id */
};

#define DECIDE_NOTES_MAX 12u

struct decision {
	enum decide_kind kind;
	enum err error;
	bool clean; /**< PASS: it has Authentication-Results; those in our name must go */
	struct slice author_local; /**< empty: no author is known */
	struct slice author_domain;
	struct slice key_domain; /**< what "%" stands for in the KeyTable */
	struct signtable_match
		keys[LIMIT_SIGN_REQUESTS]; /**< SIGN: at least one; "" is the single key */
	size_t keys_count;
	struct decide_note notes[DECIDE_NOTES_MAX];
	size_t notes_count;
};

/**
 * @param arena what the decision points to lives there
 * @return ERR_NOMEM, ERR_LIMIT (more than LIMIT_SIGN_REQUESTS keys), ERR_IO (a table)
 */
NODISCARD enum err decide(const struct decide_rules *rules, const struct decide_input *input,
			  struct arena *arena, struct decision *ret_decision);

#endif
