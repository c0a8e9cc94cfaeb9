/* Memory of one message: many small pieces, freed together by a reset. Not thread-safe: one owner.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"
#include "base/slice.h"

struct arena;

/**
 * @param max_bytes  sum of all pieces between two resets
 * @return NULL when memory is short
 */
NODISCARD struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena **a);

/** Give all pieces back. One block is kept, so a message that fits it costs no malloc. */
void arena_reset(struct arena *a);

/** @return max-aligned, uninitialised memory that lives until the reset; NULL at the cap or without
 * memory */
NODISCARD void *arena_alloc(struct arena *a, size_t bytes);
/** As arena_alloc() for n items, zeroed; NULL also when n * size overflows. */
NODISCARD void *arena_calloc(struct arena *a, size_t n, size_t size);
/** A copy with a NUL behind it. */
NODISCARD enum err arena_dup(struct arena *a, struct slice s, struct slice *ret_copy);

/** Bytes handed out since the last reset. */
size_t arena_used(const struct arena *a);

#endif
