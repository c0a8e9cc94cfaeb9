/* The private keys of a token by label and id. */
#include "pkcs11/keyindex.h"

#include "base/clock.h"
#include "base/hash.h"
#include "pkcs11/ckr.h"

#include <stdint.h>
#include <stdlib.h>

#define BATCH 256
/* A token that never ends its list is broken. */
#define KEYS_MAX 4000000u
#define NAME_MAX_BYTES 1024u
#define NONE UINT32_MAX

struct entry {
	CK_OBJECT_HANDLE handle;
	char *label;
	char *id;
	uint32_t label_len;
	uint32_t id_len;
	uint32_t next_label; /* in the same bucket */
	uint32_t next_id;
};

struct keyindex {
	struct entry *entries;
	size_t count;
	size_t room;
	uint32_t *label_buckets;
	uint32_t *id_buckets;
	size_t buckets; /* a power of two */
	CK_RV failure;	/* of an attribute that could not be read; CKR_OK: none */
};

static struct slice label_of(const struct entry *e)
{
	return slice_of(e->label, e->label_len);
}

static struct slice id_of(const struct entry *e)
{
	return slice_of(e->id, e->id_len);
}

void keyindex_free(struct keyindex **index)
{
	if (index == NULL || *index == NULL)
		return;
	for (size_t i = 0; i < (*index)->count; i++) {
		free((*index)->entries[i].label);
		free((*index)->entries[i].id);
	}
	free((*index)->entries);
	free((*index)->label_buckets);
	free((*index)->id_buckets);
	free(*index);
	*index = NULL;
}

/* The token's failure, not the object's: it lacks the attribute, or was deleted since the search.
 */
static bool token_failed(CK_RV rv)
{
	switch (ckr_info(rv)->class) {
	case CKR_CLASS_REOPEN:
	case CKR_CLASS_RETRY:
	case CKR_CLASS_LOGIN:
	case CKR_CLASS_RELOAD:
	case CKR_CLASS_FAIL_OVER:
		return true;
	case CKR_CLASS_OK:
	case CKR_CLASS_REFIND:
	case CKR_CLASS_PIN:
	case CKR_CLASS_PERMANENT:
	case CKR_CLASS_BUG:
		return false;
	}
	return false;
}

/* One attribute, "" when the key has none or a token lies about its length. */
static char *read_attribute(struct keyindex *index, CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
			    CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, uint32_t *ret_len)
{
	char bytes[NAME_MAX_BYTES];
	CK_ATTRIBUTE attribute = { type, bytes, sizeof(bytes) };
	CK_RV rv = f->C_GetAttributeValue(session, object, &attribute, 1);

	*ret_len = 0;
	if (rv == CKR_OK && attribute.ulValueLen <= sizeof(bytes))
		*ret_len = (uint32_t)attribute.ulValueLen;
	if (token_failed(rv))
		index->failure = rv;
	return slice_dup(slice_of(bytes, *ret_len));
}

static enum err add(struct keyindex *index, CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
		    CK_OBJECT_HANDLE object)
{
	struct entry *e;

	if (index->count == index->room) {
		size_t room = index->room != 0 ? index->room * 2 : 64;
		struct entry *more = realloc(index->entries, room * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		index->entries = more;
		index->room = room;
	}
	e = &index->entries[index->count];
	*e = (struct entry){ .handle = object };
	e->label = read_attribute(index, f, session, object, CKA_LABEL, &e->label_len);
	e->id = read_attribute(index, f, session, object, CKA_ID, &e->id_len);
	index->count++; /* before the check: free() then finds what there is */
	return e->label != NULL && e->id != NULL ? ERR_OK : ERR_NOMEM;
}

/* The handles of a search; a token that is away or lies ends it with an error. */
struct handles {
	CK_OBJECT_HANDLE *list;
	size_t count;
	size_t room;
};

/* For whoever watches. */
struct progress {
	int64_t began_ms;
	int64_t deadline_ms;
	_Atomic int64_t *beat_ms;
};

static enum err come_on(const struct progress *p, size_t keys, struct err_detail *detail)
{
	int64_t now_ms = clock_mono_ms();

	if (p->beat_ms != NULL)
		atomic_store(p->beat_ms, now_ms);
	if (now_ms < p->deadline_ms)
		return ERR_OK;
	err_detail_set(detail, "its list of keys was given up after %lld s and %zu keys",
		       (long long)(now_ms - p->began_ms) / 1000, keys);
	return ERR_TOKEN_FAILED;
}

static enum err keep(struct handles *h, const CK_OBJECT_HANDLE *found, CK_ULONG n,
		     struct err_detail *detail)
{
	if (n == 0)
		return ERR_OK;
	if (n > BATCH || h->count + n > KEYS_MAX) {
		err_detail_set(detail, "C_FindObjects: %lu more keys behind %zu", n, h->count);
		return ERR_TOKEN_FAILED;
	}
	if (h->count + n > h->room) {
		size_t room = h->room != 0 ? 2 * h->room : BATCH;
		CK_OBJECT_HANDLE *more = realloc(h->list, room * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		h->list = more;
		h->room = room;
	}
	memcpy(h->list + h->count, found, n * sizeof(*found));
	h->count += n;
	return ERR_OK;
}

static enum err collect(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, struct handles *h,
			const struct progress *progress, struct err_detail *detail)
{
	CK_OBJECT_HANDLE found[BATCH];
	CK_ULONG n = 0;
	enum err e;

	do {
		CK_RV rv = f->C_FindObjects(session, found, BATCH, &n);

		e = rv == CKR_OK ? keep(h, found, n, detail)
				 : ckr_error("C_FindObjects", rv, detail);
		if (e == ERR_OK)
			e = come_on(progress, h->count, detail);
	} while (e == ERR_OK && n > 0);
	return e;
}

static enum err search(struct keyindex *index, CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
		       const struct progress *progress, struct err_detail *detail)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof(class) },
				  { CKA_TOKEN, &yes, sizeof(yes) } };
	struct handles h = { NULL, 0, 0 };
	CK_RV rv = f->C_FindObjectsInit(session, wanted, ARRAY_LEN(wanted));
	enum err e;

	if (rv != CKR_OK)
		return ckr_error("C_FindObjectsInit", rv, detail);
	e = collect(f, session, &h, progress, detail);
	(void)f->C_FindObjectsFinal(session);
	/* Attributes are read after the search: some tokens allow one operation a session. */
	for (size_t i = 0; i < h.count && e == ERR_OK; i++) {
		e = add(index, f, session, h.list[i]);
		if (e == ERR_OK)
			e = come_on(progress, i + 1, detail);
	}
	free(h.list);
	return e;
}

