/* Signing one message: the keys that the command line or the SigningTable names, without the
 * daemon. */
#include "tools/testmsg.h"

#include "base/limits.h"
#include "dkim/address.h"
#include "dkim/sign.h"
#include "keytable/keytable.h"
#include "keytable/signtable.h"
#include "signer/filekey.h"
#include "tools/tokens.h"

#include <stdlib.h>
#include <time.h>

struct work {
	const struct testmsg_options *options;
	const struct toolconf *conf;
	struct testmsg *message;
	struct dkim_hdrselect *select;
	struct slice body_digest;
	struct err_detail *detail;
};

/* One signature to make. */
struct wish {
	struct slice domain;
	struct slice selector;
	struct slice identity;
	const char *ref;
	enum keyref_kind kind;
};

/* ---- the key ---- */

struct signing {
	struct work *work;
	const struct wish *wish;
	struct p11_uri *uri;
};

typedef enum err sign_bytes(void *ctx, enum dkim_alg alg, struct slice digest, struct slice input,
			    unsigned char *signature, size_t *ret_len, struct err_detail *detail);

/* The field, once the key's type is known. */
static enum err make_field(struct work *w, const struct wish *wish, enum key_type type,
			   sign_bytes *sign, void *ctx)
{
	const struct settings *s = w->conf->settings;
	struct dkim_sign_params params = {
		.select = w->select,
		.header_canon = (s->canonicalization & CANONICALIZATION_RELAXED_HEADER) != 0
					? DKIM_CANON_RELAXED
					: DKIM_CANON_SIMPLE,
		.body_canon = (s->canonicalization & CANONICALIZATION_RELAXED_BODY) != 0
				      ? DKIM_CANON_RELAXED
				      : DKIM_CANON_SIMPLE,
		.now = time(NULL),
		.ttl_s = s->signature_ttl_s,
		.copy_headers = s->diagnostics,
		.request_reports = s->request_reports,
		.body_digest = w->body_digest,
		.leading_space = true,
	};
	struct dkim_sign_request request = { .domain = wish->domain,
					     .selector = wish->selector,
					     .identity = wish->identity,
					     .alg = dkim_alg_for_key(type) };
	struct dkim_sign_prepared *prepared = NULL;
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len = 0;
	struct slice input;
	struct slice digest;
	struct slice value;
	enum err e = dkim_sign_prepare(w->message->arena, w->message->headers, &params, &request,
				       &prepared, &input, &digest);

	if (e == ERR_OK)
		e = sign(ctx, request.alg, digest, input, signature, &len, w->detail);
	if (e == ERR_OK)
		e = dkim_sign_finish(w->message->arena, prepared, slice_of(signature, len), &value);
	if (e != ERR_OK)
		return e;
	(void)fputs("DKIM-Signature:", stdout);
	for (size_t i = 0; i < value.len; i++) {
		if (w->options->crlf && value.ptr[i] == '\n')
			(void)fputc('\r', stdout);
		(void)fputc(value.ptr[i], stdout);
	}
	(void)fputs(w->options->crlf ? "\r\n" : "\n", stdout);
	return ERR_OK;
}

static enum err sign_with_file(void *ctx, enum dkim_alg alg, struct slice digest,
			       struct slice input, unsigned char *signature, size_t *ret_len,
			       struct err_detail *detail)
{
	(void)input, (void)detail;
	return filekey_sign(ctx, alg, digest, signature, ret_len);
}

struct token_ctx {
	struct token_session *session;
	struct token_key *key;
};

static enum err sign_with_token(void *ctx, enum dkim_alg alg, struct slice digest,
				struct slice input, unsigned char *signature, size_t *ret_len,
				struct err_detail *detail)
{
	struct token_ctx *t = ctx;
	bool reload = false;

	return token_key_sign(t->session, t->key, alg, digest, input, signature, ret_len, &reload,
			      detail);
}

