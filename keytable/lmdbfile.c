/* LMDB's file format, read only: two meta pages, a B+tree of branch and leaf pages, long values in
 * runs of overflow pages. Numbers are in the host's byte order. */
#include "keytable/lmdbfile.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MAGIC 0xBEEFC0DEu
#define VERSION 1u
#define PAGE_BYTES_MIN 256u
#define PAGE_BYTES_MAX 65536u
#define DEPTH_MAX 16u
#define NO_PAGE UINT64_MAX
#define TRIES 8u

/* A page: number 8, pad 2, flags 2, then the end of its list of nodes and the start of its nodes (2
 * each). */
#define PAGE_HEAD 16u
#define PAGE_FLAGS 10u
#define PAGE_LOWER 12u
#define PAGE_UPPER 14u
enum page_flags {
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,
	PAGE_LEAF2 = 32
};

/* A node: size of its value, or the number of a child, in 2 + 2 bytes; flags 2, size of its key 2.
 */
#define NODE_HEAD 8u
enum node_flags { NODE_BIG = 1, NODE_SUBDB = 2, NODE_DUPS = 4 };

/* A meta page behind the page's head; "main" is the database without a name. */
enum meta_at {
	META_MAGIC = 16,
	META_VERSION = 20,
	META_PAGE_BYTES = 40,
	META_MAIN_FLAGS = 92,
	META_MAIN_DEPTH = 94,
	META_MAIN_ENTRIES = 120,
	META_MAIN_ROOT = 128,
	META_LAST_PAGE = 136,
	META_TXN = 144,
	META_END = 152,
};

struct meta {
	uint32_t page_bytes;
	uint16_t flags; /* of the main database: 0 is plain */
	uint16_t depth;
	uint64_t entries;
	uint64_t root;
	uint64_t last_page;
	uint64_t txn;
};

/* What one look-up or walk works on. */
struct tree {
	int fd;
	struct meta meta;
	uint64_t pages_left; /* a walk ends, also where pages form a circle */
	uint64_t bytes_left; /* of values: rows that share one do not make much of a small file */
	struct err_detail *detail;
};

struct node {
	uint16_t flags;
	struct slice key;
	uint64_t child;	    /* branch */
	struct slice value; /* leaf; a long one's is the number of its first page */
	uint32_t size;
};

static uint16_t get16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static enum err damaged(struct err_detail *detail, const char *what)
{
	err_detail_set(detail, "damaged LMDB file: %s; build it again with hsmdkim-mktable(8)",
		       what);
	return ERR_CONFIG;
}

static enum err read_at(int fd, void *to, size_t len, uint64_t offset, struct err_detail *detail)
{
	char *at = to;

	while (len > 0) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_detail_set(detail, "cannot be read: %s", strerror(errno));
			return ERR_IO;
		}
		if (n == 0)
			return damaged(detail, "it ends too early");
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return ERR_OK;
}

static enum err read_one_meta(int fd, uint64_t offset, struct meta *m, struct err_detail *detail)
{
	char page[META_END];
	enum err e = read_at(fd, page, sizeof(page), offset, detail);

	if (e != ERR_OK)
		return e;
	if (get32(page + META_MAGIC) != MAGIC || (get16(page + PAGE_FLAGS) & PAGE_META) == 0) {
		err_detail_set(detail,
			       "not an LMDB file; build it with hsmdkim-mktable(8), or write "
			       "file: if it is a text file");
		return ERR_CONFIG;
	}
	*m = (struct meta){
		.page_bytes = get32(page + META_PAGE_BYTES),
		.flags = get16(page + META_MAIN_FLAGS),
		.depth = get16(page + META_MAIN_DEPTH),
		.entries = get64(page + META_MAIN_ENTRIES),
		.root = get64(page + META_MAIN_ROOT),
		.last_page = get64(page + META_LAST_PAGE),
		.txn = get64(page + META_TXN),
	};
	if (get32(page + META_VERSION) != VERSION)
		return damaged(detail, "a format version that is not known");
	if (m->page_bytes < PAGE_BYTES_MIN || m->page_bytes > PAGE_BYTES_MAX ||
	    (m->page_bytes & (m->page_bytes - 1)) != 0)
		return damaged(detail, "an impossible size of pages");
	if (m->last_page > (uint64_t)INT64_MAX / PAGE_BYTES_MAX - 1)
		return damaged(detail, "an impossible number of pages");
	return ERR_OK;
}

