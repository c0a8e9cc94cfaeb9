/* PINs. */
#define _GNU_SOURCE /* MADV_DONTDUMP, MAP_ANONYMOUS */
#include "pkcs11/pin.h"

#include "base/limits.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

/* Alone on its page, so that locking and wiping meet nothing else. */
struct pin {
	size_t len;
	char bytes[LIMIT_PIN_BYTES];
};

static struct slice without_line_end(struct slice s)
{
	if (s.len > 0 && s.ptr[s.len - 1] == '\n')
		s.len--;
	if (s.len > 0 && s.ptr[s.len - 1] == '\r')
		s.len--;
	return s;
}

/* @return NULL: nothing */
static const char *what_is_wrong(struct slice text)
{
	if (text.len == 0)
		return "is empty: one line with it is wanted";
	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf")))
		return "begins with a byte order mark; save its file as UTF-8 without BOM";
	if (text.len > LIMIT_PIN_BYTES)
		return "is longer than 255 bytes";
	if (memchr(text.ptr, '\0', text.len) != NULL)
		return "is not a text: it holds a NUL byte";
	if (memchr(text.ptr, '\n', text.len) != NULL || memchr(text.ptr, '\r', text.len) != NULL)
		return "has more than one line; its file holds the PIN and nothing else";
	return NULL;
}

enum err pin_new(struct slice bytes, struct pin **ret_pin, struct err_detail *detail)
{
	struct slice text = without_line_end(bytes);
	const char *wrong = what_is_wrong(text);
	struct pin *pin;

	if (wrong != NULL) {
		err_detail_set(detail, "the PIN %s", wrong);
		return ERR_SYNTAX;
	}
	pin = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pin == MAP_FAILED)
		return ERR_NOMEM;
	/* Without the right to lock memory it stays in a process that dumps no core. */
	(void)mlock(pin, PAGE_BYTES);
	(void)madvise(pin, PAGE_BYTES, MADV_DONTDUMP);
	memcpy(pin->bytes, text.ptr, text.len);
	pin->len = text.len;
	*ret_pin = pin;
	return ERR_OK;
}

void pin_free(struct pin **pin)
{
	if (pin == NULL || *pin == NULL)
		return;
	OPENSSL_cleanse(*pin, sizeof(**pin));
	(void)munmap(*pin, PAGE_BYTES);
	*pin = NULL;
}

bool pin_has_outer_blank(const struct pin *pin)
{
	return slice_trim(pin_bytes(pin)).len != pin->len;
}

struct slice pin_bytes(const struct pin *pin)
{
	return slice_of(pin->bytes, pin->len);
}

void pin_digest(const struct pin *pin, struct slice salt, unsigned char out[static 32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	memset(out, 0, 32);
	if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, salt.ptr, salt.len) == 1 &&
	    EVP_DigestUpdate(ctx, pin->bytes, pin->len) == 1)
		(void)EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
}
