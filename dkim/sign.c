/* One DKIM-Signature: the field with an empty b=, what of the message it covers, and the value with
 * b=. */
#include "dkim/sign.h"

#include "base/base64.h"
#include "base/limits.h"
#include "dkim/domain.h"
#include "dkim/hdrinput.h"
#include "dkim/idn.h"
#include "dkim/qp.h"
#include "dkim/sigwriter.h"

#include <stdio.h>

#define FIELD_NAME "DKIM-Signature"
/* t= and x= have at most 12 digits (RFC 6376 section 3.5). */
#define TIME_MAX INT64_C(999999999999)

struct dkim_sign_prepared {
	struct slice text; /* the value up to "b=", leading space included, folds as LF */
	size_t column;	   /* where "b=" ends */
	bool leading_space;
};

/* The names of h=. */
struct hlist {
	struct slice *names;
	size_t count;
};

/* The names of a request as they are written. */
struct wire_names {
	struct slice domain;
	struct slice selector;
	struct slice identity_local;
	struct slice identity_domain; /* empty: no i= */
	struct idn_name room[3];
};

static enum err wire_name(struct slice given, struct idn_name *room, struct slice *ret_name)
{
	enum err e = dkim_domain_valid(given) ? idn_for_wire(given, room, ret_name) : ERR_SYNTAX;

	return e == ERR_LIMIT ? ERR_SYNTAX : e;
}

static enum err read_names(const struct dkim_sign_request *request, struct wire_names *ret_names)
{
	size_t at = slice_rfind(request->identity, '@');
	enum err e = wire_name(request->domain, &ret_names->room[0], &ret_names->domain);

	if (e == ERR_OK)
		e = wire_name(request->selector, &ret_names->room[1], &ret_names->selector);
	ret_names->identity_local = slice_sub(request->identity, 0, at);
	ret_names->identity_domain = SLICE_LIT("");
	if (e != ERR_OK || request->identity.len == 0)
		return e;
	e = wire_name(slice_sub(request->identity, at + 1, request->identity.len),
		      &ret_names->room[2], &ret_names->identity_domain);
	if (e == ERR_OK && !dkim_domain_in(ret_names->identity_domain, ret_names->domain))
		e = ERR_SYNTAX;
	return e;
}

static enum err check_request(const struct dkim_sign_params *params,
			      const struct dkim_sign_request *request)
{
	if (!dkim_alg_info(request->alg)->may_sign)
		return ERR_NOT_SUPPORTED;
	if (params->now < 0 || params->now > TIME_MAX || params->ttl_s < 0 ||
	    params->ttl_s > TIME_MAX - params->now)
		return ERR_RANGE;
	return ERR_OK;
}

/* One entry for every signed field, in message order, then one more for each oversigned name. A
 * verifier takes a name's fields from the bottom, and dkim_header_input() does the same here. */
static enum err list_names(struct arena *arena, const struct hdrstore *headers,
			   const struct dkim_hdrselect *select, struct hlist *ret_list)
{
	const struct slice *oversigned;
	size_t oversigned_count = dkim_hdrselect_oversigned(select, &oversigned);
	size_t fields = hdrstore_count(headers);
	struct hlist list = { 0 };

	list.names = arena_calloc(arena, fields + oversigned_count, sizeof(struct slice));
	if (list.names == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < fields; i++) {
		const struct hdr *field = hdrstore_at(headers, i);

		if (dkim_hdrselect_signs(select, field->name))
			list.names[list.count++] = field->name;
	}
	for (size_t i = 0; i < oversigned_count; i++)
		list.names[list.count++] = oversigned[i];
	*ret_list = list;
	return ERR_OK;
}

static void write_canon(struct sigwriter *w, const struct dkim_sign_params *params)
{
	struct slice header = dkim_canon_name(params->header_canon);
	struct slice body = dkim_canon_name(params->body_canon);
	char value[32];

	(void)snprintf(value, sizeof(value), "%.*s/%.*s", SLICE_FMT(header), SLICE_FMT(body));
	sigwriter_tag(w, "c", slice_str(value));
}

static enum err write_identity(struct sigwriter *w, const struct wire_names *names)
{
	AUTO(buf_done) struct buf value;
	struct slice text;
	enum err e;

