/* SipHash-1-3 (Aumasson, Bernstein) under a random key. */
#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
	struct timespec now = { 0 };

	if (getrandom(key, sizeof(key), GRND_NONBLOCK) == (ssize_t)sizeof(key))
		return;
	/* No random numbers this early after boot: better a weak key than no mail. */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	key[0] ^= (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
	key[1] ^= (uint64_t)now.tv_sec ^ (uint64_t)(uintptr_t)&now;
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

/* Eight bytes at once: A-Z become a-z. */
static uint64_t lower_word(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t low = word & ones * 0x7f;
	uint64_t from_a = low + ones * (0x80 - 'A'); /* bit 7 is set from 'A' on */
	uint64_t above_z = low + ones * (0x7f - 'Z');

	return word | (from_a & ~above_z & ~word & ones * 0x80) >> 2;
}

static uint64_t hash_with(struct slice s, bool fold_case)
{
	struct sip sip;
	uint64_t word;
	size_t i;

	(void)pthread_once(&key_once, draw_key);
	sip.v0 = key[0] ^ 0x736f6d6570736575u;
	sip.v1 = key[1] ^ 0x646f72616e646f6du;
	sip.v2 = key[0] ^ 0x6c7967656e657261u;
	sip.v3 = key[1] ^ 0x7465646279746573u;
	for (i = 0; i + 8 <= s.len; i += 8) {
		memcpy(&word, s.ptr + i, 8);
		sip_word(&sip, fold_case ? lower_word(word) : word);
	}
	word = 0;
	if (i < s.len)
		memcpy(&word, s.ptr + i, s.len - i);
	sip_word(&sip, (fold_case ? lower_word(word) : word) ^ (uint64_t)s.len << 56);
	sip.v2 ^= 0xff;
	for (unsigned n = 0; n < 3; n++)
		sip_round(&sip);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

uint64_t hash_bytes(struct slice s)
{
	return hash_with(s, false);
}

uint64_t hash_icase(struct slice s)
{
	return hash_with(s, true);
}
