/*
 * What a child wants the next process of its kind to know; the supervisor keeps it. A note is
 * "KIND TOKEN ID VALUE...": a later one with the same first three words takes its place, one
 * without a VALUE withdraws it. Not thread-safe.
 */
#ifndef CONFIG_NOTES_H
#define CONFIG_NOTES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/** Two kinds for each token of a TokenTable. All of them have room in the socket of a child that
 * starts. */
#define NOTES_MAX 128u
/** A longer text is dropped. */
#define NOTE_BYTES_MAX 512u

/** Zeroed: none. */
struct notes {
	char *texts[NOTES_MAX];
	size_t count;
};

/** Keep the text, or take back what it withdraws. @param text malloc()ed; taken over */
void notes_put(struct notes *n, char *text);
/** @param token only those of this token; NULL: all */
void notes_forget(struct notes *n, const char *token);

/** Does the note speak of this token? */
bool note_is_of(const char *note, const char *token);

#endif