	buf_init(&value, LIMIT_SIG_HEADER_OUT_BYTES);
	dkim_qp_encode(names->identity_local, SLICE_LIT(""), &value);
	buf_add_ch(&value, '@');
	buf_add(&value, names->identity_domain);
	e = buf_finish(&value, &text);
	if (e == ERR_OK)
		sigwriter_tag(w, "i", text);
	return e;
}

static enum err write_body_hash(struct sigwriter *w, struct slice digest)
{
	AUTO(buf_done) struct buf value;
	struct slice text;
	enum err e;

	buf_init(&value, 64);
	base64_encode(digest, &value);
	e = buf_finish(&value, &text);
	if (e == ERR_OK)
		sigwriter_tag(w, "bh", text);
	return e;
}

static void copy_field(const struct hdr *field, struct buf *out)
{
	if (out->len != 0)
		buf_add_ch(out, '|');
	dkim_qp_encode(field->name, SLICE_LIT("|"), out);
	buf_add_ch(out, ':');
	dkim_qp_encode(field->value, SLICE_LIT("|"), out);
}

/* z=: the signed fields from the top, while there is room. A field that does not fit is left out
 * whole. */
static enum err write_copies(struct sigwriter *w, const struct hdrstore *headers,
			     const struct dkim_hdrselect *select)
{
	AUTO(buf_done) struct buf value;
	struct slice text;
	enum err e;

	buf_init(&value, LIMIT_Z_BYTES);
	for (size_t i = 0; i < hdrstore_count(headers); i++) {
		const struct hdr *field = hdrstore_at(headers, i);
		size_t most = 3 * (field->name.len + field->value.len) + 2;

		if (dkim_hdrselect_signs(select, field->name) && most <= LIMIT_Z_BYTES - value.len)
			copy_field(field, &value);
	}
	e = buf_finish(&value, &text);
	if (e == ERR_OK && text.len != 0)
		sigwriter_tag_text(w, "z", text);
	return e;
}

/* All tags in OpenDKIM's order, up to "b=". */
static enum err write_tags(struct sigwriter *w, const struct hdrstore *headers,
			   const struct dkim_sign_params *params,
			   const struct dkim_sign_request *request, const struct hlist *list)
{
	struct wire_names names;
	enum err e = read_names(request, &names);

	if (e != ERR_OK)
		return e;

	sigwriter_tag(w, "v", SLICE_LIT("1"));
	sigwriter_tag(w, "a", dkim_alg_info(request->alg)->name);
	write_canon(w, params);
	sigwriter_tag(w, "d", names.domain);
	sigwriter_tag(w, "s", names.selector);
	sigwriter_tag_u64(w, "t", (uint64_t)params->now);
	if (params->write_query)
		sigwriter_tag(w, "q", SLICE_LIT("dns/txt"));
	if (params->ttl_s != 0)
		sigwriter_tag_u64(w, "x", (uint64_t)(params->now + params->ttl_s));
	if (names.identity_domain.len != 0)
		e = write_identity(w, &names);
	if (params->request_reports)
		sigwriter_tag(w, "r", SLICE_LIT("y"));
	if (e == ERR_OK)
		e = write_body_hash(w, params->body_digest);
	if (params->write_length)
		sigwriter_tag_u64(w, "l", params->body_length);
	sigwriter_tag_list(w, "h", list->names, list->count);
	if (params->copy_headers && e == ERR_OK)
		e = write_copies(w, headers, params->select);
	sigwriter_open_b(w);
	return e;
}

/* The value as it stands on the wire: folds as CRLF. */
static enum err wire_form(struct slice text, struct buf *out)
{
	struct slice line;
	size_t lines = 0;

	while (slice_next(&text, '\n', &line)) {
		if (lines++ != 0)
			buf_add(out, SLICE_LIT("\r\n"));
		buf_add(out, line);
	}
	return out->error;
}

static enum err header_digest(struct arena *arena, enum dkim_hash hash, struct slice input,
			      struct slice *ret_digest)
{
	uint8_t digest[DKIM_DIGEST_MAX];
	size_t len = 0;
	enum err e = dkim_digest(hash, input, digest, &len);

