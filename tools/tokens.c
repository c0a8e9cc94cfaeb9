/* The tokens of a configuration, for tools. */
#include "tools/tokens.h"

#include "base/clock.h"
#include "config/pinsource.h"
#include "keytable/tokentable.h"
#include "tools/actas.h"
#include "tools/sighold.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ABSENT_PATIENCE_MS 1000

struct open_token {
	struct token *token;
	struct token_session *session;
	struct p11_uri *uri;
	struct pin *pin;
	enum err failed; /* it could not be opened: not tried twice, for the PIN's sake */
	struct err_detail why;
};

struct tokens {
	const struct settings *settings;
	struct files *files;
	struct tokentable *table;
	struct open_token *list; /* one a row */
	struct actas user;	 /* whom modules take us for */
};

void tokens_close(struct tokens *tokens)
{
	for (size_t i = 0; i < tokens->table->count; i++) {
		struct open_token *o = &tokens->list[i];

		token_session_close(&o->session);
		token_free(&o->token);
		p11_uri_free(&o->uri);
		pin_free(&o->pin);
		*o = (struct open_token){ .failed = ERR_OK };
	}
}

void tokens_free(struct tokens **tokens)
{
	struct tokens *t = tokens != NULL ? *tokens : NULL;

	if (t == NULL)
		return;
	if (t->list != NULL)
		tokens_close(t);
	free(t->list);
	tokentable_free(&t->table);
	free(t);
	*tokens = NULL;
}

static enum err load(struct tokens *t, struct err_detail *detail)
{
	enum err e = tokentable_load(t->settings, t->files, &t->table, detail);

	if (e != ERR_OK)
		return e;
	t->list = calloc(t->table->count + 1, sizeof(*t->list));
	return t->list != NULL ? ERR_OK : ERR_NOMEM;
}

enum err tokens_new(const struct settings *settings, struct files *files,
		    struct tokens **ret_tokens, struct err_detail *detail)
{
	struct tokens *t = calloc(1, sizeof(*t));
	enum err e = ERR_NOMEM;

	if (t == NULL)
		return e;
	t->settings = settings;
	t->files = files;
	e = load(t, detail);
	if (e == ERR_OK)
		*ret_tokens = t;
	else
		tokens_free(&t);
	return e;
}

enum err tokens_act_as_signer(struct tokens *tokens, struct err_detail *detail)
{
	return actas_find(tokens->settings, &tokens->user, detail);
}

/* Root runs the tool, the PIN file may be the signer's; anyone else uses his own. */
static uid_t pin_owner(const struct settings *s)
{
	struct actas signer;

	return actas_find(s, &signer, NULL) == ERR_OK && signer.user.set ? signer.user.uid
									 : geteuid();
}

static enum err read_pin(struct tokens *t, const struct tokentable_row *row, struct pin **ret_pin,
			 struct err_detail *detail)
{
	struct pinsource_rules rules = { .safe_only = t->settings->require_safe_keys,
					 .owner = pin_owner(t->settings),
					 .may_ask = true };
	struct slice source = slice_str(row->pin_source);
	char *name = pinsource_name(source, slice_str(row->name));
	struct slice text = SLICE_LIT("");
	enum err e = name == NULL ? ERR_NOMEM
				  : pinsource_read(source, slice_str(row->name), &rules, t->files,
						   detail);

	if (e == ERR_OK)
		e = files_map(t->files, name, &text, detail);
	if (e == ERR_OK)
		e = pin_new(text, ret_pin, detail);
	free(name);
	return e;
}

/* SoftHSM does not see a token while another process writes its file, as it does at each login. No
 * PIN was sent when a token is not there, so trying again costs no attempt. */
static enum err open_session(struct open_token *o, struct err_detail *detail)
{
	static const struct timespec pause = { .tv_nsec = 50L * 1000 * 1000 };
	int64_t deadline = clock_mono_ms() + ABSENT_PATIENCE_MS;
	enum err e = token_session_open(o->token, &o->session, detail);

