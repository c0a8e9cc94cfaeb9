/* The effects of a rotation's steps. */
#define _GNU_SOURCE
#include "tools/rotate_run.h"

#include "base/limits.h"
#include "keytable/keytable.h"
#include "pkcs11/generate.h"
#include "signer/filekey.h"
#include "tools/authcheck.h"
#include "tools/genkey.h"
#include "tools/keycheck.h"
#include "tools/outfile.h"
#include "tools/pubtext.h"
#include "tools/sighold.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RSA_BITS_LEAST 2048U
#define TABLE_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define SELECTORS_A_DAY 26U

static bool is_uri(const char *ref)
{
	return slice_starts(slice_str(ref), SLICE_LIT("pkcs11:"));
}

/* ---- choose ---- */

static enum err take_half(const struct keyset_row *row, struct rotate_half *half)
{
	rotate_half_done(half);
	half->selector = slice_dup(slice_str(row->selector));
	half->ref = slice_dup(slice_str(row->ref));
	half->p = slice_dup(buf_slice(&row->key.p));
	half->type = row->key.type;
	half->bits = row->key.bits;
	return half->selector != NULL && half->ref != NULL && half->p != NULL ? ERR_OK : ERR_NOMEM;
}

static const struct keyset_row *find_row(const struct keyset *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->rows[i].name, name) == 0)
			return &set->rows[i];
	return NULL;
}

static enum err check_row(const struct keyset_row *row, struct err_detail *detail)
{
	if (row == NULL) {
		err_detail_set(detail, "the KeyTable has no such key");
		return ERR_KEY_UNKNOWN;
	}
	if (row->any_domain) {
		err_detail_set(detail, "a row for any domain (%%) cannot be rotated: every domain "
				       "has a record of its own");
		return ERR_NOT_SUPPORTED;
	}
	if (!row->has_key) {
		err_detail_set(detail, "%s", row->error.text);
		return row->why != ERR_OK ? row->why : ERR_KEY_BAD;
	}
	if (is_uri(row->ref) || row->ref[0] == '/')
		return ERR_OK;
	err_detail_set(detail,
		       "only keys on a token and in files with an absolute path are rotated");
	return ERR_NOT_SUPPORTED;
}

/* Said before a key is made, not when it is to be used. */
static enum err check_table(const struct rotate_run *run, const char **ret_path,
			    struct err_detail *detail)
{
	const char *spec = run->conf->settings->key_table;

	char target[PATH_MAX];

	*ret_path = files_spec_path(spec);
	if (*ret_path != NULL && !files_spec_is_live(spec))
		return outfile_target(*ret_path, target, detail);
	err_detail_set(detail,
		       "only a KeyTable in a text file is rotated, and %s is none: rotate over the "
		       "file that it is made from",
		       spec);
	return ERR_NOT_SUPPORTED;
}

/* A selector that neither the table nor DNS knows. */
static enum err choose_selector(struct rotate_run *run, const struct keyset *set,
				struct rotate_key *key, struct err_detail *detail)
{
	for (unsigned i = 0; i < SELECTORS_A_DAY; i++) {
		char selector[32];
		char name[DNS_NAME_TEXT_MAX];
		struct dns_answer answer;
		bool taken = false;

		rotate_selector(time(NULL), i, selector);
		for (size_t n = 0; n < set->count && !taken; n++)
			taken = strcmp(set->rows[n].domain, key->domain) == 0 &&
				strcmp(set->rows[n].selector, selector) == 0;
		(void)snprintf(name, sizeof(name), "%s._domainkey.%s", selector, key->domain);
		dns_answer_init(&answer);
		dns_resolver_ask(run->resolver, name, DNS_TYPE_TXT, run->timeout_ms, &answer);
		taken = taken || (answer.status != DNS_NXDOMAIN && answer.status != DNS_NODATA);
		dns_answer_done(&answer);
		if (taken)
			continue;
		key->new.selector = slice_dup(slice_str(selector));
		return key->new.selector != NULL ? ERR_OK : ERR_NOMEM;
	}
	err_detail_set(detail, "no free selector for today (is DNS there?)");
	return ERR_BUSY;
}

static enum err effect_choose(struct rotate_run *run, struct rotate_key *key,
			      struct err_detail *detail)
{
	struct keyset set = { .rows = NULL };
	const struct keyset_row *row;
	const char *path;
	enum err e = check_table(run, &path, detail);

