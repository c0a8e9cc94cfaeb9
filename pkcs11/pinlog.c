/* What became of the PINs that were sent, by token. */
#include "pkcs11/pinlog.h"

#include "base/clock.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES 32u
#define SALT_BYTES 16u

/* Tokens of a host are few; their places stay until the process ends. */
struct pinlog_place {
	struct pinlog_place *next;
	char *module_path;
	CK_SLOT_ID slot;
	unsigned char serial[sizeof(((CK_TOKEN_INFO *)0)->serialNumber)];
	unsigned char salt[SALT_BYTES];
	pthread_mutex_t turn; /* held from enter to leave; guards all below */
	bool refused;
	unsigned era; /* when */
	unsigned char digest[DIGEST_BYTES];
	struct err_detail detail;
	struct pin_doubt doubt;
	unsigned doubt_era;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list, never across a call */
static struct pinlog_place *places;
static atomic_uint now; /* grows with each pinlog_forget() */
static _Atomic int64_t unclear_rest_ms = PIN_UNCLEAR_REST_MS;

static struct pinlog_place *place_new(const char *module_path, CK_SLOT_ID slot,
				      const CK_TOKEN_INFO *info)
{
	struct pinlog_place *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->module_path = slice_dup(slice_str(module_path));
	if (p->module_path == NULL || RAND_bytes(p->salt, SALT_BYTES) != 1) {
		free(p->module_path);
		free(p);
		return NULL;
	}
	p->slot = slot;
	memcpy(p->serial, info->serialNumber, sizeof(p->serial));
	(void)pthread_mutex_init(&p->turn, NULL);
	return p;
}

/* The lock is held. */
static struct pinlog_place *find_place(const char *module_path, CK_SLOT_ID slot,
				       const CK_TOKEN_INFO *info)
{
	struct pinlog_place *p = places;

	while (p != NULL && (p->slot != slot || strcmp(p->module_path, module_path) != 0 ||
			     memcmp(p->serial, info->serialNumber, sizeof(p->serial)) != 0))
		p = p->next;
	return p;
}

struct pinlog_place *pinlog_enter(const char *module_path, CK_SLOT_ID slot,
				  const CK_TOKEN_INFO *info)
{
	struct pinlog_place *p;

	(void)pthread_mutex_lock(&lock);
	p = find_place(module_path, slot, info);
	if (p == NULL) {
		p = place_new(module_path, slot, info);
		if (p != NULL) {
			p->next = places;
			places = p;
		}
	}
	(void)pthread_mutex_unlock(&lock);
	if (p != NULL)
		(void)pthread_mutex_lock(&p->turn);
	return p;
}

void pinlog_leave(struct pinlog_place *place)
{
	if (place != NULL)
		(void)pthread_mutex_unlock(&place->turn);
}

static void digest_of(const struct pinlog_place *place, const struct pin *pin,
		      unsigned char digest[static DIGEST_BYTES])
{
	pin_digest(pin, slice_of((const char *)place->salt, SALT_BYTES), digest);
}

bool pinlog_refused(const struct pinlog_place *place, const struct pin *pin,
		    struct err_detail *detail)
{
	unsigned char digest[DIGEST_BYTES];

	if (place == NULL || !place->refused || place->era != atomic_load(&now))
		return false;
	digest_of(place, pin, digest);
	if (CRYPTO_memcmp(digest, place->digest, DIGEST_BYTES) != 0)
		return false;
	*detail = place->detail;
	return true;
}

void pinlog_note(struct pinlog_place *place, const struct pin *pin, const struct err_detail *detail)
{
	if (place == NULL)
		return;
	digest_of(place, pin, place->digest);
	place->detail = *detail;
	place->era = atomic_load(&now);
	place->refused = true;
}

struct pin_doubt pinlog_doubt(const struct pinlog_place *place)
{
	static const struct pin_doubt none = { .count = 0 };

	return place != NULL && place->doubt_era == atomic_load(&now) ? place->doubt : none;
}

void pinlog_set_doubt(struct pinlog_place *place, struct pin_doubt doubt)
{
	if (place == NULL)
		return;
	place->doubt = doubt;
	place->doubt_era = atomic_load(&now);
}

int64_t pinlog_rest_ms(struct pin_doubt doubt)
{
	int64_t left_ms = doubt.last_ms + atomic_load(&unclear_rest_ms) - clock_mono_ms();

	return doubt.count > 0 && left_ms > 0 ? left_ms : 0;
}

void pinlog_set_rest(int64_t rest_ms)
{
	atomic_store(&unclear_rest_ms, rest_ms);
}

void pinlog_forget(void)
{
	atomic_fetch_add(&now, 1); /* not under a turn: whoever has it may hang in C_Login */
}
