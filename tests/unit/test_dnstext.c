/* tools/dnstext: every form of a key record; the zone form byte for byte as opendkim-genkey's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tools/dnstext.h"

static char golden[4096];
static char golden_key[1024];

/* A file of tests/golden/genkey and the p= that stands in it. */
static struct slice golden_read(const char *name)
{
	char path[512];
	size_t len = 0;
	size_t key_len = 0;
	bool in_quotes = false;
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/tests/golden/genkey/%s", SRCDIR, name);
	in = fopen(path, "r");
	assert_non_null(in);
	len = fread(golden, 1, sizeof(golden) - 1, in);
	(void)fclose(in);
	golden[len] = '\0';
	for (const char *p = strstr(golden, "\"p=") + 3; *p != ')'; p++) {
		if (*p == '"')
			in_quotes = !in_quotes;
		else if (!in_quotes) /* the first string was entered by its "p= */
			golden_key[key_len++] = *p;
	}
	golden_key[key_len] = '\0';
	return slice_of(golden, len);
}

static struct dnstext record_small(void)
{
	return (struct dnstext){
		.selector = SLICE_LIT("sel1"),
		.domain = SLICE_LIT("example.com"),
		.hashes = SLICE_LIT("sha256"),
		.key_name = SLICE_LIT("rsa"),
		.pubkey = SLICE_LIT("QUJD"),
		.ttl_s = 3600,
	};
}

static void assert_form(const char *form, const struct dnstext *record, const char *want)
{
	const struct dnstext_form *f = dnstext_form_find(slice_str(form));
	struct slice text = SLICE_LIT("");
	struct buf b;

	assert_non_null(f);
	buf_init(&b, DNSTEXT_BYTES_MAX);
	f->write(record, &b);
	assert_int_equal(buf_finish(&b, &text), ERR_OK);
	assert_string_equal(text.ptr, want);
	buf_done(&b);
}

static void bind_form_is_opendkim_genkeys_file(void **state)
{
	struct dnstext r = record_small();

	(void)state;
	(void)golden_read("plain.txt");
	r.selector = SLICE_LIT("g1");
	r.pubkey = slice_str(golden_key);
	assert_int_equal(r.pubkey.len, 216);
	assert_form("bind", &r, golden);
}

static void bind_form_has_opendkim_genkeys_tags(void **state)
{
	struct dnstext r = record_small();

	(void)state;
	(void)golden_read("all-options.txt");
	r.selector = SLICE_LIT("a.b");
	r.domain = SLICE_LIT("sub.example.com");
	r.pubkey = slice_str(golden_key);
	r.note = SLICE_LIT("made 2026");
	r.test_mode = r.no_subdomains = r.email_only = r.absolute = true;
	assert_int_equal(r.pubkey.len, 392);
	assert_form("bind", &r, golden);
}

static void plain_form_is_one_unquoted_line(void **state)
{
	struct dnstext r = record_small();

	(void)state;
	assert_form("plain", &r, "v=DKIM1; h=sha256; k=rsa; p=QUJD\n");
	r.hashes = SLICE_LIT("");
	r.pubkey = SLICE_LIT("");
	assert_form("plain", &r, "v=DKIM1; k=rsa; p=\n");
	r.test_mode = true;
	assert_form("plain", &r, "v=DKIM1; k=rsa; t=y; p=\n");
	r.test_mode = false;
	r.no_subdomains = true;
	assert_form("plain", &r, "v=DKIM1; k=rsa; t=s; p=\n");
}

