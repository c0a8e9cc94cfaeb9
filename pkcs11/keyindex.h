/* The private keys of a token by label and id: one search, then look-ups without Cryptoki. */
#ifndef PKCS11_KEYINDEX_H
#define PKCS11_KEYINDEX_H

#include "base/err.h"
#include "base/slice.h"
#include "pkcs11/cryptoki.h"

#include <stdatomic.h>
#include <stdint.h>

struct keyindex;

/**
 * Search all private token keys through this session.
 * @param deadline_ms clock_mono_ms() at which the reading is given up: between two calls
 * @param beat_ms     set to clock_mono_ms() whenever it came on by a key; may be NULL
 * @return the failed call's error with a detail, ERR_TOKEN_FAILED (deadline), ERR_NOMEM
 */
NODISCARD enum err keyindex_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
				 int64_t deadline_ms, _Atomic int64_t *beat_ms,
				 struct keyindex **ret_index, struct err_detail *detail);
void keyindex_free(struct keyindex **index);

size_t keyindex_count(const struct keyindex *index);
/** Some of its keys, spread over all of them. @return how many; at most max */
size_t keyindex_sample(const struct keyindex *index, CK_OBJECT_HANDLE *handles, size_t max);
/** CKR_OK, or why the label or the id of a key could not be read: then a key that is not found may
 * be there all the same. */
CK_RV keyindex_failure(const struct keyindex *index);

/**
 * Keys with this label and this id; a slice with ptr NULL is not asked for.
 * @return how many there are; the first max handles are stored
 */
size_t keyindex_find(const struct keyindex *index, struct slice label, struct slice id,
		     CK_OBJECT_HANDLE *handles, size_t max);

#endif
