/*
 * Signs messages with the library alone, keys from PEM files: the near end of the cross-check with
 * other verifiers. usage: sign_stream PEM... ; for each message on standard input "LENGTH
 * HEADERCANON BODYCANON LEADSPC CHUNK\n" and the raw message; on standard output "LENGTH\n" and the
 * message with one signature a key on top. The selector is the key's type, the domain example.com.
 * LEADSPC is 0 or 1, CHUNK the size of the body's pieces.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "dkim/sign.h"

#define MESSAGE_MAX 67108864u
#define KEYS_MAX 4

struct job {
	struct dkim_sign_params params;
	size_t chunk;
	struct slice header; /* each field with its CRLF */
	struct slice body;
};

static struct {
	EVP_PKEY *pkey;
	enum key_type type;
} keys[KEYS_MAX];
static int key_count;

static void die(const char *what)
{
	(void)fprintf(stderr, "sign_stream: %s\n", what);
	exit(1);
}

static void must(enum err e)
{
	if (e != ERR_OK)
		die(err_text(e));
}

static void load_key(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL || key_count == KEYS_MAX)
		die(path);
	keys[key_count].pkey = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	if (keys[key_count].pkey == NULL)
		die(path);
	keys[key_count].type = EVP_PKEY_is_a(keys[key_count].pkey, "ED25519") == 1
				       ? KEY_TYPE_ED25519
				       : KEY_TYPE_RSA;
	key_count++;
}

/* What the MTA hands over: LF in folds, and without the first space when it did not negotiate it.
 */
static void add_field(struct hdrstore *h, struct slice field, bool leading_space)
{
	size_t colon = slice_find(field, ':');
	struct slice value = slice_sub(field, colon + 1, field.len);
	struct slice line;
	struct buf b;

	buf_init(&b, MESSAGE_MAX);
	if (!leading_space && value.len != 0 && value.ptr[0] == ' ')
		value = slice_sub(value, 1, value.len);
	while (slice_next(&value, '\n', &line)) {
		bool more = value.ptr != NULL;

		if (more && line.len != 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		buf_add(&b, line);
		if (more)
			buf_add_ch(&b, '\n');
	}
	must(hdrstore_add(h, slice_sub(field, 0, colon), buf_slice(&b), leading_space));
	buf_done(&b);
}

static void add_fields(struct hdrstore *h, struct slice text, bool leading_space)
{
	while (text.len != 0) {
		size_t end = 0;

		do {
			end += slice_find(slice_sub(text, end, text.len), '\n') + 1;
		} while (end < text.len &&
			 (ch_is_wsp(text.ptr[end]) || end < 2 || text.ptr[end - 2] != '\r'));
		add_field(h, slice_sub(text, 0, end - 2), leading_space);
		text = slice_sub(text, end, text.len);
	}
}

static void hash_body(struct arena *arena, struct job *job)
{
	struct bodyhash *set;
	size_t id;

	must(bodyhash_new(arena, &set));
	must(bodyhash_want(set, job->params.body_canon, DKIM_HASH_SHA256, BODYHASH_NO_LIMIT, &id));
	for (size_t i = 0; i < job->body.len; i += job->chunk)
		bodyhash_update(set, job->body.ptr + i,
				job->body.len - i < job->chunk ? job->body.len - i : job->chunk);
	must(bodyhash_finish(set));
	must(arena_dup(arena, bodyhash_digest(set, id), &job->params.body_digest));
	bodyhash_free(&set);
}

static struct slice sign_bytes(struct arena *arena, int key, struct slice input,
			       struct slice digest)
{
	bool is_rsa = keys[key].type == KEY_TYPE_RSA;
	struct slice data = is_rsa ? input : digest;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[1024];
	size_t len = sizeof(sig);
	struct slice out;

	if (EVP_DigestSignInit(ctx, NULL, is_rsa ? EVP_sha256() : NULL, NULL, keys[key].pkey) !=
		    1 ||
	    EVP_DigestSign(ctx, sig, &len, (const unsigned char *)data.ptr, data.len) != 1)
		die("signing failed");
	EVP_MD_CTX_free(ctx);
	must(arena_dup(arena, slice_of(sig, len), &out));
	return out;
}

/* The MTA's part: its space, the LF of the folds as CRLF. */
static void write_field(struct slice value, bool leading_space, struct buf *out)
{
	struct slice line;

	buf_add_str(out, leading_space ? "DKIM-Signature:" : "DKIM-Signature: ");
	while (slice_next(&value, '\n', &line)) {
		buf_add(out, line);
		buf_add_str(out, "\r\n");
	}
}

static void sign_message(struct job *job, struct buf *out)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct hdrstore *h;

	must(hdrstore_new(arena, 0, &h));
	add_fields(h, job->header, job->params.leading_space);
	hash_body(arena, job);
	for (int i = 0; i < key_count; i++) {
		const struct dkim_sign_request request = {
			.domain = SLICE_LIT("example.com"),
			.selector = slice_str(key_type_name(keys[i].type)),
			.alg = dkim_alg_for_key(keys[i].type),
		};
		struct dkim_sign_prepared *prepared;
		struct slice input;
		struct slice digest;
		struct slice value;

		must(dkim_sign_prepare(arena, h, &job->params, &request, &prepared, &input,
				       &digest));
		must(dkim_sign_finish(arena, prepared, sign_bytes(arena, i, input, digest),
				      &value));
		write_field(value, job->params.leading_space, out);
	}
	arena_free(&arena);
}