	return e != ERR_OK ? e : arena_dup(arena, slice_of(digest, len), ret_digest);
}

static enum err prepare_with(struct sigwriter *w, struct arena *arena,
			     const struct hdrstore *headers, const struct dkim_sign_params *params,
			     const struct dkim_sign_request *request,
			     struct dkim_sign_prepared *prepared, struct slice *ret_input,
			     struct slice *ret_digest)
{
	AUTO(buf_done) struct buf wire;
	struct hlist list;
	struct slice text;
	enum err e;

	buf_init(&wire, (size_t)2 * LIMIT_SIG_HEADER_OUT_BYTES);
	e = list_names(arena, headers, params->select, &list);
	if (e == ERR_OK)
		e = write_tags(w, headers, params, request, &list);
	if (e == ERR_OK)
		e = buf_finish(&w->out, &text);
	if (e == ERR_OK)
		e = arena_dup(arena, text, &prepared->text);
	if (e == ERR_OK)
		e = wire_form(prepared->text, &wire);
	if (e == ERR_OK)
		e = dkim_header_input(arena, headers, params->header_canon, list.names, list.count,
				      SLICE_LIT(FIELD_NAME), buf_slice(&wire), ret_input);
	if (e == ERR_OK)
		e = header_digest(arena, dkim_alg_info(request->alg)->hash, *ret_input, ret_digest);
	prepared->column = w->column;
	prepared->leading_space = params->leading_space;
	return e;
}

enum err dkim_sign_prepare(struct arena *arena, const struct hdrstore *headers,
			   const struct dkim_sign_params *params,
			   const struct dkim_sign_request *request,
			   struct dkim_sign_prepared **ret_prepared, struct slice *ret_input,
			   struct slice *ret_digest)
{
	struct dkim_sign_prepared *prepared = arena_calloc(arena, 1, sizeof(*prepared));
	struct sigwriter w;
	struct slice input;
	struct slice digest;
	enum err e = check_request(params, request);

	if (e != ERR_OK)
		return e;
	if (prepared == NULL)
		return ERR_NOMEM;
	if (hdrstore_count_name(headers, SLICE_LIT("From")) == 0)
		return ERR_NO_SENDER;
	sigwriter_init(&w, strlen(FIELD_NAME), LIMIT_SIG_HEADER_OUT_BYTES);
	e = prepare_with(&w, arena, headers, params, request, prepared, &input, &digest);
	sigwriter_done(&w);
	if (e != ERR_OK)
		return e;
	*ret_prepared = prepared;
	*ret_input = input;
	*ret_digest = digest;
	return ERR_OK;
}

static enum err finish_with(struct sigwriter *w, struct arena *arena,
			    const struct dkim_sign_prepared *prepared, struct slice signature,
			    struct slice *ret_value)
{
	AUTO(buf_done) struct buf base64;
	struct slice text;
	enum err e;

	buf_init(&base64, LIMIT_SIG_HEADER_OUT_BYTES);
	base64_encode(signature, &base64);
	e = buf_finish(&base64, &text);
	if (e != ERR_OK)
		return e;
	/* Without SMFIP_HDR_LEADSPC the MTA writes the first space itself. */
	buf_add(&w->out,
		slice_sub(prepared->text, prepared->leading_space ? 0 : 1, prepared->text.len));
	w->column = prepared->column;
	sigwriter_text(w, text);
	e = buf_finish(&w->out, &text);
	return e != ERR_OK ? e : arena_dup(arena, text, ret_value);
}

enum err dkim_sign_finish(struct arena *arena, const struct dkim_sign_prepared *prepared,
			  struct slice signature, struct slice *ret_value)
{
	struct sigwriter w;
	enum err e;

	if (signature.len == 0)
		return ERR_RANGE;
	if (signature.len > LIMIT_SIGNATURE_BYTES)
		return ERR_LIMIT;
	sigwriter_init(&w, strlen(FIELD_NAME), LIMIT_SIG_HEADER_OUT_BYTES);
	e = finish_with(&w, arena, prepared, signature, ret_value);
	sigwriter_done(&w);
	return e;
}