static enum err read_metas(int fd, struct meta metas[2], struct err_detail *detail)
{
	enum err e = read_one_meta(fd, 0, &metas[0], detail);

	return e == ERR_OK ? read_one_meta(fd, metas[0].page_bytes, &metas[1], detail) : e;
}

static bool is_same(const struct meta *a, const struct meta *b)
{
	return a->page_bytes == b->page_bytes && a->flags == b->flags && a->depth == b->depth &&
	       a->entries == b->entries && a->root == b->root && a->last_page == b->last_page &&
	       a->txn == b->txn;
}

/* A writer may be in the middle of a meta page: what is read twice alike is whole. */
static enum err read_whole_metas(int fd, struct meta metas[2], struct err_detail *detail)
{
	struct meta again[2];
	enum err e = read_metas(fd, metas, detail);

	for (unsigned i = 0; i < TRIES && e == ERR_OK; i++) {
		e = read_metas(fd, again, detail);
		if (e != ERR_OK || (is_same(&metas[0], &again[0]) && is_same(&metas[1], &again[1])))
			return e;
		memcpy(metas, again, sizeof(again));
	}
	if (e == ERR_OK) {
		err_detail_set(detail, "the table changes faster than it can be read");
		e = ERR_BUSY;
	}
	return e;
}

/* The newer of both meta pages. */
static enum err read_meta(int fd, struct meta *ret_meta, struct err_detail *detail)
{
	struct meta metas[2];
	enum err e = read_whole_metas(fd, metas, detail);

	if (e != ERR_OK)
		return e;
	*ret_meta = metas[1].txn > metas[0].txn ? metas[1] : metas[0];
	if (ret_meta->flags != 0) {
		err_detail_set(detail,
			       "its keys are sorted in a way that tables are not (flags "
			       "0x%x); build it with hsmdkim-mktable(8)",
			       ret_meta->flags);
		return ERR_CONFIG;
	}
	if (ret_meta->depth > DEPTH_MAX || (ret_meta->root == NO_PAGE) != (ret_meta->depth == 0))
		return damaged(detail, "an impossible tree");
	return ERR_OK;
}

enum err lmdbfile_check(int fd, uint64_t *ret_entries, struct err_detail *detail)
{
	struct meta meta;
	enum err e = read_meta(fd, &meta, detail);

	if (e == ERR_OK && ret_entries != NULL)
		*ret_entries = meta.entries;
	return e;
}

/* @param level from 0 at the root: the last one is of leaves, those before of branches */
static enum err read_page(struct tree *t, uint64_t number, unsigned level, char *page)
{
	unsigned want = level + 1U == t->meta.depth ? PAGE_LEAF : PAGE_BRANCH;
	unsigned lower;
	unsigned upper;
	enum err e;

	if (number < 2 || number > t->meta.last_page)
		return damaged(t->detail, "a page that does not exist is named");
	if (t->pages_left-- == 0)
		return damaged(t->detail, "its pages form a circle");
	e = read_at(t->fd, page, t->meta.page_bytes, number * t->meta.page_bytes, t->detail);
	if (e != ERR_OK)
		return e;
	lower = get16(page + PAGE_LOWER);
	upper = get16(page + PAGE_UPPER);
	/* A page of 64 KiB that is full to the last byte has upper 0; LMDB makes none so large. */
	if (get64(page) != number ||
	    (get16(page + PAGE_FLAGS) & (PAGE_BRANCH | PAGE_LEAF | PAGE_LEAF2)) != want)
		return damaged(t->detail, "a page of another kind than expected");
	if (lower < PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > t->meta.page_bytes)
		return damaged(t->detail, "a page with impossible bounds");
	return ERR_OK;
}

static unsigned node_count(const char *page)
{
	return (get16(page + PAGE_LOWER) - PAGE_HEAD) / 2;
}

static enum err read_node(const struct tree *t, const char *page, unsigned index, struct node *n)
{
	size_t at = get16(page + PAGE_HEAD + (size_t)2 * index);
	size_t room;
	uint16_t low;
	uint16_t high;

