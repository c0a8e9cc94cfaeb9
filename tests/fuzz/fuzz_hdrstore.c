/*
 * The header store under hostile fields, and all that reads them: order, counts, picks,
 * canonicalization, signing. Input: fields separated by NUL bytes, each "name:value"; a first byte
 * of '+' puts a leading space back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dkim/hdrstore.h"
#include "dkim/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void add_fields(struct hdrstore *h, struct slice input)
{
	bool leading_space = input.len == 0 || input.ptr[0] != '+';
	struct slice field;

	while (slice_next(&input, '\0', &field)) {
		size_t colon = slice_find(field, ':');
		size_t count = hdrstore_count(h);
		enum err e = hdrstore_add(h, slice_sub(field, 0, colon),
					  slice_sub(field, colon + 1, field.len), leading_space);

		check(hdrstore_count(h) == count + (e == ERR_OK ? 1 : 0));
	}
}

static void check_indexes(struct arena *arena, const struct hdrstore *h)
{
	struct hdrpick *pick;

	if (hdrpick_new(h, arena, &pick) != ERR_OK)
		return;
	for (size_t i = 0; i < hdrstore_count(h); i++) {
		const struct hdr *field = hdrstore_at(h, i);
		size_t same = hdrstore_count_name(h, field->name);

		check(field->index == i && field->nth >= 1 && field->nth <= same);
		check(hdrstore_from_top(h, field->name, field->nth - 1) == field);
		check(hdrstore_from_bottom(h, field->name, same - field->nth) == field);
		check(hdrpick_next(pick, field->name) ==
		      hdrstore_from_bottom(h, field->name, field->nth - 1));
	}
}

static void check_value(struct slice value)
{
	check(value.ptr[value.len] == '\0');
	for (size_t i = 0; i < value.len; i++)
		check(value.ptr[i] != '\r' && (value.ptr[i] != '\n' || value.ptr[i + 1] == '\t'));
}

static void sign(struct arena *arena, const struct hdrstore *h, enum dkim_canon canon)
{
	struct dkim_hdrselect *select = NULL;
	const struct dkim_sign_request request = { SLICE_LIT("a.example"), SLICE_LIT("s"),
						   SLICE_LIT("@a.example"), DKIM_ALG_RSA_SHA256 };
	struct dkim_sign_params params = { .header_canon = canon, .copy_headers = true };
	struct dkim_sign_prepared *prepared;
	struct slice input;
	struct slice digest;
	struct slice value;

	if (dkim_hdrselect_new("*,+x*", NULL, "From,X", &select, NULL) != ERR_OK)
		return;
	params.select = select;
	params.body_digest = SLICE_LIT("0123456789abcdef0123456789abcdef");
	if (dkim_sign_prepare(arena, h, &params, &request, &prepared, &input, &digest) == ERR_OK) {
		check(dkim_sign_finish(arena, prepared, digest, &value) == ERR_OK);
		check_value(value);
	}
	dkim_hdrselect_free(&select);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_MESSAGE_ARENA_BYTES);
	struct hdrstore *h;

	if (arena != NULL && hdrstore_new(arena, LIMIT_HEADER_BYTES_DEFAULT, &h) == ERR_OK) {
		add_fields(h, slice_of(data, size));
		check_indexes(arena, h);
		sign(arena, h, DKIM_CANON_SIMPLE);
		sign(arena, h, DKIM_CANON_RELAXED);
	}
	arena_free(&arena);
	return 0;
}
