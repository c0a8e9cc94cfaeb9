/* Whether the daemon will be able to use a key: tried with the rights of its signer process. */
#include "tools/actas.h"
#include "tools/pubtext.h"
#include "tools/rotate_run.h"

#include "signer/filekey.h"

/* The file is opened as the user; what the key is worth is seen from its public half. */
static enum err read_file_as(const char *path, bool safe_only, struct actas *as,
			     struct pubkey **ret_key, struct err_detail *detail)
{
	AUTO(filekey_free) struct filekey *key = NULL;
	enum err e = actas_begin(as, detail);

	if (e != ERR_OK)
		return e;
	e = filekey_from_path(path, safe_only, &key, detail);
	actas_end(as);
	return e == ERR_OK ? pubkey_from_spki(pubkey_spki(filekey_pubkey(key)), ret_key) : e;
}

/* The key was made in another session, and the token's library may have kept what it saw before. */
static enum err read_token_afresh(const struct toolconf *conf, const char *uri,
				  struct pubkey **ret_key, struct err_detail *detail)
{
	tokens_close(conf->tokens);
	return tokens_read_public(conf->tokens, slice_str(uri), ret_key, detail);
}

static enum err explain(enum err e, const char *ref, const struct actas *as,
			struct err_detail *detail)
{
	struct err_detail why = *detail;
	const char *mend = "";

	if (ref[0] == '/' && e == ERR_KEY_MISSING)
		mend = "; chown it to that user";
	else if (ref[0] != '/' && as->user.set)
		mend = "; give that user the token's files (SoftHSM: chown -R) or its right to the "
		       "token";
	err_detail_set(detail, "not switched: hsmdkim as %s cannot use the new key: %s%s",
		       actas_name(as), why.text[0] != '\0' ? why.text : err_text(e), mend);
	return e == ERR_KEY_MISSING ? ERR_DENIED : e;
}

static enum err compare(const struct pubkey *key, const struct rotate_half *half,
			struct err_detail *detail)
{
	struct pubtext text;
	enum err e = pubtext_from_pubkey(key, &text);

	if (e != ERR_OK)
		return e;
	if (!slice_eq(buf_slice(&text.p), slice_str(half->p))) {
		err_detail_set(detail, "%s is another key than the one that was made", half->ref);
		e = ERR_KEY_CHANGED;
	}
	pubtext_done(&text);
	return e;
}

enum err rotate_try_key(const struct rotate_run *run, const struct rotate_half *half,
			struct err_detail *detail)
{
	const struct settings *s = run->conf->settings;
	AUTO(pubkey_free) struct pubkey *key = NULL;
	struct actas as;
	enum err e = actas_find(s, &as, detail);

	if (e != ERR_OK)
		return e;
	if (half->ref[0] == '/')
		e = read_file_as(half->ref, s->require_safe_keys, &as, &key, detail);
	else
		e = read_token_afresh(run->conf, half->ref, &key, detail);
	return e == ERR_OK ? compare(key, half, detail) : explain(e, half->ref, &as, detail);
}
