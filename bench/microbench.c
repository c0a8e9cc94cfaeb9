/*
 * The pieces of a signature one by one: a body canonicalized and hashed, in percent of SHA-256 over
 * the same bytes, for each kernel that runs here; a header canonicalized; one signature made and
 * verified. Each figure is the best of some rounds, so that other load disturbs little.
 *
 * usage: microbench [ROUNDS]     prints tables, and last a JSON line with the signatures' cost
 */
#include "base/arena.h"
#include "base/attr.h"
#include "bench/message.h"
#include "dkim/bodyhash.h"
#include "dkim/canon_kernel.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	BODY_BYTES = 4 << 20,
	CHUNK_BYTES = 65535, /* as an MTA cuts it */
	ROUNDS = 15,
	SIGNATURES = 200,
	HEADERS = 2000,
	SIGNATURE_MAX = 512
};

static unsigned rounds = ROUNDS;

/* Processor time of this thread: others on the machine do not count. */
static double now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void require(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "microbench: %s failed\n", what);
	exit(EXIT_FAILURE);
}

/* ---- body ---- */

/* The linker puts this in place of canon_kernel_best() (--wrap), so that each kernel gets its turn.
 */
static const struct canon_kernel *kernel;
const struct canon_kernel *__wrap_canon_kernel_best(void);
const struct canon_kernel *__wrap_canon_kernel_best(void)
{
	return kernel;
}

static double raw_us(struct slice body, struct arena *unused)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	double start = now_us();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	(void)unused;
	require(ctx != NULL && EVP_DigestInit_ex(ctx, dkim_digest_md(DKIM_HASH_SHA256), NULL) == 1,
		"SHA-256");
	for (size_t at = 0; at < body.len; at += CHUNK_BYTES) {
		struct slice chunk = slice_sub(body, at, at + CHUNK_BYTES);

		require(EVP_DigestUpdate(ctx, chunk.ptr, chunk.len) == 1, "SHA-256");
	}
	require(EVP_DigestFinal_ex(ctx, digest, NULL) == 1, "SHA-256");
	EVP_MD_CTX_free(ctx);
	return now_us() - start;
}

static double canon_us(struct slice body, enum dkim_canon canon, struct arena *arena)
{
	struct bodyhash *set = NULL;
	double start = now_us();
	size_t id;

	require(bodyhash_new(arena, &set) == ERR_OK, "bodyhash_new");
	require(bodyhash_want(set, canon, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT, &id) == ERR_OK,
		"bodyhash_want");
	for (size_t at = 0; at < body.len; at += CHUNK_BYTES) {
		struct slice chunk = slice_sub(body, at, at + CHUNK_BYTES);

		bodyhash_update(set, chunk.ptr, chunk.len);
	}
	require(bodyhash_finish(set) == ERR_OK, "bodyhash_finish");
	bodyhash_free(&set);
	arena_reset(arena);
	return now_us() - start;
}

static double relaxed_us(struct slice body, struct arena *arena)
{
	return canon_us(body, DKIM_CANON_RELAXED, arena);
}

static double simple_us(struct slice body, struct arena *arena)
{
	return canon_us(body, DKIM_CANON_SIMPLE, arena);
}

/* Percent of raw SHA-256's speed; both in turn, the best of each. */
static double percent(double (*way)(struct slice, struct arena *), struct slice body,
		      struct arena *arena)
{
	double best_raw = 1e18;
	double best = 1e18;

	for (unsigned i = 0; i < rounds; i++) {
		double raw = raw_us(body, arena);
		double us = way(body, arena);

		best_raw = raw < best_raw ? raw : best_raw;
		best = us < best ? us : best;
	}
	return 100 * best_raw / best;
}