	if (at < get16(page + PAGE_UPPER) || at + NODE_HEAD > t->meta.page_bytes)
		return damaged(t->detail, "a row outside of its page");
	low = get16(page + at);
	high = get16(page + at + 2);
	n->flags = get16(page + at + 4);
	n->size = (uint32_t)high << 16 | low;
	n->child = (uint64_t)n->flags << 32 | n->size;
	n->key = slice_of(page + at + NODE_HEAD, get16(page + at + 6));
	room = t->meta.page_bytes - at - NODE_HEAD;
	if (n->key.len > room)
		return damaged(t->detail, "a key outside of its page");
	n->value = slice_of(n->key.ptr + n->key.len, room - n->key.len);
	return ERR_OK;
}

/* Cut the value of a leaf's node to its length. */
static enum err check_value(const struct tree *t, struct node *n)
{
	size_t size = (n->flags & NODE_BIG) != 0 ? sizeof(uint64_t) : n->size;

	if ((n->flags & (NODE_SUBDB | NODE_DUPS)) != 0) {
		err_detail_set(t->detail, "it holds databases in a database; build it with "
					  "hsmdkim-mktable(8)");
		return ERR_CONFIG;
	}
	if (size > n->value.len)
		return damaged(t->detail, "a value outside of its page");
	n->value.len = size;
	return ERR_OK;
}

static enum err read_long(struct tree *t, uint64_t number, uint32_t size, struct buf *value)
{
	char chunk[4096];
	uint64_t offset = number * t->meta.page_bytes;
	enum err e;

	if (number < 2 || number > t->meta.last_page)
		return damaged(t->detail, "a page that does not exist is named");
	e = read_at(t->fd, chunk, PAGE_HEAD, offset, t->detail);
	if (e != ERR_OK)
		return e;
	if (get64(chunk) != number || (get16(chunk + PAGE_FLAGS) & PAGE_OVERFLOW) == 0)
		return damaged(t->detail, "a page of another kind than expected");
	offset += PAGE_HEAD;
	while (size > 0 && value->error == ERR_OK) {
		size_t part = size < sizeof(chunk) ? size : sizeof(chunk);

		e = read_at(t->fd, chunk, part, offset, t->detail);
		if (e != ERR_OK)
			return e;
		buf_add(value, slice_of(chunk, part));
		offset += part;
		size -= (uint32_t)part;
	}
	return value->error;
}

static enum err copy_value(struct tree *t, struct node *n, struct buf *value)
{
	enum err e = check_value(t, n);

	buf_reset(value);
	if (e == ERR_OK && n->size > LMDBFILE_VALUE_BYTES_MAX) {
		err_detail_set(t->detail, "a value is longer than %u bytes",
			       LMDBFILE_VALUE_BYTES_MAX);
		e = ERR_LIMIT;
	}
	if (e != ERR_OK)
		return e;
	if ((n->flags & NODE_BIG) != 0)
		return read_long(t, get64(n->value.ptr), n->size, value);
	buf_add(value, n->value);
	return value->error;
}

static int compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len != 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

/* The last node whose key is not behind key, by halves. A branch's first key counts as before all
 * others.
 * @param ret_count 0: there is none; else its index + 1 */
