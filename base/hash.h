/*
 * A keyed hash for tables that are filled with foreign names: the key is drawn once per process, so
 * nobody outside can make names that fall into one bucket. Values differ from run to run: never
 * store or send one.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

/** Thread-safe. */
uint64_t hash_bytes(struct slice s);
/** The same value for names that differ in the case of A-Z only. */
uint64_t hash_icase(struct slice s);

#endif