static enum err sign_on(void *ctx, struct token_session *session, struct err_detail *detail)
{
	struct signing *s = ctx;
	struct token_ctx t = { .session = session };
	enum err e = token_key_open(session, s->uri, &t.key, detail);

	if (e == ERR_OK)
		e = make_field(s->work, s->wish, token_key_info(t.key)->type, sign_with_token, &t);
	token_key_free(&t.key);
	return e;
}

static enum err sign_one(struct work *w, const struct wish *wish)
{
	AUTO(filekey_free) struct filekey *key = NULL;
	struct signing s = { .work = w, .wish = wish };
	enum err e = ERR_INTERNAL;

	switch (wish->kind) {
	case KEYREF_URI:
		e = p11_uri_parse(slice_str(wish->ref), P11_URI_KEY, &s.uri, w->detail);
		if (e == ERR_OK)
			e = tokens_try(w->conf->tokens, NULL, sign_on, &s, w->detail);
		p11_uri_free(&s.uri);
		return e == ERR_KEY_MISSING ? ERR_KEY_UNKNOWN : e; /* 69; see below */
	case KEYREF_FILE:
		e = filekey_from_path(wish->ref, false, &key, w->detail);
		if (e == ERR_KEY_MISSING)
			e = ERR_IO; /* 71, as opendkim-testmsg; 66 is a message without signatures
				     */
		break;
	case KEYREF_PEM:
		e = filekey_from_text(slice_str(wish->ref), &key, w->detail);
		break;
	}
	if (e == ERR_OK)
		e = make_field(w, wish, pubkey_type(filekey_pubkey(key)), sign_with_file, key);
	return e;
}

/* ---- which keys ---- */

static enum err sign_by_options(struct work *w)
{
	const struct testmsg_options *o = w->options;
	bool uri = slice_starts(slice_str(o->key), SLICE_LIT("pkcs11:"));
	struct wish wish = { .domain = slice_str(o->domain),
			     .selector = slice_str(o->selector),
			     .identity = SLICE_LIT(""),
			     .ref = o->key,
			     .kind = uri ? KEYREF_URI : KEYREF_FILE };

	return sign_one(w, &wish);
}

static enum err find_author(struct work *w, struct dkim_address *ret_author)
{
	const struct hdr *from = hdrstore_from_top(w->message->headers, SLICE_LIT("From"), 0);
	size_t count = 0;
	enum err e = from != NULL ? dkim_address_parse(w->message->arena, from->value, ret_author,
						       &count)
				  : ERR_NO_SENDER;

	return e == ERR_OK && count == 0 ? ERR_NO_SENDER : e;
}

static enum err sign_row(struct work *w, const struct keytable *table, struct slice name,
			 struct slice identity, struct slice from_domain)
{
	struct idn_spellings names;
	struct keytable_row row;
	char *domain = NULL;
	char *ref = NULL;
	enum err e = keytable_find(table, keytable_spelling(table, name, &names), from_domain, &row,
				   &domain, &ref);

	if (e == ERR_OK) {
		struct wish wish = { .domain = slice_str(domain),
				     .selector = row.selector,
				     .identity = identity,
				     .ref = ref,
				     .kind = row.kind };

		e = sign_one(w, &wish);
	} else {
		err_detail_set(w->detail, "key '%.*s': %s", SLICE_FMT(name), err_text(e));
	}
	free(domain);
	free(ref);
	return e;
}

static enum err sign_by_tables(struct work *w)
{
	const struct settings *s = w->conf->settings;
	AUTO(keytable_free) struct keytable *keys = NULL;
	AUTO(signtable_free) struct signtable *signers = NULL;
	struct signtable_match matches[LIMIT_SIGN_REQUESTS];
	struct dkim_address author;
	size_t count = 0;
	enum err e = find_author(w, &author);

