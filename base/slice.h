/* Borrowed bytes: a pointer and a length, not NUL-terminated, never freed. ASCII rules only. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/** A slice over a string literal, as an expression and as a static initialiser. */
#define SLICE_LIT(s) ((struct slice){ "" s "", sizeof(s) - 1 })
#define SLICE_INIT(s)                                                                              \
	{                                                                                          \
		"" s "", sizeof(s) - 1                                                             \
	}
/** printf("%.*s") arguments. */
#define SLICE_FMT(s) (int)(s).len, (s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
	return (struct slice){ .ptr = ptr, .len = len };
}

/** @param s may be NULL: an empty slice */
static inline struct slice slice_str(const char *s)
{
	return (struct slice){ .ptr = s != NULL ? s : "", .len = s != NULL ? strlen(s) : 0 };
}

static inline bool slice_empty(struct slice s)
{
	return s.len == 0;
}

/** Bytes [from, to) of s; both are cut to its length. */
struct slice slice_sub(struct slice s, size_t from, size_t to);

bool slice_eq(struct slice a, struct slice b);
/** Same bytes when A-Z and a-z are one. */
bool slice_ieq(struct slice a, struct slice b);
bool slice_is_ascii(struct slice s);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
bool slice_iends(struct slice s, struct slice suffix);

/** @return index of the first c, or s.len */
size_t slice_find(struct slice s, char c);
/** @return index of the last c, or s.len */
size_t slice_rfind(struct slice s, char c);

/** Without space, tab, CR and LF at both ends. */
struct slice slice_trim(struct slice s);
/** Without space, tab, CR and LF at the end only. */
struct slice slice_rtrim(struct slice s);

/**
 * Cut the part before the next sep off *rest; for lists: "a:b" gives "a", "b"; "" gives "" once.
 * @param rest  ptr is NULL when nothing is left (then false is returned)
 */
bool slice_next(struct slice *rest, char sep, struct slice *ret_part);

/**
 * Decimal digits only, no sign, no blanks, at least one digit.
 * @return false on anything else and on overflow of 64 bits
 */
NODISCARD bool slice_u64(struct slice s, unsigned long long *ret_value);

/** A NUL-terminated copy; the caller frees it. NULL when memory is short. */
NODISCARD char *slice_dup(struct slice s);

/* Character classes: ASCII, independent of the locale. */
static inline bool ch_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool ch_is_fws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool ch_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ch_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char ch_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

#endif
