/*
 * What the signer process tells the supervisor of a token's PIN, so that the next process knows it:
 * that it was refused, and how many logins were begun without a clear answer; the note of one that
 * is under way counts. Notes are texts (config/notes.h); they hold a salted hash of the PIN, for a
 * PIN that was corrected is another one.
 *
 *     pin-refused TOKEN SALT HASH
 *     pin-tried TOKEN SALT HASH COUNT
 */
#ifndef SIGNER_PINNOTE_H
#define SIGNER_PINNOTE_H

#include "base/err.h"
#include "config/notes.h"
#include "pkcs11/pin.h"

#include <stdbool.h>

/** What earlier processes left, and where new notes go. */
struct pin_memory {
	const struct notes *notes; /**< NULL: none */
	/** To the supervisor, from any thread; NULL: nobody hears it. */
	void (*note)(void *ctx, const char *text);
	void *ctx;
};

struct pinnote;

/**
 * For this PIN of this token.
 * @param memory       its notes need not outlive the call; note and ctx must
 * @param ret_refused  an earlier process had it refused
 * @param ret_unclear  logins of earlier processes without a clear answer
 * @return ERR_NOMEM, ERR_CRYPTO (no random numbers)
 */
NODISCARD enum err pinnote_new(const struct pin_memory *memory, const char *token,
			       const struct pin *pin, struct pinnote **ret_note, bool *ret_refused,
			       unsigned *ret_unclear);
void pinnote_free(struct pinnote **note);

/** token_config.pin_state: note what is new. @param ctx the pinnote; one thread at a time */
void pinnote_state(void *ctx, bool refused, unsigned unclear);

#endif
