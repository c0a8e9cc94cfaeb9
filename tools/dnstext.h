/*
 * The key record of RFC 6376 section 3.6.1 in the forms that name servers, panels and APIs take:
 * one row a form. Every TXT string stays within the 255 octets of RFC 1035.
 */
#ifndef TOOLS_DNSTEXT_H
#define TOOLS_DNSTEXT_H

#include "base/buf.h"
#include "base/slice.h"

/** One form of one record, with room to spare: an 8192-bit key is below 1.5 KB. */
#define DNSTEXT_BYTES_MAX ((size_t)64 * 1024)
/** Octets of one TXT string, RFC 1035 section 3.3. */
#define DNSTEXT_STRING_BYTES 255U

struct dnstext {
	struct slice selector; /**< one or more labels */
	struct slice domain;   /**< d=, without a dot at its end */
	struct slice zone;     /**< domain or a parent of it: what relative names are relative to */
	struct slice hashes;   /**< h=; empty: none */
	struct slice key_name; /**< k= */
	struct slice pubkey;   /**< p=, base64; empty: revoked */
	struct slice note;     /**< n=, plain text; empty: none */
	bool test_mode;	       /**< t=y */
	bool no_subdomains;    /**< t=s */
	bool email_only;       /**< s=email */
	bool absolute;	       /**< bind: write the whole name, with its dot */
	unsigned ttl_s;	       /**< where the form has a TTL */
};

struct dnstext_form {
	const char *name;
	const char *help;
	void (*write)(const struct dnstext *record, struct buf *out);
};

/** All forms; the first is the default. */
extern const struct dnstext_form dnstext_forms[];
extern const size_t dnstext_form_count;

/** @return NULL: no such form */
const struct dnstext_form *dnstext_form_find(struct slice name);

/** The data of the record as a verifier reads it: the strings joined. */
void dnstext_value(const struct dnstext *record, struct buf *out);

/** "sel._domainkey", relative to the zone. */
void dnstext_relative_name(const struct dnstext *record, struct buf *out);
/** "sel._domainkey.example.com", without the dot at the end. */
void dnstext_absolute_name(const struct dnstext *record, struct buf *out);

/** Both names, and which of them a panel wants. */
void dnstext_explain_names(const struct dnstext *record, struct buf *out);

/** data as strings of at most 255 octets, quoted and escaped as in a zone file, with blanks
 * between. */
void dnstext_quote(struct slice data, struct buf *out);

#endif
