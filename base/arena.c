/* Message memory: blocks that are handed out from the front and reset together. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

struct block {
	struct block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) char data[];
};

/* The kernel gives memory in pages of this size: a larger block would only be half used. */
#define MALLOC_HEAD_BYTES 16
#define BLOCK_MIN_BYTES ((size_t)4096 - sizeof(struct block) - MALLOC_HEAD_BYTES)

struct arena {
	struct block *head;
	size_t max;
	size_t used;
};

struct arena *arena_new(size_t max_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->max = max_bytes;
	return a;
}

static void free_blocks(struct block *b)
{
	while (b != NULL) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void arena_free(struct arena **a)
{
	if (a == NULL || *a == NULL)
		return;
	free_blocks((*a)->head);
	free(*a);
	*a = NULL;
}

void arena_reset(struct arena *a)
{
	struct block *keep = a->head;

	/* The last in the list is the first that was made, of the usual size: a giant is not kept.
	 */
	while (keep != NULL && keep->next != NULL) {
		struct block *next = keep->next;

		free(keep);
		keep = next;
	}
	if (keep != NULL && keep->size > BLOCK_MIN_BYTES) {
		free(keep);
		keep = NULL;
	}
	if (keep != NULL)
		keep->used = 0;
	a->head = keep;
	a->used = 0;
}

static struct block *block_new(size_t bytes)
{
	size_t size = bytes > BLOCK_MIN_BYTES ? bytes : BLOCK_MIN_BYTES;
	struct block *b = malloc(sizeof(*b) + size);

	if (b == NULL)
		return NULL;
	b->size = size;
	b->used = 0;
	return b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	const size_t align = alignof(max_align_t);
	void *piece;

	if (bytes > a->max - a->used)
		return NULL;
	if (a->max - a->used - bytes < align)
		bytes = a->max - a->used; /* the round-up below must not pass the cap */
	else
		bytes = (bytes + align - 1) / align * align;
	if (a->head == NULL || bytes > a->head->size - a->head->used) {
		struct block *b = block_new(bytes);

		if (b == NULL)
			return NULL;
		b->next = a->head;
		a->head = b;
	}
	piece = a->head->data + a->head->used;
	a->head->used += bytes;
	a->used += bytes;
	return piece;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	void *piece;

	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	piece = arena_alloc(a, n * size);
	if (piece != NULL && n * size != 0)
		memset(piece, 0, n * size);
	return piece;
}

enum err arena_dup(struct arena *a, struct slice s, struct slice *ret_copy)
{
	char *p;

	if (s.len >= a->max)
		return ERR_LIMIT;
	p = arena_alloc(a, s.len + 1);
	if (p == NULL)
		return a->max - a->used < s.len + 1 ? ERR_LIMIT : ERR_NOMEM;
	if (s.len != 0)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	*ret_copy = slice_of(p, s.len);
	return ERR_OK;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