	if (e == ERR_OK)
		e = keyset_load_table(&set, run->conf->settings->key_table, run->conf->files, NULL,
				      run->conf->tokens, detail);
	row = e == ERR_OK ? find_row(&set, key->name) : NULL;
	if (e == ERR_OK)
		e = check_row(row, detail);
	if (e == ERR_OK) {
		rotate_half_done(&key->new);
		free(key->domain);
		key->domain = slice_dup(slice_str(row->domain));
		e = key->domain != NULL ? take_half(row, &key->old) : ERR_NOMEM;
	}
	if (e == ERR_OK) {
		key->new.type = key->old.type;
		key->new.bits = key->old.type == KEY_TYPE_RSA && key->old.bits < RSA_BITS_LEAST
					? RSA_BITS_LEAST
					: key->old.bits;
		e = choose_selector(run, &set, key, detail);
	}
	keyset_done(&set);
	return e;
}

/* ---- make ---- */

/* The old URI without its object and id: the token. */
static enum err token_part(const char *uri, struct buf *out)
{
	struct slice rest = slice_sub(slice_str(uri), strlen("pkcs11:"), strlen(uri));
	struct slice part;
	bool first = true;

	buf_add_str(out, "pkcs11:");
	while (slice_next(&rest, ';', &part)) {
		if (slice_starts(part, SLICE_LIT("object=")) ||
		    slice_starts(part, SLICE_LIT("id=")) || slice_starts(part, SLICE_LIT("type=")))
			continue;
		if (!first)
			buf_add_ch(out, ';');
		buf_add(out, part);
		first = false;
	}
	if (first) /* it named no token: then there is one, and its own type= says nothing */
		buf_add_str(out, "type=private");
	return out->error;
}

static enum err open_source(const struct rotate_run *run, const struct rotate_key *key,
			    struct genkey_source *ret_source, struct err_detail *detail)
{
	struct genkey_options o = genkey_defaults;
	struct buf token;
	enum err e;

	if (!is_uri(key->old.ref)) {
		*ret_source = genkey_source_file;
		return ERR_OK;
	}
	buf_init(&token, LIMIT_URI_BYTES);
	e = token_part(key->old.ref, &token);
	o.token = token.data;
	o.config = run->options->config;
	o.module = run->options->module;
	o.pin_source = run->options->pin_source;
	o.act_as_signer = true;
	if (e == ERR_OK)
		e = genkey_source_token_open(&o, ret_source, detail);
	buf_done(&token);
	return e;
}

static enum err take_made(struct rotate_key *key, const struct genkey_made *made)
{
	struct pubtext text;
	enum err e = pubtext_from_pubkey(made->key, &text);

	if (e != ERR_OK)
		return e;
	free(key->new.ref);
	free(key->new.p);
	key->new.ref = slice_dup(buf_slice(&made->ref));
	key->new.p = slice_dup(buf_slice(&text.p));
	key->new.bits = text.bits;
	pubtext_done(&text);
	return key->new.ref != NULL && key->new.p != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err effect_make(struct rotate_run *run, struct rotate_key *key,
			    struct err_detail *detail)
{
	struct genkey_source source = { .close = NULL };
	struct genkey_made made = { .kept = false };
	char *path = slice_dup(slice_str(key->old.ref));
	struct genkey_job job = { .domain = slice_str(key->domain),
				  .selector = slice_str(key->new.selector),
				  .type = key->new.type,
				  .bits = key->new.bits,
				  .may_exist = true };
	enum err e = path != NULL ? open_source(run, key, &source, detail) : ERR_NOMEM;

	buf_init(&made.ref, PATH_MAX);
	if (e == ERR_OK) {
		job.directory = dirname(path);
		e = source.make(source.ctx, &job, &made, detail);
	}
	if (e == ERR_OK && !is_uri(key->old.ref)) /* the daemon reads the old one */
		e = outfile_like(made.ref.data, key->old.ref, detail);
	if (e == ERR_OK)
		e = take_made(key, &made);
	if (source.close != NULL)
		source.close(source.ctx);
	genkey_made_done(&made);
	free(path);
	return e;
}

/* ---- publish, see ---- */

static enum err effect_publish(struct rotate_run *run, struct rotate_key *key,
			       struct err_detail *detail)
{
	return rotate_publish(run, key, false, detail);
}

/* As hsmdkim-testkey finds it. */
static const struct keycheck_info *judge(const struct dns_answer *answer,
					 const struct rotate_half *half)
{
	struct keycheck_want want = { .has_key = true,
				      .type = half->type,
				      .p = slice_str(half->p) };
	struct keycheck_result result;
	const struct keycheck_info *info;

	keycheck_result_init(&result);
	keycheck_answer(answer, &want, &result);
	info = keycheck_info(result.id);
	keycheck_result_done(&result);
	return info;
}

enum err rotate_see(const struct rotate_run *run, const struct rotate_key *key,
		    struct err_detail *detail)
{
	struct authcheck *check = NULL;
	char name[DNS_NAME_TEXT_MAX];
	enum dns_status status;
	enum err e = ERR_OK;