static void parse_job(struct slice line, struct job *job, size_t *ret_len)
{
	struct slice part[5];
	unsigned long long number[5] = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		if (!slice_next(&line, ' ', &part[i]))
			die("short line");
		if (i != 1 && i != 2 && !slice_u64(part[i], &number[i]))
			die("not a number");
	}
	if (number[0] > MESSAGE_MAX || number[4] == 0 ||
	    !dkim_canon_find(part[1], &job->params.header_canon) ||
	    !dkim_canon_find(part[2], &job->params.body_canon))
		die("bad line");
	*ret_len = number[0];
	job->params.leading_space = number[3] != 0;
	job->chunk = number[4];
}

/* The header ends with the first empty line. */
static void split_message(struct slice raw, struct job *job)
{
	size_t end = 0;

	while (end + 4 <= raw.len && memcmp(raw.ptr + end, "\r\n\r\n", 4) != 0)
		end++;
	if (end + 4 > raw.len)
		die("no empty line");
	job->header = slice_sub(raw, 0, end + 2);
	job->body = slice_sub(raw, end + 4, raw.len);
}

static void serve(const struct dkim_hdrselect *select)
{
	char line[128];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct job job = { .params = { .select = select, .now = 1764000000 } };
		struct buf out;
		size_t len;
		char *raw;

		parse_job(slice_sub(slice_str(line), 0, strlen(line) - 1), &job, &len);
		raw = malloc(len + 1);
		if (raw == NULL || fread(raw, 1, len, stdin) != len)
			die("short message");
		split_message(slice_of(raw, len), &job);
		buf_init(&out, MESSAGE_MAX);
		sign_message(&job, &out);
		buf_add(&out, slice_of(raw, len));
		must(out.error);
		(void)printf("%zu\n", out.len);
		(void)fwrite(out.data, 1, out.len, stdout);
		(void)fflush(stdout);
		buf_done(&out);
		free(raw);
	}
}

int main(int argc, char **argv)
{
	struct dkim_hdrselect *select;

	for (int i = 1; i < argc; i++)
		load_key(argv[i]);
	must(dkim_hdrselect_new("*,+Message-ID,+X-*", NULL, "From,To,X-Over,Reply-To", &select,
				NULL));
	serve(select);
	dkim_hdrselect_free(&select);
	return 0;
}
