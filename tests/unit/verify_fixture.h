/*
 * What the tests of verifying share: a message as text, a small DNS as a table, one call that does
 * what a milter does, and signatures over any tags, also over nonsense.
 */
#ifndef TESTS_UNIT_VERIFY_FIXTURE_H
#define TESTS_UNIT_VERIFY_FIXTURE_H

#include "tests/unit/sign_fixture.h"

#include "dkim/verify.h"

#define NOW 1528637909
#define ED25519_RECORD "v=DKIM1; k=ed25519; p=" ED25519_PUBLIC

/** One name of the DNS; several rows of a name are several TXT records. */
struct dns_row {
	const char *name;
	const char *text; /* NULL: no record, status says why */
	enum dkim_key_status status;
	enum dkim_dnssec dnssec;
};

struct message {
	struct arena *arena;
	struct hdrstore *headers;
	struct dkim_verify_params params;
	const struct dns_row *dns;
	size_t dns_count;
	struct dkim_verifier *verifier;
	const struct dkim_verdict *verdicts;
	size_t count;
};

static UNUSED void message_open(struct message *m, const char *fields, const struct dns_row *dns,
				size_t dns_count)
{
	*m = (struct message){ .dns = dns, .dns_count = dns_count };
	m->arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	assert_non_null(m->arena);
	assert_int_equal(hdrstore_new(m->arena, 0, &m->headers), ERR_OK);
	add_fields(m->headers, slice_str(fields), true);
	m->params = (struct dkim_verify_params){
		.time = { .now = NOW, .drift_s = 300 },
		.max_signatures = 8,
		.min_key_bits = 1024,
		.bogus_key = DKIM_KEY_POLICY_FAIL,
		.author_domain = SLICE_LIT("football.example.com"),
	};
}

static UNUSED void message_close(struct message *m)
{
	dkim_verify_free(&m->verifier);
	arena_free(&m->arena);
}

static UNUSED void message_answer_one(struct message *m, const struct idn_name *name,
				      struct dkim_key_answer *answer)
{
	struct slice *records = arena_calloc(m->arena, m->dns_count + 1, sizeof(*records));

	assert_non_null(records);
	*answer = (struct dkim_key_answer){ .status = DKIM_KEY_NOT_FOUND, .records = records };
	for (size_t i = 0; i < m->dns_count; i++) {
		if (strcmp(m->dns[i].name, name->text) != 0)
			continue;
		answer->status = m->dns[i].status;
		answer->dnssec = m->dns[i].dnssec;
		if (m->dns[i].text != NULL) {
			answer->status = DKIM_KEY_FOUND;
			records[answer->count++] = slice_str(m->dns[i].text);
		}
	}
}

/* Plan, body in chunks of chunk bytes, answers, verdicts. Stops when the body is satisfied, as the
 * milter does. */
static UNUSED void message_verify_chunks(struct message *m, struct slice body, size_t chunk)
{
	struct dkim_key_answer answers[LIMIT_VERIFY_SIGNATURES];
	const struct idn_name *names;
	size_t count;

	assert_int_equal(dkim_verify_plan(m->arena, m->headers, &m->params, &m->verifier), ERR_OK);
	count = dkim_verify_lookups(m->verifier, &names);
	assert_true(count <= m->params.max_signatures);
	for (size_t i = 0; i < body.len && !dkim_verify_body_satisfied(m->verifier); i += chunk) {
		struct slice piece = slice_sub(body, i, i + chunk);

		dkim_verify_body(m->verifier, piece.ptr, piece.len);
	}
	for (size_t i = 0; i < count; i++)
		message_answer_one(m, &names[i], &answers[i]);
	assert_int_equal(dkim_verify_finish(m->verifier, answers), ERR_OK);
	m->count = dkim_verify_verdicts(m->verifier, &m->verdicts);
}

static UNUSED void message_verify(struct message *m, const char *body)
{
	message_verify_chunks(m, slice_str(body), strlen(body) + 1);
}

/* bh= of a body, relaxed or simple, of its first limit canonical bytes. */
static UNUSED void base64_body_hash(struct arena *arena, enum dkim_canon canon, const char *body,
				    uint64_t limit, struct buf *out)
{
	struct bodyhash *set;
	size_t id;

	assert_int_equal(bodyhash_new(arena, &set), ERR_OK);
	assert_int_equal(bodyhash_want(set, canon, DKIM_HASH_SHA256, limit, &id), ERR_OK);
	bodyhash_update(set, body, strlen(body));
	assert_int_equal(bodyhash_finish(set), ERR_OK);
	base64_encode(bodyhash_digest(set, id), out);
	bodyhash_free(&set);
}

/*
 * A signature over headers that are in the store: tags as given, which end in "b=",
 * canonicalization relaxed/relaxed or what c= says for the header.
 * @return the value, folds as in tags
 */
static UNUSED struct slice sign_tags(struct arena *arena, const struct hdrstore *headers,
				     EVP_PKEY *key, const char *tags)
{
	static struct slice names[NAMES_MAX];
	struct slice value = slice_str(tags);
	struct slice h = SLICE_LIT("");
	struct slice c = SLICE_LIT("relaxed");
	struct slice part;
	struct slice input;
	struct slice signature;
	struct slice result;
	uint8_t digest[DKIM_DIGEST_MAX];
	size_t digest_len = 0;
	size_t count = 0;
	struct buf out;

	(void)find_tag(value, "h", &h);
	(void)find_tag(value, "c", &c);
	while (slice_next(&h, ':', &part))
		names[count++] = slice_trim(part);
	assert_int_equal(dkim_header_input(arena, headers,
					   slice_starts(slice_trim(c), SLICE_LIT("simple"))
						   ? DKIM_CANON_SIMPLE
						   : DKIM_CANON_RELAXED,
					   names, count, SLICE_LIT(FIELD), value, &input),
			 ERR_OK);
	assert_int_equal(dkim_digest(DKIM_HASH_SHA256, input, digest, &digest_len), ERR_OK);
	signature = sign_bytes(arena, key, input, slice_of(digest, digest_len));
	buf_init(&out, LIMIT_SIG_HEADER_OUT_BYTES);
	buf_add(&out, value);
	base64_encode(signature, &out);
	assert_int_equal(arena_dup(arena, buf_slice(&out), &result), ERR_OK);
	buf_done(&out);
	return result;
}

static UNUSED const char *reason_of(const struct message *m, size_t i)
{
	assert_true(i < m->count);
	return dkim_reason_text(m->verdicts[i].reason);
}

#endif
