/*
 * When a token that fails is left alone, and when it is tried again. Pure: events and times go in.
 *
 *   IN_SERVICE --failures in a row--> DOUBTED --probe fails--> RESTING --probe fails--> RESTING
 *       ^                             |      ^                 |     |     (each time twice as
 *       |                             |      +---- answers ----+     |      long)
 *       +--------- a signature -------+------------------------------+
 *
 * In doubt the token still gets requests: the fault may be one key's. A token that cannot even be
 * reached rests at once. Where no key is known that a probe could sign with, a token that answers
 * is taken out of its rest, but only a signature makes it one like others again. A refused PIN ends
 * it: only an operator helps.
 * Not thread-safe.
 */
#ifndef SIGNER_BREAKER_H
#define SIGNER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_IN_SERVICE, BREAKER_DOUBTED, BREAKER_RESTING, BREAKER_ENDED };

/** What a failure says about the token. */
enum breaker_evidence {
	BREAKER_ONE_REQUEST, /**< a call failed: perhaps the key's fault */
	BREAKER_WHOLE_TOKEN, /**< it is not there, or no session can be opened */
	BREAKER_PIN_REFUSED,
};

/** So many requests in a row that fail raise doubt. */
#define BREAKER_DOUBT_FAILURES 2u
#define BREAKER_REST_FIRST_MS 1000
#define BREAKER_REST_MAX_MS 30000
/** A token without work is signed with so often: sessions stay alive, a loss is seen before mail
 * is. */
#define BREAKER_IDLE_MS 20000

/** Zeroed: in service, never used; the first probe is due at once. */
struct breaker {
	enum breaker_state state;
	unsigned failures;	/**< in a row */
	unsigned failed_probes; /**< in a row */
	unsigned rests;		/**< in a row: how long the next one is */
	bool probing;		/**< one is under way */
	int64_t probe_at_ms;	/**< RESTING, DOUBTED: when */
	bool used;		/**< the token gave an answer, good or bad */
	int64_t last_used_ms;	/**< its last one */
	bool down;		/**< it left service, and no signature was made since */
	int64_t down_since_ms;	/**< when it left service */
};

/** A signature was made. @return true when it is the first since the token left service: worth a
 * line in the log */
bool breaker_worked(struct breaker *b, int64_t now_ms);
/** It answered, but there was no key to sign with. */
void breaker_answered(struct breaker *b, int64_t now_ms);
/** A request failed. @return true when the token goes out of service by this: worth a line */
bool breaker_failed(struct breaker *b, enum breaker_evidence evidence, int64_t now_ms);

/** May requests be sent to it? */
bool breaker_allows(const struct breaker *b);

/** Is it time for a probe? The caller makes one, and reports it with breaker_worked(),
 * breaker_answered() or breaker_probe_failed(). */
bool breaker_take_probe(struct breaker *b, int64_t now_ms);
/** The probe was not made after all. */
void breaker_probe_lost(struct breaker *b);
/** @return as breaker_failed() */
bool breaker_probe_failed(struct breaker *b, enum breaker_evidence evidence, int64_t now_ms);

#endif
