/* One token of the TokenTable with its sessions: a lane whose workers hold a session each. */
#ifndef SIGNER_TOKENLANE_H
#define SIGNER_TOKENLANE_H

#include "config/files.h"
#include "keytable/tokentable.h"
#include "pkcs11/token.h"
#include "signer/health.h"
#include "signer/lane.h"
#include "signer/pinnote.h"
#include "signer/tally.h"

struct tokenlane;

/** What a worker of the lane is. */
struct token_worker {
	struct tokenlane *lane;
	struct token_session *session; /**< NULL until it is needed, and after it was lost */
};

/**
 * @param memory  what earlier signer processes knew of PINs, and who hears what we learn
 * @return ERR_SYNTAX (a PIN that is no PIN) with a detail that names the row, ERR_CONFIG (a URI
 * that is none), ERR_NOMEM. Touches no module.
 */
NODISCARD enum err tokenlane_new(const struct tokentable_row *row, struct files *files,
				 const struct pin_memory *memory, struct tokenlane **ret_lane,
				 struct err_detail *detail);

/**
 * For -n: does the row's PIN have the form of one, as tokenlane_new() wants? One that is asked for
 * at the terminal is not there, and no error.
 * @param warn hears of a PIN that is doubtful
 * @return ERR_SYNTAX, ERR_NOMEM with a detail that names the row
 */
NODISCARD enum err tokenlane_check_pin(const struct tokentable_row *row, struct files *files,
				       void (*warn)(const char *text), struct err_detail *detail);

/** The same token as another row means: name, module, URI, PIN, sessions; and its PIN is
 * neither refused nor in doubt. Then it and its login can go on in the next generation. */
bool tokenlane_same(const struct tokenlane *lane, const struct tokentable_row *row,
		    struct files *files);

struct tokenlane *tokenlane_ref(struct tokenlane *lane);
/** It is of tables that were replaced: sessions, login and module are let go of where nobody uses
 * them. Requests of messages that began before are served all the same. Returns at once. */
void tokenlane_rest(struct tokenlane *lane);

/** The last reference closes the lane: its workers end when they have nothing more to do. */
void tokenlane_unref(struct tokenlane **lane);

struct lane *tokenlane_lane(struct tokenlane *lane);
struct token *tokenlane_token(struct tokenlane *lane);

struct health *tokenlane_health(struct tokenlane *lane);
/** What it did for requests; thread-safe. */
struct tally *tokenlane_tally(struct tokenlane *lane);
/** Sessions that are configured. */
unsigned tokenlane_sessions(const struct tokenlane *lane);

/** It reads its token's list of keys, and comes on with it: whoever waits for that does not hang.
 */
bool tokenlane_reads(const struct tokenlane *lane);

/** The token grants fewer sessions than it was asked for: said in the log once. */
void tokenlane_shrunk(struct tokenlane *lane, unsigned sessions);

#endif
