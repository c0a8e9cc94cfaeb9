/* What is hashed of the header. */
#include "dkim/hdrinput.h"

#include "base/limits.h"

enum err dkim_header_input(struct arena *arena, const struct hdrstore *headers,
			   enum dkim_canon canon, const struct slice *names, size_t count,
			   struct slice sig_name, struct slice sig_value, struct slice *ret_input)
{
	AUTO(buf_done) struct buf input;
	struct hdrpick *pick;
	struct slice bytes;
	enum err e;

	buf_init(&input, (size_t)LIMIT_SIGN_INPUT_BYTES);
	e = hdrpick_new(headers, arena, &pick);
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < count; i++) {
		const struct hdr *field = hdrpick_next(pick, names[i]);

		if (field != NULL)
			dkim_canon_header(canon, field->raw_name, field->value, &input);
	}
	dkim_canon_header_open(canon, sig_name, sig_value, &input);
	e = buf_finish(&input, &bytes);
	return e != ERR_OK ? e : arena_dup(arena, bytes, ret_input);
}