static void every_form_escapes_what_it_must(void **state)
{
	struct dnstext r = record_small();

	(void)state;
	r.note = SLICE_LIT("a;b=\"\\\xe9\n:");
	assert_form("plain", &r, "v=DKIM1; n=\"a=3Bb=3D=22=5C=E9=0A:\"; h=sha256; k=rsa; p=QUJD\n");
	assert_form("json", &r,
		    "{\"name\": \"sel1._domainkey\", \"fqdn\": \"sel1._domainkey.example.com.\", "
		    "\"type\": \"TXT\", \"ttl\": 3600, \"value\": \"v=DKIM1; "
		    "n=\\\"a=3Bb=3D=22=5C=E9=0A:\\\"; h=sha256; k=rsa; p=QUJD\", \"strings\": "
		    "[\"v=DKIM1; n=\\\"a=3Bb=3D=22=5C=E9=0A:\\\"; h=sha256; k=rsa; p=QUJD\"]}\n");
	assert_form("nsupdate", &r,
		    "prereq nxrrset sel1._domainkey.example.com. TXT\n"
		    "update add sel1._domainkey.example.com. 3600 TXT \"v=DKIM1; "
		    "n=\\\"a=3Bb=3D=22=5C=E9=0A:\\\"; h=sha256; k=rsa; p=QUJD\"\nsend\n");
	assert_form("tinydns", &r,
		    "'sel1._domainkey.example.com:v=DKIM1; n=\"a=3Bb=3D=22=5C=E9=0A\\072\"; "
		    "h=sha256; k=rsa; p=QUJD:3600\n");
	assert_form("powerdns", &r,
		    "{\"rrsets\": [{\"name\": \"sel1._domainkey.example.com.\", \"type\": \"TXT\", "
		    "\"ttl\": 3600, \"changetype\": \"REPLACE\", \"records\": [{\"content\": "
		    "\"\\\"v=DKIM1; n=\\\\\\\"a=3Bb=3D=22=5C=E9=0A:\\\\\\\"; h=sha256; k=rsa; "
		    "p=QUJD\\\"\", \"disabled\": false}]}]}\n");
	r.note = SLICE_LIT("");
	assert_form("route53", &r,
		    "{\"Changes\": [{\"Action\": \"CREATE\", \"ResourceRecordSet\": {\"Name\": "
		    "\"sel1._domainkey.example.com.\", \"Type\": \"TXT\", \"TTL\": 3600, "
		    "\"ResourceRecords\": [{\"Value\": \"\\\"v=DKIM1; h=sha256; k=rsa; "
		    "p=QUJD\\\"\"}]}}]}\n");
}

/* Longest run of octets between unescaped quotes. */
static size_t longest_string(struct slice text)
{
	size_t longest = 0;
	size_t at = 0;
	bool inside = false;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\\')
			i++;
		else if (text.ptr[i] == '"') {
			inside = !inside;
			at = inside ? 0 : at;
			longest = at > longest ? at : longest;
			continue;
		}
		at++;
	}
	return longest;
}

static void strings_stay_within_255_octets(void **state)
{
	static char key[1400];
	static char note[600];
	struct dnstext r = record_small();

	(void)state;
	memset(key, 'A', sizeof(key));
	memset(note, 'n', sizeof(note));
	for (size_t n = 0; n < sizeof(key); n += 7) {
		struct buf b;

		r.pubkey = slice_of(key, n);
		r.note = slice_of(note, n < sizeof(note) ? n : sizeof(note));
		for (int form = 0; form < 2; form++) {
			buf_init(&b, DNSTEXT_BYTES_MAX);
			dnstext_form_find(slice_str(form != 0 ? "nsupdate" : "bind"))
				->write(&r, &b);
			assert_true(longest_string(buf_slice(&b)) <= DNSTEXT_STRING_BYTES);
			buf_done(&b);
		}
	}
}

static void quote_escapes_octets_as_a_zone_file_does(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	dnstext_quote(SLICE_LIT("a\"\\\x01\xff;"), &b);
	assert_string_equal(b.data, "\"a\\\"\\\\\\001\\255;\"");
	buf_done(&b);
}

static void names_are_told_relative_to_the_zone_and_absolute(void **state)
{
	struct dnstext r = record_small();
	struct buf b;

	(void)state;
	r.domain = SLICE_LIT("news.example.com");
	r.zone = SLICE_LIT("example.com");
	buf_init(&b, DNSTEXT_BYTES_MAX);
	dnstext_explain_names(&r, &b);
	assert_non_null(strstr(b.data, " sel1._domainkey.news\n"));
	assert_non_null(strstr(b.data, " sel1._domainkey.news.example.com.\n"));
	assert_non_null(strstr(b.data, "panel for the zone example.com"));
	buf_reset(&b);
	r.zone = r.domain;
	dnstext_relative_name(&r, &b);
	assert_string_equal(b.data, "sel1._domainkey");
	buf_done(&b);
}

static void unknown_form_is_not_found(void **state)
{
	(void)state;
	assert_null(dnstext_form_find(slice_str("djbdns")));
	assert_ptr_equal(dnstext_form_find(slice_str("BIND")), &dnstext_forms[0]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_form_is_opendkim_genkeys_file),
		cmocka_unit_test(bind_form_has_opendkim_genkeys_tags),
		cmocka_unit_test(plain_form_is_one_unquoted_line),
		cmocka_unit_test(every_form_escapes_what_it_must),
		cmocka_unit_test(strings_stay_within_255_octets),
		cmocka_unit_test(quote_escapes_octets_as_a_zone_file_does),
		cmocka_unit_test(names_are_told_relative_to_the_zone_and_absolute),
		cmocka_unit_test(unknown_form_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
