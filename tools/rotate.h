/*
 * hsmdkim-rotate: a key's life as a state machine that may be interrupted anywhere.
 *
 *   CHOSEN -make-> MADE -publish-> PUBLISHED -see-> VISIBLE -switch-> SWITCHED -reload-> KEEPING
 *   KEEPING -revoke (after keep)-> REVOKED -destroy (after grace)-> DONE -choose (after every)->
 * CHOSEN
 *
 * A step's effect can be done twice without harm, and the new phase is saved after it: a program
 * that is killed does the step again. Rolling back swaps the two keys and goes on at VISIBLE: the
 * table gets the old key back, and the new one is kept, revoked and destroyed in its turn.
 */
#ifndef TOOLS_ROTATE_H
#define TOOLS_ROTATE_H

#include "base/alg.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* X(phase, word in the state file, step that leaves it, next phase, which delay comes first) */
#define ROTATE_PHASES(X)                                                                           \
	X(ROTATE_CHOSEN, "chosen", ROTATE_MAKE, ROTATE_MADE, ROTATE_AT_ONCE)                       \
	X(ROTATE_MADE, "made", ROTATE_PUBLISH, ROTATE_PUBLISHED, ROTATE_AT_ONCE)                   \
	X(ROTATE_PUBLISHED, "published", ROTATE_SEE, ROTATE_VISIBLE, ROTATE_AT_ONCE)               \
	X(ROTATE_VISIBLE, "visible", ROTATE_SWITCH, ROTATE_SWITCHED, ROTATE_AT_ONCE)               \
	X(ROTATE_SWITCHED, "switched", ROTATE_RELOAD, ROTATE_KEEPING, ROTATE_AT_ONCE)              \
	X(ROTATE_KEEPING, "keeping", ROTATE_REVOKE, ROTATE_REVOKED, ROTATE_AFTER_KEEP)             \
	X(ROTATE_REVOKED, "revoked", ROTATE_DESTROY, ROTATE_DONE, ROTATE_AFTER_GRACE)              \
	X(ROTATE_DONE, "done", ROTATE_CHOOSE, ROTATE_CHOSEN, ROTATE_AFTER_EVERY)

enum rotate_phase {
#define X(phase, word, step, next, delay) phase,
	ROTATE_PHASES(X)
#undef X
		ROTATE_PHASE_COUNT
};

enum rotate_step {
	ROTATE_MAKE,
	ROTATE_PUBLISH,
	ROTATE_SEE,
	ROTATE_SWITCH,
	ROTATE_RELOAD,
	ROTATE_REVOKE,
	ROTATE_DESTROY,
	ROTATE_CHOOSE,
	ROTATE_STEP_COUNT
};

enum rotate_delay { ROTATE_AT_ONCE, ROTATE_AFTER_KEEP, ROTATE_AFTER_GRACE, ROTATE_AFTER_EVERY };

/** Seconds that phases last at least. */
struct rotate_policy {
	int64_t keep_s;	 /**< the old record stays after the switch */
	int64_t grace_s; /**< between revoking the record and destroying the key */
	int64_t every_s; /**< from the end of one rotation to the next */
};

/** @return the word of the state file and of status */
const char *rotate_phase_word(enum rotate_phase phase);
NODISCARD bool rotate_phase_find(struct slice word, enum rotate_phase *ret_phase);

/** What leaves this phase, and the earliest time for it. */
enum rotate_step rotate_step_of(enum rotate_phase phase);
enum rotate_phase rotate_phase_after(enum rotate_phase phase);
int64_t rotate_due(enum rotate_phase phase, int64_t since, const struct rotate_policy *policy);

/** One of the two keys of a rotation. Texts are malloc'ed, NULL when not known yet. */
struct rotate_half {
	char *selector;
	char *ref; /**< as in the KeyTable */
	char *p;   /**< p= of its record */
	enum key_type type;
	unsigned bits;
};

struct rotate_key {
	char *name; /**< KeyTable name */
	char *domain;
	enum rotate_phase phase;
	int64_t since; /**< seconds since 1970: when the phase began */
	struct rotate_half old;
	struct rotate_half new;
};

struct rotate_state {
	struct rotate_key *keys;
	size_t count;
};

void rotate_half_done(struct rotate_half *half);
void rotate_state_done(struct rotate_state *state);

/** The rotation of a KeyTable name, NULL: there is none. */
struct rotate_key *rotate_state_find(const struct rotate_state *state, struct slice name);
/** A new, empty one in phase DONE at time 0. @return NULL without memory */
NODISCARD struct rotate_key *rotate_state_add(struct rotate_state *state, struct slice name);

/** Read a state file's text. @return ERR_SYNTAX with "line N: ..."; ERR_NOMEM */
NODISCARD enum err rotate_state_parse(struct slice text, struct rotate_state *ret_state,
				      struct err_detail *detail);
void rotate_state_print(const struct rotate_state *state, struct buf *out);

/** Can it go back? Only while the other key's record is still whole. */
bool rotate_can_roll_back(enum rotate_phase phase);
/** Swap the keys and go to VISIBLE. */
void rotate_roll_back(struct rotate_key *key, int64_t now);

/**
 * A KeyTable's text with one row's value replaced; every other byte stays.
 * @return ERR_NOT_FOUND, ERR_AMBIGUOUS (the name stands twice), or out's error
 */
NODISCARD enum err rotate_table_replace(struct slice text, struct slice name, struct slice value,
					struct buf *out);

/** The i-th selector to try for a day: "s20261124", "s20261124b", ... */
void rotate_selector(int64_t now, unsigned i, char out[static 32]);

#endif
