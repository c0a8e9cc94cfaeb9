/* Body hashes: two canonicalizers at most, each feeding the digests that want its bytes. */
#include "dkim/bodyhash.h"

/* Runs below this are gathered: EVP_DigestUpdate() costs about as much as copying this much. */
#define GATHER_BELOW 512u
#define GATHER_BYTES 2048u
#define CANONS 2u

struct hash {
	struct hash *next; /* of the same canonicalization */
	EVP_MD_CTX *ctx;
	enum dkim_canon canon;
	enum dkim_hash algorithm;
	uint64_t limit;
	uint64_t room; /* bytes left up to limit */
	size_t digest_len;
	uint8_t digest[DKIM_DIGEST_MAX];
};

/* All that hangs on one canonicalization. */
struct stream {
	struct dkim_canon_body canon;
	struct hash *hashes; /* NULL: not wanted, not run */
	uint64_t length;     /* canonical bytes so far */
	size_t gathered;
	bool failed;
	char gather[GATHER_BYTES];
};

struct bodyhash {
	struct arena *arena;
	struct stream *streams[CANONS]; /* NULL until wanted */
	struct hash *hashes[BODYHASH_MAX];
	size_t count;
	bool started;
};

enum err bodyhash_new(struct arena *arena, struct bodyhash **ret_set)
{
	struct bodyhash *set = arena_calloc(arena, 1, sizeof(*set));

	if (set == NULL)
		return ERR_NOMEM;
	set->arena = arena;
	*ret_set = set;
	return ERR_OK;
}

void bodyhash_free(struct bodyhash **set)
{
	if (set == NULL || *set == NULL)
		return;
	for (size_t i = 0; i < (*set)->count; i++)
		EVP_MD_CTX_free((*set)->hashes[i]->ctx);
	*set = NULL;
}

/* Hand canonical bytes to the digests. */
static void feed(struct stream *s, const char *data, size_t len)
{
	for (struct hash *h = s->hashes; h != NULL; h = h->next) {
		size_t n = len < h->room ? len : (size_t)h->room;

		if (n != 0 && EVP_DigestUpdate(h->ctx, data, n) != 1)
			s->failed = true;
		if (h->limit != BODYHASH_NO_LIMIT)
			h->room -= n;
	}
}

static void flush(struct stream *s)
{
	if (s->gathered != 0)
		feed(s, s->gather, s->gathered);
	s->gathered = 0;
}

static void take_canonical(void *ctx, const char *data, size_t len)
{
	struct stream *s = ctx;

	s->length += len;
	if (len >= GATHER_BELOW) {
		flush(s);
		feed(s, data, len);
		return;
	}
	if (len > GATHER_BYTES - s->gathered)
		flush(s);
	memcpy(s->gather + s->gathered, data, len);
	s->gathered += len;
}

static struct stream *want_stream(struct bodyhash *set, enum dkim_canon canon)
{
	struct stream *s = set->streams[canon];

	if (s != NULL)
		return s;
	s = arena_alloc(set->arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	/* The gather buffer needs no zeros. */
	s->hashes = NULL;
	s->length = 0;
	s->gathered = 0;
	s->failed = false;
	dkim_canon_body_init(&s->canon, canon, (struct dkim_canon_sink){ take_canonical, s });
	set->streams[canon] = s;
	return s;
}

static enum err add_hash(struct bodyhash *set, enum dkim_canon canon, enum dkim_hash algorithm,
			 uint64_t limit)
{
	struct stream *s = want_stream(set, canon);
	struct hash *h = arena_calloc(set->arena, 1, sizeof(*h));
	const EVP_MD *md = dkim_digest_md(algorithm);

	if (s == NULL || h == NULL)
		return ERR_NOMEM;
	if (md == NULL)
		return ERR_CRYPTO;
	h->canon = canon;
	h->algorithm = algorithm;
	h->limit = limit;
	h->room = limit;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL)
		return ERR_NOMEM;
	if (EVP_DigestInit_ex(h->ctx, md, NULL) != 1) {
		EVP_MD_CTX_free(h->ctx);
		return ERR_CRYPTO;
	}
	h->next = s->hashes;
	s->hashes = h;
	set->hashes[set->count++] = h;
	return ERR_OK;
}

enum err bodyhash_want(struct bodyhash *set, enum dkim_canon canon, enum dkim_hash hash,
		       uint64_t limit, size_t *ret_id)
{
	enum err e = ERR_OK;
	size_t id = 0;

	if (set->started)
		return ERR_INTERNAL;
	while (id < set->count &&
	       !(set->hashes[id]->canon == canon && set->hashes[id]->algorithm == hash &&
		 set->hashes[id]->limit == limit))
		id++;
	if (id == BODYHASH_MAX)
		return ERR_LIMIT;
	if (id == set->count)
		e = add_hash(set, canon, hash, limit);
	if (e == ERR_OK)
		*ret_id = id;
	return e;
}

void bodyhash_update(struct bodyhash *set, const char *data, size_t len)
{
	set->started = true;
	for (size_t i = 0; i < CANONS; i++)
		if (set->streams[i] != NULL)
			dkim_canon_body_update(&set->streams[i]->canon, data, len);
}

bool bodyhash_satisfied(const struct bodyhash *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->streams[set->hashes[i]->canon]->length < set->hashes[i]->limit)
			return false;
	return true;
}

static enum err finish_hash(struct hash *h)
{
	unsigned len = 0;

	if (EVP_DigestFinal_ex(h->ctx, h->digest, &len) != 1)
		return ERR_CRYPTO;
	h->digest_len = len;
	return ERR_OK;
}

enum err bodyhash_finish(struct bodyhash *set)
{
	enum err e = ERR_OK;

	set->started = true;
	for (size_t i = 0; i < CANONS; i++) {
		struct stream *s = set->streams[i];

		if (s == NULL)
			continue;
		dkim_canon_body_final(&s->canon);
		flush(s);
		if (s->failed)
			e = ERR_CRYPTO;
	}
	for (size_t i = 0; i < set->count && e == ERR_OK; i++)
		e = finish_hash(set->hashes[i]);
	return e;
}

struct slice bodyhash_digest(const struct bodyhash *set, size_t id)
{
	return slice_of(set->hashes[id]->digest, set->hashes[id]->digest_len);
}

uint64_t bodyhash_length(const struct bodyhash *set, size_t id)
{
	return set->streams[set->hashes[id]->canon]->length;
}