	(void)snprintf(name, sizeof(name), "%s._domainkey.%s", key->new.selector, key->domain);
	status = authcheck_ask(run->resolver, name, (uint16_t)run->options->port, run->timeout_ms,
			       &check);
	if (status != DNS_FOUND) {
		err_detail_set(detail, "the name servers of %s could not be found: %s", name,
			       dns_status_text(status));
		e = ERR_BUSY;
	}
	for (size_t i = 0; e == ERR_OK && i < check->servers.count; i++) {
		const struct keycheck_info *info = judge(&check->answers[i], &key->new);

		if (info->exit_status == EX_OK)
			continue;
		err_detail_set(detail, "%s is not yet right at %s (%s): %s", name,
			       check->servers.list[i].name, check->servers.list[i].address,
			       info->message);
		e = ERR_BUSY;
	}
	authcheck_free(&check);
	return e;
}

static enum err effect_see(struct rotate_run *run, struct rotate_key *key,
			   struct err_detail *detail)
{
	return rotate_see(run, key, detail);
}

/* ---- switch, reload ---- */

static enum err replace_row(const char *path, const struct rotate_key *key,
			    struct err_detail *detail)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct slice text = SLICE_LIT("");
	struct slice changed = SLICE_LIT("");
	struct buf value;
	struct buf out;
	enum err e = files != NULL ? files_map(files, path, &text, detail) : ERR_NOMEM;

	buf_init(&value, LIMIT_URI_BYTES + PATH_MAX);
	buf_init(&out, TABLE_BYTES_MAX);
	buf_add_fmt(&value, "%s:%s:%s", key->domain, key->new.selector, key->new.ref);
	if (e == ERR_OK) {
		e = rotate_table_replace(text, slice_str(key->name), buf_slice(&value), &out);
		if (e != ERR_OK)
			err_detail_set(detail, "%s: the row of '%s' is %s", path, key->name,
				       e == ERR_NOT_FOUND ? "gone" : "there twice");
	}
	if (e == ERR_OK)
		e = buf_finish(&out, &changed);
	if (e == ERR_OK && !slice_eq(changed, text))
		e = outfile_replace(path, changed, 0640, detail);
	buf_done(&value);
	buf_done(&out);
	return e;
}

enum err rotate_switch(const struct rotate_run *run, const struct rotate_key *key,
		       struct err_detail *detail)
{
	const char *path;
	enum err e = check_table(run, &path, detail);

	return e == ERR_OK ? replace_row(path, key, detail) : e;
}

/* Never on the word of an old state file: the record is looked at again, and so is the key, with
 * the daemon's eyes. */
static enum err effect_switch(struct rotate_run *run, struct rotate_key *key,
			      struct err_detail *detail)
{
	enum err e = rotate_see(run, key, detail);

	if (e == ERR_OK)
		e = rotate_try_key(run, &key->new, detail);
	if (e == ERR_OK)
		e = rotate_reload_ready(run, detail);
	return e == ERR_OK ? rotate_switch(run, key, detail) : e;
}

static enum err effect_reload(struct rotate_run *run, struct rotate_key *key,
			      struct err_detail *detail)
{
	return rotate_reload(run, key, detail);
}

/* ---- revoke, destroy ---- */

struct use {
	const struct rotate_key *key;
	bool found;
};

static bool row_uses_old(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct use *use = ctx;
	const struct rotate_half *old = &use->key->old;

	(void)origin;
	use->found = slice_eq(row->ref, slice_str(old->ref)) ||
		     (slice_ieq(row->domain, slice_str(use->key->domain)) &&
		      slice_ieq(row->selector, slice_str(old->selector)));
	return !use->found;
}

/* Someone may have edited the table since, or another row has the same key: what signs is never
 * revoked. The table is read anew. */
static enum err check_unused(struct rotate_run *run, const struct rotate_key *key,
			     struct err_detail *detail)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(keytable_free) struct keytable *table = NULL;
	struct use use = { .key = key };
	enum err e = files == NULL
			     ? ERR_NOMEM
			     : keytable_open(run->conf->settings->key_table, files, &table, detail);

	if (e == ERR_OK)
		e = keytable_each(table, row_uses_old, &use);
	if (e == ERR_OK && use.found) {
		err_detail_set(detail, "the KeyTable still signs with selector %s of %s",
			       key->old.selector, key->domain);
		e = ERR_CONFIG;
	}
	return e;
}

