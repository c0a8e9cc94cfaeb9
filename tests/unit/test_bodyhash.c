/* dkim/bodyhash: known hashes, sharing, l=, every split point, long bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/base64.h"
#include "dkim/bodyhash.h"

#define ARENA_BYTES 262144u

struct fixture {
	struct arena *arena;
	struct bodyhash *set;
};

static struct fixture setup(void)
{
	struct fixture f;

	f.arena = arena_new(ARENA_BYTES);
	assert_non_null(f.arena);
	assert_int_equal(bodyhash_new(f.arena, &f.set), ERR_OK);
	return f;
}

static void teardown(struct fixture *f)
{
	bodyhash_free(&f->set);
	assert_null(f->set);
	arena_free(&f->arena);
}

static size_t want(struct fixture *f, enum dkim_canon canon, enum dkim_hash hash, uint64_t limit)
{
	size_t id = 99;

	assert_int_equal(bodyhash_want(f->set, canon, hash, limit, &id), ERR_OK);
	return id;
}

static bool digest_is(const struct fixture *f, size_t id, const char *base64)
{
	struct buf b;
	bool same;

	buf_init(&b, 64);
	base64_encode(bodyhash_digest(f->set, id), &b);
	same = slice_eq(buf_slice(&b), slice_str(base64));
	buf_done(&b);
	return same;
}

static void known_bodies_give_known_hashes(void **state)
{
	static const struct {
		const char *body;
		enum dkim_canon canon;
		enum dkim_hash hash;
		const char *want;
	} t[] = {
		{ "", DKIM_CANON_SIMPLE, DKIM_HASH_SHA256,
		  "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=" },
		{ "", DKIM_CANON_RELAXED, DKIM_HASH_SHA256,
		  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
		/* RFC 6376 sections 3.4.3 and 3.4.4 */
		{ "", DKIM_CANON_SIMPLE, DKIM_HASH_SHA1, "uoq1oCgLlTqpdDX/iUbLy7J1Wic=" },
		{ "", DKIM_CANON_RELAXED, DKIM_HASH_SHA1, "2jmj7l5rSw0yVb/vlWAYkK/YBwk=" },
		/* the body of RFC 6376 appendix A and RFC 8463 appendix A */
		{ "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n",
		  DKIM_CANON_SIMPLE, DKIM_HASH_SHA256,
		  "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct fixture f = setup();
		size_t id = want(&f, t[i].canon, t[i].hash, BODYHASH_NO_LIMIT);

		bodyhash_update(f.set, t[i].body, strlen(t[i].body));
		assert_int_equal(bodyhash_digest(f.set, id).len, 0);
		assert_int_equal(bodyhash_finish(f.set), ERR_OK);
		assert_true(digest_is(&f, id, t[i].want));
		teardown(&f);
	}
}

static void equal_wishes_share_one_hash(void **state)
{
	struct fixture f = setup();
	size_t a = want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT);
	size_t id = 99;

	(void)state;
	assert_int_equal(want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT), a);
	assert_int_not_equal(want(&f, DKIM_CANON_SIMPLE, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT), a);
	assert_int_not_equal(want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA1, BODYHASH_NO_LIMIT), a);
	assert_int_not_equal(want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, 5), a);
	for (uint64_t limit = 100; limit < 100 + BODYHASH_MAX - 4; limit++)
		(void)want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, limit);
	assert_int_equal(bodyhash_want(f.set, DKIM_CANON_SIMPLE, DKIM_HASH_SHA256, 9, &id),
			 ERR_LIMIT);
	assert_int_equal(id, 99);
	assert_int_equal(want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT), a);
	bodyhash_update(f.set, "x", 1);
	assert_int_equal(
		bodyhash_want(f.set, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT, &id),
		ERR_INTERNAL);
	teardown(&f);
}

static void no_wish_is_satisfied_at_once(void **state)
{
	struct fixture f = setup();

	(void)state;
	assert_true(bodyhash_satisfied(f.set));
	bodyhash_update(f.set, "x", 1);
	assert_int_equal(bodyhash_finish(f.set), ERR_OK);
	teardown(&f);
}

