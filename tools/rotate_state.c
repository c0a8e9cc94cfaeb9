/* The state file: "key NAME" begins a rotation, "field value" lines follow. */
#include "tools/rotate.h"

#include "base/limits.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>

void rotate_half_done(struct rotate_half *half)
{
	free(half->selector);
	free(half->ref);
	free(half->p);
	*half = (struct rotate_half){ .selector = NULL };
}

void rotate_state_done(struct rotate_state *state)
{
	for (size_t i = 0; i < state->count; i++) {
		free(state->keys[i].name);
		free(state->keys[i].domain);
		rotate_half_done(&state->keys[i].old);
		rotate_half_done(&state->keys[i].new);
	}
	free(state->keys);
	*state = (struct rotate_state){ .keys = NULL };
}

struct rotate_key *rotate_state_find(const struct rotate_state *state, struct slice name)
{
	for (size_t i = 0; i < state->count; i++)
		if (slice_eq(slice_str(state->keys[i].name), name))
			return &state->keys[i];
	return NULL;
}

struct rotate_key *rotate_state_add(struct rotate_state *state, struct slice name)
{
	struct rotate_key *keys = realloc(state->keys, (state->count + 1) * sizeof(*keys));
	char *copy = slice_dup(name);

	if (keys != NULL)
		state->keys = keys;
	if (keys == NULL || copy == NULL) {
		free(copy);
		return NULL;
	}
	keys[state->count] = (struct rotate_key){ .name = copy, .phase = ROTATE_DONE };
	return &keys[state->count++];
}

/* ---- fields ---- */

static bool set_phase(struct rotate_key *k, struct slice value)
{
	return rotate_phase_find(value, &k->phase);
}

static bool set_since(struct rotate_key *k, struct slice value)
{
	unsigned long long seconds;

	if (!slice_u64(value, &seconds) || seconds > INT64_MAX / 2)
		return false;
	k->since = (int64_t)seconds;
	return true;
}

static bool set_text(char **field, struct slice value)
{
	if (*field != NULL || value.len == 0)
		return false;
	*field = slice_dup(value);
	return *field != NULL;
}

/* "rsa 2048" */
static bool set_type(struct rotate_half *half, struct slice value)
{
	size_t blank = slice_find(value, ' ');
	unsigned long long bits;

	if (!slice_u64(slice_sub(value, blank + 1, value.len), &bits) || bits > 16384)
		return false;
	half->bits = (unsigned)bits;
	half->type = slice_eq(slice_sub(value, 0, blank), SLICE_LIT("ed25519")) ? KEY_TYPE_ED25519
										: KEY_TYPE_RSA;
	return true;
}

static bool set_half(struct rotate_half *half, struct slice field, struct slice value)
{
	if (slice_eq(field, SLICE_LIT("selector")))
		return set_text(&half->selector, value);
	if (slice_eq(field, SLICE_LIT("ref")))
		return set_text(&half->ref, value);
	if (slice_eq(field, SLICE_LIT("p")))
		return set_text(&half->p, value);
	return slice_eq(field, SLICE_LIT("type")) && set_type(half, value);
}

static bool set_field(struct rotate_key *k, struct slice field, struct slice value)
{
	if (slice_eq(field, SLICE_LIT("phase")))
		return set_phase(k, value);
	if (slice_eq(field, SLICE_LIT("since")))
		return set_since(k, value);
	if (slice_eq(field, SLICE_LIT("domain")))
		return set_text(&k->domain, value);
	if (slice_starts(field, SLICE_LIT("old-")))
		return set_half(&k->old, slice_sub(field, 4, field.len), value);
	return slice_starts(field, SLICE_LIT("new-")) &&
	       set_half(&k->new, slice_sub(field, 4, field.len), value);
}

static enum err parse_line(struct slice line, struct rotate_state *state)
{
	size_t blank = slice_find(line, ' ');
	struct slice field = slice_sub(line, 0, blank);
	struct slice value = slice_sub(line, blank + 1, line.len);

	if (slice_eq(field, SLICE_LIT("key"))) {
		if (value.len == 0 || rotate_state_find(state, value) != NULL)
			return ERR_SYNTAX;
		return rotate_state_add(state, value) != NULL ? ERR_OK : ERR_NOMEM;
	}
	if (state->count == 0 || !set_field(&state->keys[state->count - 1], field, value))
		return ERR_SYNTAX;
	return ERR_OK;
}

enum err rotate_state_parse(struct slice text, struct rotate_state *ret_state,
			    struct err_detail *detail)
{
	struct rotate_state state = { .keys = NULL };
	struct slice rest = text;
	struct slice line;
	unsigned number = 0;

	while (slice_next(&rest, '\n', &line)) {
		enum err e = ERR_OK;

		number++;
		if (line.len != 0 && line.ptr[0] != '#')
			e = parse_line(line, &state);
		if (e != ERR_OK) {
			char shown[80];

			err_detail_set(detail,
				       "line %u: \"%s\" is nothing that hsmdkim-rotate writes",
				       number, text_sanitize(line, shown, sizeof(shown)));
			rotate_state_done(&state);
			return e;
		}
	}
	*ret_state = state;
	return ERR_OK;
}

/* ---- printing ---- */

static void print_text(struct buf *out, const char *prefix, const char *field, const char *value)
{
	if (value != NULL)
		buf_add_fmt(out, "%s%s %s\n", prefix, field, value);
}

static void print_half(struct buf *out, const char *prefix, const struct rotate_half *half)
{
	print_text(out, prefix, "selector", half->selector);
	print_text(out, prefix, "ref", half->ref);
	print_text(out, prefix, "p", half->p);
	if (half->bits != 0)
		buf_add_fmt(out, "%stype %s %u\n", prefix, key_type_name(half->type), half->bits);
}

void rotate_state_print(const struct rotate_state *state, struct buf *out)
{
	buf_add_str(out, "# hsmdkim-rotate's state. Do not edit while it runs.\n");
	for (size_t i = 0; i < state->count; i++) {
		const struct rotate_key *k = &state->keys[i];

		buf_add_fmt(out, "\nkey %s\nphase %s\nsince %" PRId64 "\n", k->name,
			    rotate_phase_word(k->phase), k->since);
		print_text(out, "", "domain", k->domain);
		print_half(out, "old-", &k->old);
		print_half(out, "new-", &k->new);
	}
}