	while (e == ERR_TOKEN_ABSENT && clock_mono_ms() < deadline) {
		(void)nanosleep(&pause, NULL);
		e = token_session_open(o->token, &o->session, detail);
	}
	return e;
}

static enum err open_one(struct tokens *t, size_t i, const struct p11_uri *hint,
			 struct err_detail *detail)
{
	const struct tokentable_row *row = &t->table->rows[i];
	struct open_token *o = &t->list[i];
	struct token_config config = { .name = row->name, .module_path = row->module_path };
	enum err e = ERR_OK;
	struct sighold hold;

	if (row->uri != NULL)
		e = p11_uri_parse(slice_str(row->uri), P11_URI_TOKEN, &o->uri, detail);
	else if (hint != NULL)
		e = p11_uri_parse(slice_str(p11_uri_text(hint)), P11_URI_NEW_KEY, &o->uri, detail);
	if (e == ERR_OK && row->pin_source != NULL)
		e = read_pin(t, row, &o->pin, detail);
	config.uri = o->uri;
	config.pin = o->pin;
	if (e == ERR_OK)
		e = token_new(&config, &o->token);
	if (e == ERR_OK)
		e = actas_begin(&t->user, detail);
	if (e != ERR_OK)
		return e;
	sighold_begin(&hold);
	e = open_session(o, detail);
	actas_end(&t->user);
	sighold_end(&hold);
	return e;
}

/* A caller's part of the work on a token. */
struct token_work {
	enum err (*fn)(void *ctx, struct token_session *session, struct err_detail *detail);
	void *ctx;
};

static enum err work_on(struct tokens *tokens, const struct open_token *o,
			const struct token_work *work, struct err_detail *detail)
{
	enum err e = actas_begin(&tokens->user, detail);

	if (e != ERR_OK)
		return e;
	e = work->fn(work->ctx, o->session, detail);
	actas_end(&tokens->user);
	return e;
}

enum err tokens_try(struct tokens *tokens, const struct p11_uri *hint,
		    enum err (*fn)(void *ctx, struct token_session *session,
				   struct err_detail *detail),
		    void *ctx, struct err_detail *detail)
{
	enum err e = ERR_CONFIG;

	if (tokens->table->count == 0)
		err_detail_set(detail,
			       "no token is configured: set PKCS11Module and PKCS11PinSource or "
			       "TokenTable (-x FILE), or give --module and --pin-source");
	for (size_t i = 0; i < tokens->table->count; i++) {
		struct open_token *o = &tokens->list[i];

		if (o->session == NULL && o->failed == ERR_OK)
			o->failed = open_one(tokens, i, hint, &o->why);
		e = o->failed;
		if (e == ERR_OK)
			e = work_on(tokens, o, &(struct token_work){ fn, ctx }, detail);
		else if (detail != NULL)
			*detail = o->why;
		if (o->failed == ERR_OK && e != ERR_KEY_MISSING)
			return e;
	}
	return e;
}

struct read_public {
	struct p11_uri *uri;
	struct pubkey **ret_key;
};

static enum err read_on(void *ctx, struct token_session *session, struct err_detail *detail)
{
	struct read_public *r = ctx;
	struct token_key *key = NULL;
	enum err e = token_key_open(session, r->uri, &key, detail);

	if (e == ERR_OK)
		e = pubkey_from_spki(pubkey_spki(token_key_pubkey(key)), r->ret_key);
	token_key_free(&key);
	return e;
}

enum err tokens_read_public(struct tokens *tokens, struct slice uri, struct pubkey **ret_key,
			    struct err_detail *detail)
{
	struct read_public r = { .ret_key = ret_key };
	enum err e = p11_uri_parse(uri, P11_URI_KEY, &r.uri, detail);

	if (e == ERR_OK)
		e = tokens_try(tokens, NULL, read_on, &r, detail);
	p11_uri_free(&r.uri);
	return e;
}