	if (e == ERR_OK)
		e = keytable_open(s->key_table, w->conf->files, &keys, w->detail);
	if (e == ERR_OK)
		e = signtable_open(s->signing_table, w->conf->files, &signers, w->detail);
	if (e == ERR_OK)
		e = signtable_find(signers, author.local, author.domain, s->multiple_signatures,
				   w->message->arena, matches, LIMIT_SIGN_REQUESTS, &count);
	if (e == ERR_OK && count == 0) {
		err_detail_set(w->detail, "the SigningTable has no row for %.*s@%.*s",
			       SLICE_FMT(author.local), SLICE_FMT(author.domain));
		e = ERR_KEY_UNKNOWN;
	}
	for (size_t i = 0; e == ERR_OK && i < count; i++)
		e = sign_row(w, keys, matches[i].key_name, matches[i].identity, author.domain);
	return e;
}

static enum err sign_by_settings(struct work *w)
{
	const struct settings *s = w->conf->settings;
	AUTO(keytable_free) struct keytable *single = NULL;
	struct dkim_address author;
	enum err e = find_author(w, &author);

	if (s->key_table != NULL && s->signing_table != NULL)
		return sign_by_tables(w);
	if (s->key_file == NULL || s->selector == NULL) {
		err_detail_set(w->detail, "the configuration signs nothing: it has neither "
					  "KeyTable and SigningTable nor Selector and KeyFile");
		return ERR_CONFIG;
	}
	if (e == ERR_OK)
		e = keytable_open_single("%", s->selector, s->key_file, &single, w->detail);
	if (e == ERR_OK)
		e = sign_row(w, single, SLICE_LIT(""), SLICE_LIT(""), author.domain);
	return e;
}

/* ---- preparation ---- */

static enum err open_select(struct work *w)
{
	const struct settings *s = w->conf->settings;
	char *lists[3] = { NULL, NULL, NULL };
	enum err e =
		dataset_list("SignHeaders", s->sign_headers, w->conf->files, &lists[0], w->detail);

	if (e == ERR_OK)
		e = dataset_list("OmitHeaders", s->omit_headers, w->conf->files, &lists[1],
				 w->detail);
	if (e == ERR_OK)
		e = dataset_list("OversignHeaders", s->oversign_headers, w->conf->files, &lists[2],
				 w->detail);
	if (e == ERR_OK)
		e = dkim_hdrselect_new(lists[0], lists[1], lists[2], &w->select, w->detail);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		free(lists[i]);
	return e;
}

static enum err hash_body(struct work *w, struct bodyhash *hashes)
{
	const struct settings *s = w->conf->settings;
	size_t id = 0;
	enum err e = bodyhash_want(hashes,
				   (s->canonicalization & CANONICALIZATION_RELAXED_BODY) != 0
					   ? DKIM_CANON_RELAXED
					   : DKIM_CANON_SIMPLE,
				   DKIM_HASH_SHA256, BODYHASH_NO_LIMIT, &id);

	if (e != ERR_OK)
		return e;
	bodyhash_update(hashes, w->message->body.ptr, w->message->body.len);
	e = bodyhash_finish(hashes);
	return e == ERR_OK
		       ? arena_dup(w->message->arena, bodyhash_digest(hashes, id), &w->body_digest)
		       : e;
}

enum err testmsg_sign(const struct testmsg_options *o, const struct toolconf *conf,
		      struct testmsg *m, struct err_detail *detail)
{
	struct work w = { .options = o, .conf = conf, .message = m, .detail = detail };
	struct bodyhash *hashes = NULL;
	enum err e = open_select(&w);

	if (e == ERR_OK)
		e = bodyhash_new(m->arena, &hashes);
	if (e == ERR_OK)
		e = hash_body(&w, hashes);
	bodyhash_free(&hashes);
	if (e == ERR_OK)
		e = o->key != NULL ? sign_by_options(&w) : sign_by_settings(&w);
	if (e == ERR_OK && fwrite(m->raw.data, 1, m->raw.len, stdout) != m->raw.len)
		e = ERR_IO;
	dkim_hdrselect_free(&w.select);
	return e;
}