static void plain_digest(struct slice data, uint8_t out[DKIM_DIGEST_MAX])
{
	size_t len = 0;

	assert_int_equal(dkim_digest(DKIM_HASH_SHA256, data, out, &len), ERR_OK);
	assert_int_equal(len, DKIM_DIGEST_MAX);
}

/* Every l= from 0 to beyond the end, byte by byte: the hash is that of the cut canonical body. */
static void limits_cut_the_canonical_body(void **state)
{
	static const char body[] = "a \t b\r\n\r\n \r\nc\r\n\r\n";
	static const char canonical[] = "a b\r\n\r\n\r\nc\r\n";
	const size_t len = sizeof(canonical) - 1;

	(void)state;
	for (size_t limit = 0; limit < len + 3; limit++) {
		struct fixture f = setup();
		size_t id = want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, limit);
		uint8_t digest[DKIM_DIGEST_MAX];
		bool early = limit == 0;

		assert_int_equal(bodyhash_satisfied(f.set), limit == 0);
		for (size_t i = 0; i < sizeof(body) - 1; i++) {
			bodyhash_update(f.set, body + i, 1);
			early = early || bodyhash_satisfied(f.set);
		}
		/* The last CRLF is certain only at the end. */
		assert_int_equal(early, limit <= len - 2);
		assert_int_equal(bodyhash_finish(f.set), ERR_OK);
		assert_int_equal(bodyhash_satisfied(f.set), limit <= len);
		assert_int_equal(bodyhash_length(f.set, id), len);
		plain_digest(slice_of(canonical, limit < len ? limit : len), digest);
		assert_true(slice_eq(bodyhash_digest(f.set, id), slice_of(digest, sizeof(digest))));
		teardown(&f);
	}
}

/* Long and short runs in turn, so that gathering, flushing and direct hashing meet in every order.
 */
static void long_bodies_hash_the_same_in_any_chunks(void **state)
{
	static const size_t chunks[] = { 1, 2, 3, 511, 512, 513, 4095, 4096, 4097, 65535, 200000 };
	const size_t len = 200000;
	char *body = malloc(len);
	struct slice first[2] = { { NULL, 0 }, { NULL, 0 } };
	uint8_t kept[2][DKIM_DIGEST_MAX];
	uint32_t seed = 1;

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		/* in every second block of 8 KB hardly a blank, in the others many */
		if (seed >> 24 < (i / 8192 % 2 == 0 ? 1u : 80u))
			body[i] = " \t\r\n"[seed >> 16 & 3];
		else
			body[i] = (char)('a' + (seed >> 16) % 26);
	}
	for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
		struct fixture f = setup();
		size_t ids[2];

		ids[0] = want(&f, DKIM_CANON_SIMPLE, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT);
		ids[1] = want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT);
		for (size_t i = 0; i < len; i += chunks[c])
			bodyhash_update(f.set, body + i, len - i < chunks[c] ? len - i : chunks[c]);
		assert_int_equal(bodyhash_finish(f.set), ERR_OK);
		for (size_t k = 0; k < 2; k++) {
			struct slice digest = bodyhash_digest(f.set, ids[k]);

			if (first[k].ptr == NULL) {
				memcpy(kept[k], digest.ptr, digest.len);
				first[k] = slice_of(kept[k], digest.len);
			}
			assert_true(slice_eq(digest, first[k]));
		}
		teardown(&f);
	}
	free(body);
}

static void memory_does_not_grow_with_the_body(void **state)
{
	static char chunk[65535];
	struct fixture f = setup();
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = "word  and\r\n"[i % 11];
	(void)want(&f, DKIM_CANON_SIMPLE, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT);
	(void)want(&f, DKIM_CANON_RELAXED, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT);
	used = arena_used(f.arena);
	for (unsigned i = 0; i < 200; i++)
		bodyhash_update(f.set, chunk, sizeof(chunk));
	assert_int_equal(bodyhash_finish(f.set), ERR_OK);
	assert_int_equal(arena_used(f.arena), used);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_bodies_give_known_hashes),
		cmocka_unit_test(equal_wishes_share_one_hash),
		cmocka_unit_test(no_wish_is_satisfied_at_once),
		cmocka_unit_test(limits_cut_the_canonical_body),
		cmocka_unit_test(long_bodies_hash_the_same_in_any_chunks),
		cmocka_unit_test(memory_does_not_grow_with_the_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
