/* Growable buffer with a cap and a sticky error. */
#include "base/buf.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max = max_bytes };
}

void buf_done(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->data);
	buf_init(b, b->max);
}

void buf_done_secret(struct buf *b)
{
	if (b == NULL)
		return;
	if (b->data != NULL)
		OPENSSL_cleanse(b->data, b->room);
	buf_done(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->error = ERR_OK;
	if (b->data != NULL)
		b->data[0] = '\0';
}

/* Room for n more bytes and the NUL. A copy, not realloc(): a secret must not stay in freed memory.
 */
static bool grow(struct buf *b, size_t n)
{
	size_t want;
	char *data;

	if (b->error != ERR_OK)
		return false;
	if (n > b->max - b->len) {
		b->error = ERR_LIMIT;
		return false;
	}
	if (b->len + n < b->room)
		return true;
	want = b->room < 128 ? 256 : b->room * 2;
	if (want < b->len + n + 1)
		want = b->len + n + 1;
	data = malloc(want);
	if (data == NULL) {
		b->error = ERR_NOMEM;
		return false;
	}
	if (b->data != NULL) {
		memcpy(data, b->data, b->len);
		OPENSSL_cleanse(b->data, b->len);
		free(b->data);
	}
	b->data = data;
	b->room = want;
	return true;
}

void buf_add(struct buf *b, struct slice s)
{
	if (!grow(b, s.len))
		return;
	if (s.len != 0)
		memcpy(b->data + b->len, s.ptr, s.len);
	b->len += s.len;
	b->data[b->len] = '\0';
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, slice_str(s));
}

void buf_add_ch(struct buf *b, char c)
{
	buf_add(b, slice_of(&c, 1));
}

void buf_add_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !grow(b, (size_t)n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

struct slice buf_slice(const struct buf *b)
{
	if (b->error != ERR_OK || b->data == NULL)
		return slice_of("", 0);
	return slice_of(b->data, b->len);
}

enum err buf_finish(const struct buf *b, struct slice *ret_content)
{
	if (b->error == ERR_OK)
		*ret_content = buf_slice(b);
	return b->error;
}
