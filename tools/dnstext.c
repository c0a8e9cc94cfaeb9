/* The parts that all forms of a key record share: names, tags, strings, escapes. */
#include "tools/dnstext.h"

#include "tools/dnstext_priv.h"

/* A quoted text in n= (qp-section): what would end the tag, the quotes or a line becomes =XX. */
static void add_note(struct slice note, struct buf *out)
{
	buf_add_ch(out, '"');
	for (size_t i = 0; i < note.len; i++) {
		unsigned char c = (unsigned char)note.ptr[i];

		if (c < 0x20 || c > 0x7e || strchr("=;\"\\", c) != NULL)
			buf_add_fmt(out, "=%02X", c);
		else
			buf_add_ch(out, (char)c);
	}
	buf_add_ch(out, '"');
}

/* The order is opendkim-genkey's. */
void dnstext_tags(const struct dnstext *record, struct buf *out)
{
	buf_add_str(out, "v=DKIM1; ");
	if (record->note.len != 0) {
		buf_add_str(out, "n=");
		add_note(record->note, out);
		buf_add_str(out, "; ");
	}
	if (record->hashes.len != 0)
		buf_add_fmt(out, "h=%.*s; ", SLICE_FMT(record->hashes));
	buf_add_fmt(out, "k=%.*s; ", SLICE_FMT(record->key_name));
	if (record->test_mode || record->no_subdomains)
		buf_add_fmt(out, "t=%s%s%s; ", record->test_mode ? "y" : "",
			    record->test_mode && record->no_subdomains ? ":" : "",
			    record->no_subdomains ? "s" : "");
	if (record->email_only)
		buf_add_str(out, "s=email; ");
}

void dnstext_value(const struct dnstext *record, struct buf *out)
{
	dnstext_tags(record, out);
	buf_add_str(out, "p=");
	buf_add(out, record->pubkey);
}

void dnstext_absolute_name(const struct dnstext *record, struct buf *out)
{
	buf_add_fmt(out, "%.*s._domainkey.%.*s", SLICE_FMT(record->selector),
		    SLICE_FMT(record->domain));
}

void dnstext_relative_name(const struct dnstext *record, struct buf *out)
{
	struct slice below = SLICE_LIT("");

	if (record->zone.len != 0 && record->zone.len < record->domain.len)
		below = slice_sub(record->domain, 0, record->domain.len - record->zone.len - 1);
	buf_add_fmt(out, "%.*s._domainkey", SLICE_FMT(record->selector));
	if (below.len != 0)
		buf_add_fmt(out, ".%.*s", SLICE_FMT(below));
}

void dnstext_explain_names(const struct dnstext *record, struct buf *out)
{
	struct slice zone = record->zone.len != 0 ? record->zone : record->domain;

	buf_add_str(out, "Host name, relative to its zone: ");
	dnstext_relative_name(record, out);
	buf_add_str(out, "\nHost name, absolute:             ");
	dnstext_absolute_name(record, out);
	buf_add_fmt(
		out,
		".\n"
		"A web panel for the zone %.*s nearly always appends the zone itself: enter the\n"
		"relative name there. In a zone file the absolute name needs its dot at the end.\n",
		SLICE_FMT(zone));
}

/* One octet as it stands between quotes in a zone file, RFC 1035 section 5.1. */
static void add_zone_octet(unsigned char c, struct buf *out)
{
	if (c == '"' || c == '\\')
		buf_add_fmt(out, "\\%c", c);
	else if (c < 0x20 || c > 0x7e)
		buf_add_fmt(out, "\\%03u", c);
	else
		buf_add_ch(out, (char)c);
}

void dnstext_quote_split(struct slice data, size_t octets, const char *between, struct buf *out)
{
	buf_add_ch(out, '"');
	for (size_t i = 0; i < data.len; i++) {
		if (i != 0 && i % octets == 0)
			buf_add_fmt(out, "\"%s\"", between);
		add_zone_octet((unsigned char)data.ptr[i], out);
	}
	buf_add_ch(out, '"');
}

void dnstext_quote(struct slice data, struct buf *out)
{
	dnstext_quote_split(data, DNSTEXT_STRING_BYTES, " ", out);
}
