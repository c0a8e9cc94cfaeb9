/*
 * A whole message against a whole answer: header and body as on the wire, parted by an empty line,
 * and behind a NUL the key record for every look-up. Ends in our Authentication-Results field,
 * which must read as ours.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dkim/authres.h"
#include "dkim/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Lines that do not start with a blank are fields; the first without a colon ends the header. */
static struct slice add_fields(struct hdrstore *headers, struct slice text)
{
	while (text.len != 0) {
		size_t colon = slice_find(text, ':');
		size_t end = slice_find(text, '\n');
		struct slice value;

		if (colon >= end)
			return text;
		while (end + 1 < text.len && ch_is_wsp(text.ptr[end + 1]))
			end += 1 + slice_find(slice_sub(text, end + 1, text.len), '\n');
		value = slice_rtrim(slice_sub(text, colon + 1, end));
		if (hdrstore_add(headers, slice_sub(text, 0, colon), value, true) != ERR_OK)
			return text;
		text = slice_sub(text, end + 1, text.len);
	}
	return text;
}

static void write_results(struct arena *arena, const struct dkim_verifier *v)
{
	struct authres_write how = { .authserv_id = SLICE_LIT("mx.example.com") };
	const struct dkim_verdict *verdicts;
	size_t count = dkim_verify_verdicts(v, &verdicts);
	struct authres ar;
	struct slice value;

	check(authres_write(arena, &how, verdicts, count, &value) == ERR_OK);
	check(slice_find(value, '\r') == value.len);
	check(authres_parse(arena, value, &ar) == ERR_OK);
	check(ar.id_readable && ar.content == AUTHRES_WITH_DKIM);
	check(authres_claims(&ar, how.authserv_id));
	(void)dkim_verify_cause(verdicts, count);
}

static void verify(struct arena *arena, const struct hdrstore *headers, struct slice body,
		   struct slice record)
{
	struct dkim_verify_params params = {
		.time = { .now = 1528637909, .drift_s = 300 },
		.max_signatures = 8,
		.min_key_bits = 1024,
		.author_domain = SLICE_LIT("football.example.com"),
	};
	struct dkim_key_answer answers[LIMIT_VERIFY_SIGNATURES];
	struct dkim_verifier *v = NULL;
	const struct idn_name *names;

	if (dkim_verify_plan(arena, headers, &params, &v) != ERR_OK)
		return;
	dkim_verify_body(v, body.ptr, body.len);
	for (size_t i = 0; i < dkim_verify_lookups(v, &names); i++)
		answers[i] = (struct dkim_key_answer){ .status = DKIM_KEY_FOUND,
						       .records = &record,
						       .count = 1 };
	if (dkim_verify_finish(v, answers) == ERR_OK)
		write_results(arena, v);
	dkim_verify_free(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct slice text = slice_of(data, size);
	size_t cut = slice_find(text, '\0');
	struct hdrstore *headers;

	if (arena != NULL && hdrstore_new(arena, LIMIT_HEADER_BYTES_DEFAULT, &headers) == ERR_OK) {
		struct slice body = add_fields(headers, slice_sub(text, 0, cut));

		if (slice_starts(body, SLICE_LIT("\r\n")))
			body = slice_sub(body, 2, body.len);
		verify(arena, headers, body, slice_sub(text, cut + 1, size));
	}
	arena_free(&arena);
	return 0;
}
