/* The header store: fields in blocks that never move, one chain of groups (one a name) per hash
 * bucket. */
#include "dkim/hdrstore.h"

#include "base/hash.h"
#include "base/limits.h"

#include <stdint.h>

/* Real mail has 10 to 30 fields: what a message holds while its body arrives is kept small. */
#define BLOCK_FIELDS 16u
#define BLOCKS ((LIMIT_HEADER_FIELDS + BLOCK_FIELDS - 1) / BLOCK_FIELDS)
/* A power of two; 2,000 different names give chains of 32, real mail gives chains of 1. */
#define BUCKETS 64u
#define GROUP_ROOM_FIRST 1u

/* All fields of one name, from the top. */
struct group {
	struct group *next; /* in the bucket */
	uint64_t hash;
	struct slice name;
	size_t id; /* 0, 1, 2 ... in the order in which names were seen */
	const struct hdr **fields;
	size_t count;
	size_t room;
};

struct hdrstore {
	struct arena *arena;
	size_t max_bytes;
	size_t bytes;
	size_t count;
	size_t groups;
	struct hdr *blocks[BLOCKS];
	struct group *buckets[BUCKETS];
};

struct hdrpick {
	const struct hdrstore *store;
	size_t taken[]; /* by group id */
};

enum err hdrstore_new(struct arena *arena, size_t max_bytes, struct hdrstore **ret_store)
{
	struct hdrstore *h = arena_calloc(arena, 1, sizeof(*h));

	if (h == NULL)
		return ERR_NOMEM;
	h->arena = arena;
	h->max_bytes = max_bytes != 0 ? max_bytes : SIZE_MAX;
	*ret_store = h;
	return ERR_OK;
}

static struct group *find_group(const struct hdrstore *h, struct slice name, uint64_t hash)
{
	struct group *g = h->buckets[hash % BUCKETS];

	while (g != NULL && !(g->hash == hash && slice_ieq(g->name, name)))
		g = g->next;
	return g;
}

static struct group *add_group(struct hdrstore *h, struct slice name, uint64_t hash)
{
	struct group *g = arena_calloc(h->arena, 1, sizeof(*g));
	struct group **bucket = &h->buckets[hash % BUCKETS];

	if (g == NULL)
		return NULL;
	g->hash = hash;
	g->name = name;
	g->id = h->groups++;
	g->next = *bucket;
	*bucket = g;
	return g;
}

/* Room for one more field; the list doubles, so n fields cost n copies in all. */
static bool group_reserve(struct hdrstore *h, struct group *g)
{
	size_t room = g->room == 0 ? GROUP_ROOM_FIRST : g->room * 2;
	const struct hdr **fields;

	if (g->count < g->room)
		return true;
	fields = arena_calloc(h->arena, room, sizeof(const struct hdr *));
	if (fields == NULL)
		return false;
	if (g->count != 0)
		memcpy(fields, g->fields, g->count * sizeof(const struct hdr *));
	g->fields = fields;
	g->room = room;
	return true;
}

static struct hdr *reserve_field(struct hdrstore *h)
{
	struct hdr **block = &h->blocks[h->count / BLOCK_FIELDS];

	if (*block == NULL)
		*block = arena_calloc(h->arena, BLOCK_FIELDS, sizeof(struct hdr));
	return *block == NULL ? NULL : &(*block)[h->count % BLOCK_FIELDS];
}

static bool is_bare_lf(struct slice value, size_t i)
{
	return value.ptr[i] == '\n' && (i == 0 || value.ptr[i - 1] != '\r');
}

/* The value as it stands on the wire between the colon and the final CRLF. */
static enum err wire_value(struct arena *arena, struct slice value, bool leading_space,
			   struct slice *ret_wire)
{
	size_t len = value.len + (leading_space ? 0 : 1);
	char *wire;
	char *p;

	for (size_t i = 0; i < value.len; i++)
		len += is_bare_lf(value, i) ? 1 : 0;
	wire = arena_alloc(arena, len + 1);
	if (wire == NULL)
		return ERR_NOMEM;
	p = wire;
	if (!leading_space)
		*p++ = ' ';
	for (size_t i = 0; i < value.len; i++) {
		if (is_bare_lf(value, i))
			*p++ = '\r';
		*p++ = value.ptr[i];
	}
	*p = '\0';
	*ret_wire = slice_of(wire, len);
	return ERR_OK;
}

static struct slice trim_name(struct slice name)
{
	while (name.len != 0 && ch_is_wsp(name.ptr[name.len - 1]))
		name.len--;
	return name;
}

enum err hdrstore_add(struct hdrstore *h, struct slice name, struct slice value, bool leading_space)
{
	struct hdr field = { .index = h->count };
	struct hdr *slot;
	struct group *g;
	uint64_t hash;
	enum err e;

	if (h->count == LIMIT_HEADER_FIELDS || name.len > h->max_bytes - h->bytes ||
	    value.len > h->max_bytes - h->bytes - name.len)
		return ERR_LIMIT;
	e = arena_dup(h->arena, name, &field.raw_name);
	if (e == ERR_OK)
		e = wire_value(h->arena, value, leading_space, &field.value);
	if (e != ERR_OK)
		return e;
	field.name = trim_name(field.raw_name);
	hash = hash_icase(field.name);
	slot = reserve_field(h);
	g = find_group(h, field.name, hash);
	if (g == NULL)
		g = add_group(h, field.name, hash);
	if (slot == NULL || g == NULL || !group_reserve(h, g))
		return ERR_NOMEM;
	field.nth = g->count + 1;
	*slot = field;
	g->fields[g->count++] = slot;
	h->count++;
	h->bytes += name.len + value.len;
	return ERR_OK;
}

size_t hdrstore_count(const struct hdrstore *h)
{
	return h->count;
}

size_t hdrstore_bytes(const struct hdrstore *h)
{
	return h->bytes;
}

const struct hdr *hdrstore_at(const struct hdrstore *h, size_t index)
{
	return &h->blocks[index / BLOCK_FIELDS][index % BLOCK_FIELDS];
}

size_t hdrstore_count_name(const struct hdrstore *h, struct slice name)
{
	const struct group *g = find_group(h, name, hash_icase(name));

	return g == NULL ? 0 : g->count;
}

const struct hdr *hdrstore_from_top(const struct hdrstore *h, struct slice name, size_t n)
{
	const struct group *g = find_group(h, name, hash_icase(name));

	return g == NULL || n >= g->count ? NULL : g->fields[n];
}

const struct hdr *hdrstore_from_bottom(const struct hdrstore *h, struct slice name, size_t n)
{
	const struct group *g = find_group(h, name, hash_icase(name));

	return g == NULL || n >= g->count ? NULL : g->fields[g->count - 1 - n];
}

enum err hdrpick_new(const struct hdrstore *h, struct arena *arena, struct hdrpick **ret_pick)
{
	struct hdrpick *pick =
		arena_calloc(arena, 1, sizeof(*pick) + h->groups * sizeof(pick->taken[0]));

	if (pick == NULL)
		return ERR_NOMEM;
	pick->store = h;
	*ret_pick = pick;
	return ERR_OK;
}

const struct hdr *hdrpick_next(struct hdrpick *pick, struct slice name)
{
	const struct group *g = find_group(pick->store, name, hash_icase(name));

	if (g == NULL || pick->taken[g->id] == g->count)
		return NULL;
	return g->fields[g->count - 1 - pick->taken[g->id]++];
}
