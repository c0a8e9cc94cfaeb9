/* Writing Authentication-Results, RFC 8601 section 2.2. */
#include "dkim/authres.h"

#include "base/limits.h"

#include <stdio.h>

#define FIELD_NAME "Authentication-Results"
#define COLUMNS 78u
#define TAB_COLUMNS 8u
/* One result: what can be long is bounded by the limits of d=, s= and i=. */
#define RESULT_BYTES_MAX 4096u

struct writer {
	struct buf out;
	struct buf unit; /* the piece that must stand on one line */
	size_t column;
};

static void write_unit(struct writer *w)
{
	struct slice unit = buf_slice(&w->unit);

	if (w->column + 1 + unit.len > COLUMNS) {
		buf_add_str(&w->out, "\n\t ");
		w->column = TAB_COLUMNS + 1;
	} else {
		buf_add_ch(&w->out, ' ');
		w->column++;
	}
	buf_add(&w->out, unit);
	w->column += unit.len;
	if (w->out.error == ERR_OK)
		w->out.error = w->unit.error;
	buf_reset(&w->unit);
}

/* A token of RFC 2045, or a part of one. */
static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || strchr("()<>@,;:\\\"/[]?=", s.ptr[i]))
			return false;
	return s.len != 0;
}

/* Control bytes, which no checked value has, are dropped: nothing ends the field but we. */
static void add_quoted(struct buf *out, struct slice s)
{
	buf_add_ch(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			continue;
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			buf_add_ch(out, '\\');
		buf_add_ch(out, s.ptr[i]);
	}
	buf_add_ch(out, '"');
}

static void add_value(struct buf *out, struct slice s)
{
	if (is_token(s))
		buf_add(out, s);
	else
		add_quoted(out, s);
}

static void write_property(struct writer *w, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	buf_add_str(&w->unit, name);
	add_value(&w->unit, value);
	write_unit(w);
}

/* A domain was checked when it was read; it may hold U-labels, which stand as they are. */
static void write_domain(struct writer *w, const char *name, struct slice domain)
{
	if (domain.len == 0)
		return;
	buf_add_str(&w->unit, name);
	buf_add(&w->unit, domain);
	write_unit(w);
}

/* Letters, digits and what is harmless in any reader; the rest is quoted. */
static bool is_plain_local(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ch_is_alpha(s.ptr[i]) && !ch_is_digit(s.ptr[i]) && s.ptr[i] != '-' &&
		    s.ptr[i] != '_' && s.ptr[i] != '+' &&
		    !(s.ptr[i] == '.' && i != 0 && i + 1 != s.len && s.ptr[i - 1] != '.'))
			return false;
	return true;
}

/* UTF-8 that was encoded in i= must not turn a header of ASCII into one that is not (RFC 8616 has
 * it raw where the message may have it): then the domain alone is told. */
static void write_identity(struct writer *w, const struct dkim_verdict *verdict)
{
	struct slice local = verdict->sig.identity_local;

	if (verdict->sig.identity_domain.len == 0)
		return;
	if (!slice_is_ascii(local) && slice_is_ascii(verdict->field->value))
		local = slice_of("", 0);
	buf_add_str(&w->unit, "header.i=");
	if (is_plain_local(local))
		buf_add(&w->unit, local);
	else
		add_quoted(&w->unit, local);
	buf_add_ch(&w->unit, '@');
	buf_add(&w->unit, verdict->sig.identity_domain);
	write_unit(w);
}

/* "(2048-bit key; secure)" */
static void write_key(struct writer *w, const struct dkim_verdict *verdict)
{
	static const char *const dnssec[] = {
		[DKIM_DNSSEC_UNKNOWN] = "",
		[DKIM_DNSSEC_SECURE] = "; secure",
		[DKIM_DNSSEC_INSECURE] = "; unprotected",
		[DKIM_DNSSEC_BOGUS] = "; bogus",
	};

	if (verdict->key_bits == 0)
		return;
	buf_add_fmt(&w->unit, "(%u-bit key%s%s)", verdict->key_bits, dnssec[verdict->dnssec],
		    verdict->testing ? "; testing" : "");
	write_unit(w);
}

/* Starts a line of its own. */
static void write_result(struct writer *w, enum dkim_result result)
{
	buf_add_fmt(&w->out, ";\n\tdkim=%s", dkim_result_word(result));
	w->column = TAB_COLUMNS + strlen("dkim=") + strlen(dkim_result_word(result));
}

static void write_no_verdict(struct writer *w, const struct authres_write *how)
{
	write_result(w, how->malformed ? DKIM_RESULT_PERMERROR : DKIM_RESULT_NONE);
	if (!how->malformed)
		return;
	buf_add_str(&w->unit, "(bad message/signature format)"); /* OpenDKIM's words */
	write_unit(w);
}

static void write_verdict(struct writer *w, const struct authres_write *how,
			  const struct dkim_verdict *verdict)
{
	const struct sighdr *sig = &verdict->sig;

	write_result(w, verdict->result);
	if (verdict->result != DKIM_RESULT_PASS) {
		buf_add_str(&w->unit, "reason=");
		add_quoted(&w->unit, slice_str(dkim_reason_text(verdict->reason)));
		write_unit(w);
	}
	write_key(w, verdict);
	write_domain(w, "header.d=", sig->domain);
	write_identity(w, verdict);
	if (sig->has_alg)
		write_property(w, "header.a=", dkim_alg_info(sig->alg)->name);
	write_domain(w, "header.s=", sig->selector);
	if (!how->no_header_b)
		write_property(w, "header.b=", verdict->header_b);
}

static void write_id(struct writer *w, const struct authres_write *how)
{
	struct buf id;

	buf_init(&id, RESULT_BYTES_MAX);
	buf_add(&id, how->authserv_id);
	if (how->job_id.len != 0) {
		buf_add_ch(&id, '/');
		buf_add(&id, how->job_id);
	}
	w->column = strlen(FIELD_NAME ": ");
	if (how->leading_space)
		buf_add_ch(&w->out, ' ');
	add_value(&w->out, buf_slice(&id));
	if (id.error != ERR_OK)
		w->out.error = id.error;
	buf_done(&id);
}

enum err authres_write(struct arena *arena, const struct authres_write *how,
		       const struct dkim_verdict *verdicts, size_t count, struct slice *ret_value)
{
	struct writer w;
	struct slice text;
	enum err e;

	buf_init(&w.out, (size_t)RESULT_BYTES_MAX * (count + 1));
	buf_init(&w.unit, RESULT_BYTES_MAX);
	write_id(&w, how);
	if (count == 0)
		write_no_verdict(&w, how);
	for (size_t i = 0; i < count; i++)
		write_verdict(&w, how, &verdicts[i]);
	e = buf_finish(&w.out, &text);
	if (e == ERR_OK)
		e = arena_dup(arena, text, ret_value);
	buf_done(&w.out);
	buf_done(&w.unit);
	return e;
}