static void bodies(struct arena *arena)
{
	static const char *const kinds[] = { "text", "base64", "html", "blanks" };
	struct buf text[ARRAY_LEN(kinds)];

	(void)printf("body, percent of raw SHA-256:\n%-20s", "");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		buf_init(&text[i], (size_t)2 * BODY_BYTES);
		require(message_make_body(kinds[i], BODY_BYTES, &text[i]) == ERR_OK, "the body");
		(void)printf("%9s", kinds[i]);
	}
	for (size_t k = 0; k < canon_kernel_count; k++) {
		kernel = &canon_kernels[k];
		if (!kernel->supported())
			continue;
		(void)printf("\nrelaxed, %-11s", kernel->name);
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			(void)printf("%9.0f", percent(relaxed_us, buf_slice(&text[i]), arena));
	}
	(void)printf("\n%-20s", "simple");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		(void)printf("%9.0f", percent(simple_us, buf_slice(&text[i]), arena));
		buf_done(&text[i]);
	}
	(void)printf("\n");
}

/* ---- header ---- */

static double header_us(const struct message *m, enum dkim_canon canon, struct buf *out)
{
	double start = now_us();

	for (unsigned n = 0; n < HEADERS; n++) {
		buf_reset(out);
		for (size_t i = 0; i < m->header_count; i++)
			dkim_canon_header(canon, slice_str(m->headers[i].name),
					  slice_str(m->headers[i].value), out);
	}
	return (now_us() - start) / HEADERS;
}

static void headers(void)
{
	struct message m;
	struct buf out;

	require(message_make(&m, "text", 0, "joe@example.com") == ERR_OK, "the message");
	buf_init(&out, 1 << 20);
	for (int canon = DKIM_CANON_SIMPLE; canon <= DKIM_CANON_RELAXED; canon++) {
		double best = 1e18;

		for (unsigned i = 0; i < rounds; i++) {
			double us = header_us(&m, (enum dkim_canon)canon, &out);

			best = us < best ? us : best;
		}
		(void)printf("header of %zu fields, %-8s %8.2f us\n", m.header_count,
			     canon == DKIM_CANON_SIMPLE ? "simple" : "relaxed", best);
	}
	buf_done(&out);
	message_done(&m);
}

/* ---- signatures ---- */

struct cost {
	double sign_us;
	double verify_us;
};

/* RSA signs a SHA-256 digest, Ed25519 signs what DKIM gives it: the 32 bytes of the digest. */
static struct cost one_signature(EVP_PKEY *key, const EVP_MD *md)
{
	static const unsigned char digest[32] = "bench";
	unsigned char signature[SIGNATURE_MAX];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct cost cost;
	double start = now_us();

	require(ctx != NULL, "EVP_MD_CTX_new");
	require(EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
			EVP_DigestSign(ctx, signature, &len, digest, sizeof(digest)) == 1,
		"signing");
	cost.sign_us = now_us() - start;
	EVP_MD_CTX_free(ctx);
	ctx = EVP_MD_CTX_new();
	start = now_us();
	require(ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
			EVP_DigestVerify(ctx, signature, len, digest, sizeof(digest)) == 1,
		"verifying");
	cost.verify_us = now_us() - start;
	EVP_MD_CTX_free(ctx);
	return cost;
}

static struct cost mean_cost(EVP_PKEY *key, const EVP_MD *md)
{
	struct cost sum = { 0 };

	require(key != NULL, "making the key");
	for (unsigned i = 0; i < SIGNATURES; i++) {
		struct cost c = one_signature(key, md);

		sum.sign_us += c.sign_us / SIGNATURES;
		sum.verify_us += c.verify_us / SIGNATURES;
	}
	EVP_PKEY_free(key);
	return sum;
}

static void signatures(void)
{
	struct cost rsa = mean_cost(EVP_RSA_gen(2048), EVP_sha256());
	struct cost ed = mean_cost(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL);

	(void)printf("RSA-2048: sign %.0f us, verify %.0f us\n", rsa.sign_us, rsa.verify_us);
	(void)printf("Ed25519:  sign %.0f us, verify %.0f us\n", ed.sign_us, ed.verify_us);
	(void)printf("{\"rsa2048_sign_us\": %.1f, \"rsa2048_verify_us\": %.1f}\n", rsa.sign_us,
		     rsa.verify_us);
}

int main(int argc, char **argv)
{
	struct arena *arena = arena_new((size_t)1 << 20);

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (rounds == 0)
		return 64;
	require(arena != NULL, "the arena");
	bodies(arena);
	headers();
	signatures();
	arena_free(&arena);
	return EXIT_SUCCESS;
}