static void chain(uint32_t *bucket, uint32_t *next, uint32_t entry)
{
	*next = *bucket;
	*bucket = entry;
}

static enum err make_buckets(struct keyindex *index)
{
	index->buckets = 64;
	while (index->buckets < index->count * 2)
		index->buckets *= 2;
	index->label_buckets = malloc(index->buckets * sizeof(uint32_t));
	index->id_buckets = malloc(index->buckets * sizeof(uint32_t));
	if (index->label_buckets == NULL || index->id_buckets == NULL)
		return ERR_NOMEM;
	memset(index->label_buckets, 0xff, index->buckets * sizeof(uint32_t));
	memset(index->id_buckets, 0xff, index->buckets * sizeof(uint32_t));
	for (size_t i = index->count; i-- > 0;) {
		struct entry *e = &index->entries[i];
		size_t mask = index->buckets - 1;

		chain(&index->label_buckets[hash_bytes(label_of(e)) & mask], &e->next_label,
		      (uint32_t)i);
		chain(&index->id_buckets[hash_bytes(id_of(e)) & mask], &e->next_id, (uint32_t)i);
	}
	return ERR_OK;
}

enum err keyindex_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, int64_t deadline_ms,
		       _Atomic int64_t *beat_ms, struct keyindex **ret_index,
		       struct err_detail *detail)
{
	const struct progress progress = { clock_mono_ms(), deadline_ms, beat_ms };
	struct keyindex *index = calloc(1, sizeof(*index));
	enum err e = index != NULL ? search(index, f, session, &progress, detail) : ERR_NOMEM;

	if (e == ERR_OK)
		e = make_buckets(index);
	if (e != ERR_OK) {
		keyindex_free(&index);
		return e;
	}
	*ret_index = index;
	return ERR_OK;
}

size_t keyindex_count(const struct keyindex *index)
{
	return index->count;
}

size_t keyindex_sample(const struct keyindex *index, CK_OBJECT_HANDLE *handles, size_t max)
{
	size_t n = index->count < max ? index->count : max;

	for (size_t i = 0; i < n; i++)
		handles[i] = index->entries[i * index->count / n].handle;
	return n;
}

CK_RV keyindex_failure(const struct keyindex *index)
{
	return index->failure;
}

size_t keyindex_find(const struct keyindex *index, struct slice label, struct slice id,
		     CK_OBJECT_HANDLE *handles, size_t max)
{
	bool by_id = id.ptr != NULL;
	size_t mask = index->buckets - 1;
	uint32_t at = by_id ? index->id_buckets[hash_bytes(id) & mask]
			    : index->label_buckets[hash_bytes(label) & mask];
	size_t count = 0;

	while (at != NONE) {
		const struct entry *e = &index->entries[at];

		at = by_id ? e->next_id : e->next_label;
		if ((by_id && !slice_eq(id_of(e), id)) ||
		    (label.ptr != NULL && !slice_eq(label_of(e), label)))
			continue;
		if (count < max)
			handles[count] = e->handle;
		count++;
	}
	return count;
}
