/* Borrowed bytes. */
#include "base/slice.h"

#include <limits.h>
#include <stdlib.h>

struct slice slice_sub(struct slice s, size_t from, size_t to)
{
	if (to > s.len)
		to = s.len;
	if (from > to)
		from = to;
	/* Of no bytes there is no part, and no pointer to add to (C11 6.5.6). */
	return (struct slice){ from != 0 ? s.ptr + from : s.ptr, to - from };
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_ieq(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ch_lower(a.ptr[i]) != ch_lower(b.ptr[i]))
			return false;
	return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_istarts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_ieq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_eq(slice_sub(s, s.len - suffix.len, s.len), suffix);
}

bool slice_iends(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_ieq(slice_sub(s, s.len - suffix.len, s.len), suffix);
}

size_t slice_find(struct slice s, char c)
{
	const char *p = s.len != 0 ? memchr(s.ptr, c, s.len) : NULL;

	return p != NULL ? (size_t)(p - s.ptr) : s.len;
}

size_t slice_rfind(struct slice s, char c)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.ptr[i - 1] == c)
			return i - 1;
	return s.len;
}

struct slice slice_rtrim(struct slice s)
{
	while (s.len > 0 && ch_is_fws(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && ch_is_fws(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	return slice_rtrim(s);
}

bool slice_next(struct slice *rest, char sep, struct slice *ret_part)
{
	size_t at;

	if (rest->ptr == NULL)
		return false;
	at = slice_find(*rest, sep);
	*ret_part = slice_sub(*rest, 0, at);
	if (at == rest->len)
		*rest = (struct slice){ NULL, 0 };
	else
		*rest = slice_sub(*rest, at + 1, rest->len);
	return true;
}

bool slice_u64(struct slice s, unsigned long long *ret_value)
{
	unsigned long long v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(s.ptr[i] - '0');

		if (!ch_is_digit(s.ptr[i]) || v > (ULLONG_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret_value = v;
	return true;
}

char *slice_dup(struct slice s)
{
	char *copy = malloc(s.len + 1);

	if (copy == NULL)
		return NULL;
	if (s.len != 0)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

bool slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}
