/* Keys on a token: made there, found there again, or moved there from a file. */
#include "tools/genkey.h"

#include "base/limits.h"
#include "pkcs11/generate.h"
#include "tools/sighold.h"
#include "tools/toolconf.h"

#include <stdlib.h>

/* "selector._domainkey.domain" */
#define LABEL_BYTES_MAX 512U

struct source {
	struct toolconf *conf;
	struct p11_uri *uri; /* --token */
	const char *import;
};

/* One key, while it is being made. */
struct making {
	const struct source *source;
	const struct genkey_job *job;
	struct newkey want;
	struct slice pem; /* of --import */
	struct genkey_made *made;
	char label[LABEL_BYTES_MAX];
	unsigned char id[NEWKEY_ID_BYTES];
};

/* The names by the rule of pkcs11/generate.h, unless --token chose others. */
static enum err choose_names(struct making *m)
{
	struct slice label = p11_uri_label(m->source->uri);
	struct slice id = p11_uri_id(m->source->uri);
	enum err e = ERR_OK;

	(void)snprintf(m->label, sizeof(m->label), "%.*s._domainkey.%.*s",
		       SLICE_FMT(m->job->selector), SLICE_FMT(m->job->domain));
	for (char *p = m->label; *p != '\0'; p++)
		*p = ch_lower(*p);
	m->want = (struct newkey){ .type = m->job->type,
				   .bits = m->job->bits,
				   .label = label.ptr != NULL ? label : slice_str(m->label),
				   .id = id };
	if (id.ptr == NULL) {
		e = newkey_id(m->want.label, m->id);
		m->want.id = slice_of(m->id, sizeof(m->id));
	}
	return e;
}

/* An earlier run's key under exactly these names. @return ERR_KEY_MISSING: there is none */
static enum err find_kept(struct token_session *session, struct making *m,
			  struct err_detail *detail)
{
	struct token_key *key = NULL;
	struct p11_uri *uri = NULL;
	enum err e = p11_uri_parse(buf_slice(&m->made->ref), P11_URI_KEY, &uri, detail);

	if (e == ERR_OK)
		e = token_key_open(session, uri, &key, detail);
	if (e == ERR_OK)
		e = pubkey_from_spki(pubkey_spki(token_key_pubkey(key)), &m->made->key);
	m->made->kept = e == ERR_OK;
	token_key_free(&key);
	p11_uri_free(&uri);
	return e;
}

static enum err write_key(struct token_session *session, struct making *m,
			  struct err_detail *detail)
{
	const struct p11_uri *uri = m->source->uri;
	struct sighold hold;
	enum err e;

	sighold_begin(&hold);
	e = m->source->import != NULL
		    ? newkey_import(session, uri, &m->want, m->pem, &m->made->key, detail)
		    : newkey_generate(session, uri, &m->want, &m->made->key, detail);
	sighold_end(&hold);
	return e;
}

static enum err make_on(void *ctx, struct token_session *session, struct err_detail *detail)
{
	struct making *m = ctx;
	enum err e = ERR_KEY_MISSING;

	buf_reset(&m->made->ref);
	newkey_uri(session, &m->want, &m->made->ref);
	if (m->job->may_exist)
		e = find_kept(session, m, detail);
	return e == ERR_KEY_MISSING ? write_key(session, m, detail) : e;
}

static enum err token_make(void *ctx, const struct genkey_job *job, struct genkey_made *ret_made,
			   struct err_detail *detail)
{
	struct source *s = ctx;
	struct making m = { .source = s, .job = job, .made = ret_made };
	enum err e = choose_names(&m);

	if (e == ERR_OK && s->import != NULL)
		e = files_map(s->conf->files, s->import, &m.pem, detail);
	if (e == ERR_OK)
		e = tokens_try(s->conf->tokens, s->uri, make_on, &m, detail);
	return e;
}

static void source_close(void *ctx)
{
	struct source *s = ctx;

	if (s == NULL)
		return;
	toolconf_free(&s->conf);
	p11_uri_free(&s->uri);
	free(s);
}

static enum err source_open(struct source *s, const struct genkey_options *o,
			    struct err_detail *detail)
{
	enum err e = p11_uri_parse(slice_str(o->token), P11_URI_NEW_KEY, &s->uri, detail);

	s->import = o->import;
	if (e == ERR_OK && o->domains_file != NULL &&
	    (p11_uri_label(s->uri).ptr != NULL || p11_uri_id(s->uri).ptr != NULL)) {
		err_detail_set(detail, "object= and id= name one key; leave them out of --token "
				       "with --domains");
		return ERR_CONFIG;
	}
	if (e != ERR_OK) {
		err_detail_prefix(detail, "--token: ");
		return ERR_CONFIG;
	}
	return toolconf_open(&(struct toolconf_request){ .program = genkey_spec.program,
							 .config = o->config,
							 .module = o->module,
							 .pin_source = o->pin_source,
							 .act_as_signer = o->act_as_signer },
			     &s->conf, detail);
}

enum err genkey_source_token_open(const struct genkey_options *o, struct genkey_source *ret_source,
				  struct err_detail *detail)
{
	struct source *s = calloc(1, sizeof(*s));
	enum err e = s != NULL ? source_open(s, o, detail) : ERR_NOMEM;

	if (e != ERR_OK) {
		source_close(s);
		return e;
	}
	*ret_source = (struct genkey_source){ .make = token_make, .close = source_close, .ctx = s };
	return ERR_OK;
}
