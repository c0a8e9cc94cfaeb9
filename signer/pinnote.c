/* Notes of PINs: see pinnote.h. */
#include "signer/pinnote.h"

#include "keytable/tokentable.h"

#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SALT_BYTES 16
#define DIGEST_BYTES 32
#define NOTE_MAX (TOKENTABLE_NAME_BYTES_MAX + 2 * SALT_BYTES + 2 * DIGEST_BYTES + 64)

static const char kind_refused[] = "pin-refused";
static const char kind_tried[] = "pin-tried";

struct pinnote {
	char *token;
	char salt[2 * SALT_BYTES + 1]; /* hex, as all that follows */
	char hash[2 * DIGEST_BYTES + 1];
	bool refused; /* what was noted last */
	unsigned unclear;
	void (*note)(void *ctx, const char *text);
	void *ctx;
};

static void to_hex(const unsigned char *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void hash_of(const struct pin *pin, const char *salt, char out[static 2 * DIGEST_BYTES + 1])
{
	unsigned char digest[DIGEST_BYTES];

	pin_digest(pin, slice_str(salt), digest);
	to_hex(digest, sizeof(digest), out);
}

/* The words of a note. */
enum { KIND, TOKEN, SALT, HASH, COUNT, WORDS };

/* Take what the note says, if it is of our token and PIN. */
static void take(struct pinnote *n, const char *text, const struct pin *pin)
{
	struct slice rest = slice_str(text);
	struct slice words[WORDS] = { { NULL, 0 } };
	char salt[sizeof(n->salt)];
	char hash[sizeof(n->hash)];
	unsigned long long count = 0;

	for (int i = 0; i < WORDS && slice_next(&rest, ' ', &words[i]); i++)
		;
	if (!slice_eq(words[TOKEN], slice_str(n->token)) || words[SALT].len != sizeof(salt) - 1)
		return;
	(void)snprintf(salt, sizeof(salt), "%.*s", SLICE_FMT(words[SALT]));
	hash_of(pin, salt, hash);
	if (!slice_eq(words[HASH], slice_str(hash)))
		return;
	/* Under the same salt: so the note can be replaced and withdrawn. */
	memcpy(n->salt, salt, sizeof(salt));
	memcpy(n->hash, hash, sizeof(hash));
	if (slice_eq(words[KIND], slice_str(kind_refused)))
		n->refused = true;
	else if (slice_eq(words[KIND], slice_str(kind_tried)) && slice_u64(words[COUNT], &count) &&
		 count > n->unclear)
		n->unclear = count < UINT_MAX ? (unsigned)count : UINT_MAX - 1;
}

static bool new_salt(struct pinnote *n, const struct pin *pin)
{
	unsigned char salt[SALT_BYTES];

	if (RAND_bytes(salt, sizeof(salt)) != 1)
		return false;
	to_hex(salt, sizeof(salt), n->salt);
	hash_of(pin, n->salt, n->hash);
	return true;
}

enum err pinnote_new(const struct pin_memory *memory, const char *token, const struct pin *pin,
		     struct pinnote **ret_note, bool *ret_refused, unsigned *ret_unclear)
{
	AUTO(pinnote_free) struct pinnote *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return ERR_NOMEM;
	n->note = memory->note;
	n->ctx = memory->ctx;
	n->token = slice_dup(slice_str(token));
	if (n->token == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; memory->notes != NULL && i < memory->notes->count; i++)
		take(n, memory->notes->texts[i], pin);
	if (n->salt[0] == '\0' && !new_salt(n, pin))
		return ERR_CRYPTO;
	*ret_refused = n->refused;
	*ret_unclear = n->unclear;
	*ret_note = n;
	n = NULL; /* handed over */
	return ERR_OK;
}

void pinnote_free(struct pinnote **note)
{
	if (note == NULL || *note == NULL)
		return;
	free((*note)->token);
	free(*note);
	*note = NULL;
}

void pinnote_state(void *ctx, bool refused, unsigned unclear)
{
	struct pinnote *n = ctx;
	char text[NOTE_MAX];

	if (n->note == NULL)
		return;
	if (refused && !n->refused) {
		(void)snprintf(text, sizeof(text), "%s %s %s %s", kind_refused, n->token, n->salt,
			       n->hash);
		n->note(n->ctx, text);
		n->refused = true;
	}
	if (unclear == n->unclear)
		return;
	n->unclear = unclear;
	if (unclear > 0)
		(void)snprintf(text, sizeof(text), "%s %s %s %s %u", kind_tried, n->token, n->salt,
			       n->hash, unclear);
	else /* withdrawn */
		(void)snprintf(text, sizeof(text), "%s %s %s", kind_tried, n->token, n->salt);
	n->note(n->ctx, text);
}
