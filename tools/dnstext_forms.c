/* The forms of a key record, one function each. */
#include "base/json.h"
#include "tools/dnstext_priv.h"

/* Characters of p= in one string of opendkim-genkey's file. */
#define BIND_CHUNK 250U
#define BIND_BETWEEN "\"\n\t  \""

/* Byte for byte what opendkim-genkey writes to SELECTOR.txt. */
static void write_bind(const struct dnstext *record, struct buf *out)
{
	struct buf tags;
	struct slice key = record->pubkey;

	buf_init(&tags, DNSTEXT_BYTES_MAX);
	dnstext_tags(record, &tags);
	if (record->absolute) {
		dnstext_absolute_name(record, out);
		buf_add_ch(out, '.');
	} else {
		dnstext_relative_name(record, out);
	}
	buf_add_str(out, "\tIN\tTXT\t( ");
	dnstext_quote_split(buf_slice(&tags), DNSTEXT_STRING_BYTES, "\n\t  ", out);
	buf_add_str(out, "\n\t  \"p=");
	for (size_t at = 0; at < key.len; at += BIND_CHUNK) {
		if (at != 0)
			buf_add_str(out, BIND_BETWEEN);
		buf_add(out, slice_sub(key, at, at + BIND_CHUNK));
	}
	buf_add_fmt(out, "\" )  ; ----- DKIM key %.*s for %.*s\n", SLICE_FMT(record->selector),
		    SLICE_FMT(record->domain));
	buf_done(&tags);
}

static void write_plain(const struct dnstext *record, struct buf *out)
{
	dnstext_value(record, out);
	buf_add_ch(out, '\n');
}

/* "key": "text", by one of the writers above; post stands behind the text, inside the quotes. */
static void add_json_made(const char *key,
			  void (*make)(const struct dnstext *record, struct buf *out),
			  const struct dnstext *record, const char *post, struct buf *out)
{
	struct buf text;

	buf_init(&text, DNSTEXT_BYTES_MAX);
	make(record, &text);
	buf_add_str(&text, post);
	buf_add_fmt(out, "\"%s\": ", key);
	json_add_string(buf_slice(&text), out);
	buf_done(&text);
}

/* The value as quoted strings: what PowerDNS and Route 53 call a TXT record's content. */
static void make_content(const struct dnstext *record, struct buf *out)
{
	struct buf value;

	buf_init(&value, DNSTEXT_BYTES_MAX);
	dnstext_value(record, &value);
	dnstext_quote(buf_slice(&value), out);
	buf_done(&value);
}

static void write_json(const struct dnstext *record, struct buf *out)
{
	struct buf value;

	buf_init(&value, DNSTEXT_BYTES_MAX);
	dnstext_value(record, &value);
	buf_add_str(out, "{");
	add_json_made("name", dnstext_relative_name, record, "", out);
	buf_add_str(out, ", ");
	add_json_made("fqdn", dnstext_absolute_name, record, ".", out);
	buf_add_fmt(out, ", \"type\": \"TXT\", \"ttl\": %u, ", record->ttl_s);
	add_json_made("value", dnstext_value, record, "", out);
	buf_add_str(out, ", \"strings\": [");
	for (size_t at = 0; at < value.len; at += DNSTEXT_STRING_BYTES) {
		if (at != 0)
			buf_add_str(out, ", ");
		json_add_string(slice_sub(buf_slice(&value), at, at + DNSTEXT_STRING_BYTES), out);
	}
	buf_add_str(out, "]}\n");
	buf_done(&value);
}

/* The prerequisite makes the server refuse a second record at the name: two are as bad as none. */
static void write_nsupdate(const struct dnstext *record, struct buf *out)
{
	buf_add_str(out, "prereq nxrrset ");
	dnstext_absolute_name(record, out);
	buf_add_str(out, ". TXT\nupdate add ");
	dnstext_absolute_name(record, out);
	buf_add_fmt(out, ". %u TXT ", record->ttl_s);
	make_content(record, out);
	buf_add_str(out, "\nsend\n");
}

/* tinydns-data cuts the strings itself; a colon ends its field. */
static void write_tinydns(const struct dnstext *record, struct buf *out)
{
	struct buf value;

	buf_init(&value, DNSTEXT_BYTES_MAX);
	dnstext_value(record, &value);
	buf_add_ch(out, '\'');
	dnstext_absolute_name(record, out);
	buf_add_ch(out, ':');
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c == ':' || c == '\\' || c < 0x20 || c > 0x7e)
			buf_add_fmt(out, "\\%03o", c);
		else
			buf_add_ch(out, (char)c);
	}
	buf_add_fmt(out, ":%u\n", record->ttl_s);
	buf_done(&value);
}

static void write_powerdns(const struct dnstext *record, struct buf *out)
{
	buf_add_str(out, "{\"rrsets\": [{");
	add_json_made("name", dnstext_absolute_name, record, ".", out);
	buf_add_fmt(out,
		    ", \"type\": \"TXT\", \"ttl\": %u, \"changetype\": \"REPLACE\", "
		    "\"records\": [{",
		    record->ttl_s);
	add_json_made("content", make_content, record, "", out);
	buf_add_str(out, ", \"disabled\": false}]}]}\n");
}

/* CREATE, not UPSERT: a record that is there belongs to a key that may be in use. */
static void write_route53(const struct dnstext *record, struct buf *out)
{
	buf_add_str(out, "{\"Changes\": [{\"Action\": \"CREATE\", \"ResourceRecordSet\": {");
	add_json_made("Name", dnstext_absolute_name, record, ".", out);
	buf_add_fmt(out, ", \"Type\": \"TXT\", \"TTL\": %u, \"ResourceRecords\": [{",
		    record->ttl_s);
	add_json_made("Value", make_content, record, "", out);
	buf_add_str(out, "}]}}]}\n");
}

const struct dnstext_form dnstext_forms[] = {
	{ "bind", "zone file, as opendkim-genkey writes it", write_bind },
	{ "plain", "one unquoted line, for web panels", write_plain },
	{ "json", "one object with the name, the value and its strings", write_json },
	{ "nsupdate", "commands for nsupdate(1)", write_nsupdate },
	{ "tinydns", "a line for tinydns-data", write_tinydns },
	{ "powerdns", "body of a PATCH to PowerDNS's zone API", write_powerdns },
	{ "route53", "change batch for Amazon Route 53", write_route53 },
};
const size_t dnstext_form_count = ARRAY_LEN(dnstext_forms);

const struct dnstext_form *dnstext_form_find(struct slice name)
{
	for (size_t i = 0; i < dnstext_form_count; i++)
		if (slice_ieq(name, slice_str(dnstext_forms[i].name)))
			return &dnstext_forms[i];
	return NULL;
}
