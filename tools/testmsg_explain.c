/* --explain: what a signature covers, its canonical forms and hashes. */
#include "base/base64.h"
#include "dkim/bodyhash.h"
#include "dkim/hdrinput.h"
#include "tools/testmsg.h"

/* Lines of a canonical body that are shown. */
#define BODY_LINES_SHOWN 20U

static bool readable(const struct testmsg_case *c)
{
	return c->verdict->sig.names_count != 0 && c->verdict->sig.hashed.len != 0 &&
	       c->verdict->sig.has_alg;
}

enum err testmsg_body_hash(const struct testmsg_case *c, struct slice body,
			   unsigned char ret_digest[static 32], size_t *ret_len)
{
	const struct sighdr *sig = &c->verdict->sig;
	struct arena *arena = arena_new((size_t)1024 * 1024);
	struct bodyhash *hashes = NULL;
	size_t id = 0;
	enum err e = arena != NULL ? bodyhash_new(arena, &hashes) : ERR_NOMEM;

	if (e == ERR_OK)
		e = bodyhash_want(hashes, sig->body_canon, dkim_alg_info(sig->alg)->hash,
				  sig->length, &id);
	if (e == ERR_OK) {
		bodyhash_update(hashes, body.ptr, body.len);
		e = bodyhash_finish(hashes);
	}
	if (e == ERR_OK) {
		struct slice digest = bodyhash_digest(hashes, id);

		memcpy(ret_digest, digest.ptr, digest.len);
		*ret_len = digest.len;
	}
	bodyhash_free(&hashes);
	arena_free(&arena);
	return e;
}

enum err testmsg_header_input(const struct testmsg_case *c, const struct hdrstore *headers,
			      struct slice *ret_input)
{
	const struct sighdr *sig = &c->verdict->sig;

	return dkim_header_input(c->message->arena, headers, sig->header_canon, sig->names,
				 sig->names_count, c->verdict->field->raw_name, sig->hashed,
				 ret_input);
}

bool testmsg_signature_fits(const struct testmsg_case *c, struct slice input)
{
	const struct sighdr *sig = &c->verdict->sig;
	unsigned char digest[DKIM_DIGEST_MAX];
	size_t len = 0;

	return c->key != NULL &&
	       dkim_digest(dkim_alg_info(sig->alg)->hash, input, digest, &len) == ERR_OK &&
	       pubkey_verify(c->key, sig->alg, slice_of(digest, len), sig->signature) == ERR_OK;
}

/* ---- printing ---- */

static void print_base64(const char *title, struct slice bytes)
{
	struct buf b;

	buf_init(&b, 256);
	base64_encode(bytes, &b);
	(void)printf("  %-22s %.*s\n", title, SLICE_FMT(buf_slice(&b)));
	buf_done(&b);
}

/* Bytes with every blank at a line's end to be seen: CRLF as "$", others escaped. */
static void print_visible(struct slice text, unsigned max_lines)
{
	unsigned lines = 0;

	(void)fputs("    | ", stdout);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.ptr[i];

		if (ch == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n') {
			i++;
			if (++lines == max_lines) {
				(void)printf("$\n    (%zu bytes more)", text.len - i - 1);
				break;
			}
			(void)fputs(i + 1 < text.len ? "$\n    | " : "$", stdout);
		} else if (ch == '\t') {
			(void)fputs("\\t", stdout);
		} else if (ch < 0x20 || ch >= 0x7f || ch == '\\') {
			(void)printf("\\x%02x", ch);
		} else {
			(void)fputc(ch, stdout);
		}
	}
	(void)fputc('\n', stdout);
}

static void print_names(const struct testmsg_case *c)
{
	const struct sighdr *sig = &c->verdict->sig;
	struct hdrpick *pick = NULL;

	if (hdrpick_new(c->message->headers, c->message->arena, &pick) != ERR_OK)
		return;
	(void)puts("  signed header fields:");
	for (size_t i = 0; i < sig->names_count; i++)
		(void)printf("    %.*s%s\n", SLICE_FMT(sig->names[i]),
			     hdrpick_next(pick, sig->names[i]) != NULL ? ""
								       : " (none left: none may "
									 "be added)");
}

static void collect(void *ctx, const char *data, size_t len)
{
	buf_add(ctx, slice_of(data, len));
}

static void print_body(const struct testmsg_case *c)
{
	const struct sighdr *sig = &c->verdict->sig;
	struct dkim_canon_body canon;
	unsigned char digest[DKIM_DIGEST_MAX];
	size_t len = 0;
	struct buf b;

	buf_init(&b, TESTMSG_BYTES_MAX * 2);
	dkim_canon_body_init(&canon, sig->body_canon, (struct dkim_canon_sink){ collect, &b });
	dkim_canon_body_update(&canon, c->message->body.ptr, c->message->body.len);
	dkim_canon_body_final(&canon);
	(void)printf("  canonical body (%s), %zu bytes:\n", dkim_canon_name(sig->body_canon).ptr,
		     b.len);
	print_visible(buf_slice(&b), BODY_LINES_SHOWN);
	buf_done(&b);
	if (testmsg_body_hash(c, c->message->body, digest, &len) == ERR_OK)
		print_base64("body hash computed:", slice_of(digest, len));
	print_base64("body hash signed (bh=):", sig->body_hash);
}

static void print_header(const struct testmsg_case *c)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	size_t len = 0;
	struct slice input;

	if (testmsg_header_input(c, c->message->headers, &input) != ERR_OK)
		return;
	(void)printf("  canonical header (%s), %zu bytes:\n",
		     dkim_canon_name(c->verdict->sig.header_canon).ptr, input.len);
	print_visible(input, 1000);
	if (dkim_digest(dkim_alg_info(c->verdict->sig.alg)->hash, input, digest, &len) == ERR_OK)
		print_base64("header hash computed:", slice_of(digest, len));
}

static void print_guess(const struct testmsg_case *c)
{
	char room[400];
	const char *guess = NULL;

	if (c->verdict->reason == DKIM_REASON_BODY_CHANGED)
		guess = testmsg_guess_body(c, room, sizeof(room));
	else if (c->verdict->reason == DKIM_REASON_BAD_SIGNATURE && c->key != NULL)
		guess = testmsg_guess_header(c, room, sizeof(room));
	else
		return;
	(void)printf(
		"  likely change: %s\n",
		guess != NULL ? guess
		: c->verdict->reason == DKIM_REASON_BODY_CHANGED
			? "the body was changed, but by none of the rewrites known here"
			: "a signed header field was changed (the body is as it was signed), or "
			  "the key in DNS is not the one that signed");
}

void testmsg_explain(const struct testmsg_case *c)
{
	if (!readable(c)) {
		(void)puts("  the signature field cannot be read any further");
		return;
	}
	print_names(c);
	print_header(c);
	print_body(c);
	print_guess(c);
}