static enum err effect_revoke(struct rotate_run *run, struct rotate_key *key,
			      struct err_detail *detail)
{
	enum err e = check_unused(run, key, detail);

	return e == ERR_OK ? rotate_publish(run, key, true, detail) : e;
}

struct destroying {
	struct p11_uri *uri;
	const char *p;
};

static enum err destroy_on(void *ctx, struct token_session *session, struct err_detail *detail)
{
	const struct destroying *d = ctx;
	struct token_key *key = NULL;
	struct pubtext text;
	struct sighold hold;
	enum err e = token_key_open(session, d->uri, &key, detail);

	if (e != ERR_OK)
		return e;
	e = pubtext_from_pubkey(token_key_pubkey(key), &text);
	if (e == ERR_OK && !slice_eq(buf_slice(&text.p), slice_str(d->p))) {
		err_detail_set(detail, "%s is another key by now and was left alone",
			       p11_uri_text(d->uri));
		e = ERR_KEY_CHANGED;
	}
	sighold_begin(&hold);
	if (e == ERR_OK)
		e = newkey_destroy(session, d->uri, token_key_pubkey(key), detail);
	sighold_end(&hold);
	pubtext_done(&text);
	token_key_free(&key);
	return e;
}

static enum err destroy_on_token(struct rotate_run *run, const struct rotate_key *key,
				 struct err_detail *detail)
{
	struct destroying d = { .p = key->old.p };
	enum err e = p11_uri_parse(slice_str(key->old.ref), P11_URI_KEY, &d.uri, detail);

	if (e == ERR_OK)
		e = tokens_try(run->conf->tokens, NULL, destroy_on, &d, detail);
	p11_uri_free(&d.uri);
	return e == ERR_KEY_MISSING ? ERR_OK : e; /* done before we were killed */
}

/* What a link leads to may be used by others. */
static void warn_of_link(const char *path)
{
	char link[PATH_MAX];
	char *target = readlink(path, link, sizeof(link)) > 0 ? realpath(path, NULL) : NULL;

	if (target != NULL)
		(void)fprintf(stderr,
			      "%s: warning: %s was a link and only that is removed; the old key is "
			      "still in %s: remove it when nothing else uses it\n",
			      rotate_spec.program, path, target);
	free(target);
}

static enum err destroy_file(const struct rotate_key *key, struct err_detail *detail)
{
	if (key->old.ref[0] == '/')
		warn_of_link(key->old.ref);
	if (key->old.ref[0] != '/' || unlink(key->old.ref) == 0 || errno == ENOENT)
		return ERR_OK; /* a key that stood in the table went with its row */
	err_detail_set(detail, "%s: %s", key->old.ref, strerror(errno));
	return ERR_IO;
}

static enum err effect_destroy(struct rotate_run *run, struct rotate_key *key,
			       struct err_detail *detail)
{
	enum err e = check_unused(run, key, detail);

	if (e != ERR_OK)
		return e;
	return is_uri(key->old.ref) ? destroy_on_token(run, key, detail)
				    : destroy_file(key, detail);
}

/* ---- the table ---- */

static const struct {
	enum err (*run)(struct rotate_run *run, struct rotate_key *key, struct err_detail *detail);
	const char *text;
} effects[ROTATE_STEP_COUNT] = {
	[ROTATE_CHOOSE] = { effect_choose, "begin: choose a new selector" },
	[ROTATE_MAKE] = { effect_make, "make the new key" },
	[ROTATE_PUBLISH] = { effect_publish, "publish the new record" },
	[ROTATE_SEE] = { effect_see, "see the new record at every name server of the zone" },
	[ROTATE_SWITCH] = { effect_switch, "write the new key into the KeyTable" },
	[ROTATE_RELOAD] = { effect_reload, "reload hsmdkim" },
	[ROTATE_REVOKE] = { effect_revoke, "revoke the old record" },
	[ROTATE_DESTROY] = { effect_destroy, "destroy the old key" },
};

const char *rotate_step_text(enum rotate_step step)
{
	return effects[step].text;
}

enum err rotate_effect(struct rotate_run *run, struct rotate_key *key, struct err_detail *detail)
{
	return effects[rotate_step_of(key->phase)].run(run, key, detail);
}