static enum err find_in_page(const struct tree *t, const char *page, bool leaf, struct slice key,
			     unsigned *ret_count)
{
	unsigned low = leaf ? 0 : 1; /* nodes that are known to be not behind */
	unsigned high = node_count(page);

	if (!leaf && high == 0)
		return damaged(t->detail, "a branch without rows");
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		struct node n;
		enum err e = read_node(t, page, middle, &n);

		if (e != ERR_OK)
			return e;
		if (compare(n.key, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_count = low;
	return ERR_OK;
}

static enum err find_in_tree(struct tree *t, struct slice key, char *page, struct buf *value)
{
	uint64_t number = t->meta.root;
	enum err e = ERR_OK;

	for (unsigned level = 0; level < t->meta.depth; level++) {
		bool leaf = level + 1U == t->meta.depth;
		struct node n = { .child = NO_PAGE };
		unsigned count = 0;

		e = read_page(t, number, level, page);
		if (e == ERR_OK)
			e = find_in_page(t, page, leaf, key, &count);
		if (e == ERR_OK && count > 0)
			e = read_node(t, page, count - 1, &n);
		if (e != ERR_OK)
			return e;
		if (leaf)
			return count > 0 && slice_eq(n.key, key) ? copy_value(t, &n, value)
								 : ERR_NOT_FOUND;
		number = n.child;
	}
	return ERR_NOT_FOUND;
}

/* LMDB's rule: a transaction writes only over pages that the one before the last committed one had
 * given up already. So what was read is right when at most one transaction was committed meanwhile,
 * whatever a third one has begun to write. Then our meta page still says what it said. */
static bool was_overtaken(const struct tree *t)
{
	struct meta now[2];

	return read_metas(t->fd, now, NULL) != ERR_OK ||
	       (!is_same(&now[0], &t->meta) && !is_same(&now[1], &t->meta)) ||
	       now[0].txn > t->meta.txn + 1 || now[1].txn > t->meta.txn + 1;
}

static enum err start(int fd, struct tree *t, struct err_detail *detail)
{
	*t = (struct tree){ .fd = fd, .detail = detail };
	return read_meta(fd, &t->meta, detail);
}

enum err lmdbfile_get(int fd, struct slice key, struct buf *value, struct err_detail *detail)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct tree t;
		char *page;
		enum err e = start(fd, &t, detail);

		if (e != ERR_OK)
			return e;
		buf_reset(value);
		page = malloc(t.meta.page_bytes);
		if (page == NULL)
			return ERR_NOMEM;
		t.pages_left = DEPTH_MAX;
		e = find_in_tree(&t, key, page, value);
		free(page);
		if (!was_overtaken(&t) || e == ERR_NOMEM)
			return e;
	}
	err_detail_set(detail, "the table changes faster than it can be read");
	return ERR_BUSY;
}

struct walk {
	struct tree tree;
	char *pages; /* one for each level */
	struct buf value;
	bool (*fn)(void *ctx, struct slice key, struct slice value);
	void *ctx;
	bool stopped;
};

static enum err copy_walked(struct walk *w, struct node *n)
{
	if (n->size > w->tree.bytes_left)
		return damaged(w->tree.detail, "its rows are larger than the file");
	w->tree.bytes_left -= n->size;
	return copy_value(&w->tree, n, &w->value);
}

/* By the file's size, which its content cannot lie about. */
static enum err bound_walk(struct tree *t)
{
	off_t size = lseek(t->fd, 0, SEEK_END);

	if (size < 0) {
		err_detail_set(t->detail, "its size cannot be told");
		return ERR_IO;
	}
	t->pages_left = (uint64_t)size / t->meta.page_bytes;
	if (t->meta.last_page < t->pages_left)
		t->pages_left = t->meta.last_page + 1;
	t->bytes_left = (uint64_t)size;
	return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX deep at most */
static enum err walk_page(struct walk *w, uint64_t number, unsigned level)
{
	char *page = w->pages + (size_t)level * w->tree.meta.page_bytes;
	bool leaf = level + 1U == w->tree.meta.depth;
	enum err e = read_page(&w->tree, number, level, page);
	unsigned count = e == ERR_OK ? node_count(page) : 0;

	for (unsigned i = 0; e == ERR_OK && !w->stopped && i < count; i++) {
		struct node n;

		e = read_node(&w->tree, page, i, &n);
		if (e == ERR_OK && !leaf)
			e = walk_page(w, n.child, level + 1);
		else if (e == ERR_OK)
			e = copy_walked(w, &n);
		if (e == ERR_OK && leaf)
			w->stopped = !w->fn(w->ctx, n.key, buf_slice(&w->value));
	}
	return e;
}

enum err lmdbfile_each(int fd, bool (*fn)(void *ctx, struct slice key, struct slice value),
		       void *ctx, struct err_detail *detail)
{
	struct walk w = { .fn = fn, .ctx = ctx };
	enum err e = start(fd, &w.tree, detail);

	if (e != ERR_OK || w.tree.meta.depth == 0)
		return e;
	w.pages = malloc((size_t)w.tree.meta.depth * w.tree.meta.page_bytes);
	if (w.pages == NULL)
		return ERR_NOMEM;
	e = bound_walk(&w.tree);
	if (e != ERR_OK) {
		free(w.pages);
		return e;
	}
	buf_init(&w.value, LMDBFILE_VALUE_BYTES_MAX);
	e = walk_page(&w, w.tree.meta.root, 0);
	if (e != ERR_NOMEM && !w.stopped && was_overtaken(&w.tree)) {
		err_detail_set(detail, "the table was changed while it was read; try again");
		e = ERR_BUSY;
	}
	buf_done(&w.value);
	free(w.pages);
	return e;
}
