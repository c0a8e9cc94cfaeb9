/* Generations of the configuration: see generation.h. */
#include "daemon/generation.h"

#include "base/safefile.h"
#include "config/faults.h"
#include "config/handover.h"
#include "daemon/pins.h"
#include "keytable/tokentable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum err generation_settings(const struct generation_source *source, struct settings **ret_settings,
			     struct settings_warnings *warnings, struct err_detail *detail)
{
	AUTO(settings_free) struct settings *s = settings_new();
	enum err err = ERR_OK;

	if (s == NULL)
		return ERR_NOMEM;
	if (source->path != NULL)
		err = settings_load_file(s, source->path, &settings_reader_files, warnings, detail);
	for (size_t i = 0; err == ERR_OK && i < source->overrides_count; i++) {
		const struct generation_override *o = &source->overrides[i];

		err = settings_set(s, slice_str(o->name), slice_str(o->value), warnings, detail);
		if (err != ERR_OK)
			err_detail_prefix(detail, "command line: ");
		else
			err = settings_remember(s, slice_str(o->name), "command line", 0);
	}
	if (err == ERR_OK && source->mode != NULL && !s->is_set[SETTING_ID_mode])
		err = settings_set(s, SLICE_LIT("Mode"), slice_str(source->mode), NULL, detail);
	if (err == ERR_OK)
		err = settings_finish(s, warnings, detail);
	if (err != ERR_OK)
		return err;
	*ret_settings = s;
	s = NULL;
	return ERR_OK;
}

enum err generation_enter_base(const struct generation_source *source,
			       struct settings_warnings *warnings, struct err_detail *detail)
{
	AUTO(settings_free) struct settings *settings = NULL;
	struct settings_warnings own = { NULL, 0 };
	enum err err = generation_settings(source, &settings, &own, detail);

	/* Who reads the settings after us gets the warnings of good ones. */
	for (size_t i = 0; err != ERR_OK && warnings != NULL && i < own.count; i++)
		settings_warn(warnings, own.texts[i]);
	settings_warnings_done(&own);
	if (err != ERR_OK || settings->base_directory == NULL ||
	    chdir(settings->base_directory) == 0)
		return err;
	err_detail_set(detail, "BaseDirectory %s: %s", settings->base_directory, strerror(errno));
	settings_place_error(settings, detail);
	return ERR_CONFIG;
}

enum err generation_signer_user(const struct settings *s, struct userid *ret_user,
				struct err_detail *detail)
{
	bool own = s->signer_user_id != NULL;
	const char *spec = own ? s->signer_user_id : s->user_id;

	*ret_user = (struct userid){ .set = false };
	return spec != NULL ? userid_find(own ? "SignerUserID" : "UserID", spec, ret_user, detail)
			    : ERR_OK;
}

enum err generation_key_owner(const struct settings *s, uid_t *ret_owner, struct err_detail *detail)
{
	struct userid user;
	enum err err = generation_signer_user(s, &user, detail);

	*ret_owner = user.set ? user.uid : geteuid();
	return err;
}

struct reading {
	struct generation *g;
	uid_t owner;
	enum err err;
	struct err_detail *detail;
};

static bool is_file(const struct files *f, size_t i, const char *path, bool live)
{
	return files_is_live(f, i) == live && strcmp(files_path(f, i), path) == 0;
}

/* The same descriptor in the other set, under the same name. */
static enum err share(struct files *from, struct files *to, const char *path, bool live)
{
	for (size_t i = 0; i < files_count(to); i++) {
		if (is_file(to, i, path, live))
			return ERR_OK;
	}
	for (size_t i = 0; i < files_count(from); i++) {
		if (is_file(from, i, path, live))
			return files_share(from, i, to);
	}
	return ERR_INTERNAL;
}

static void read_one(void *ctx, const char *name, const char *path, unsigned use)
{
	struct reading *r = ctx;
	bool milter = (use & DATASET_USE_MILTER) != 0;
	bool live = (use & DATASET_USE_LIVE) != 0;

	if (r->err != ERR_OK || strcmp(name, "PKCS11PinSource") == 0)
		return; /* PINs have rules of their own */
	if (r->g->settings->require_safe_keys && strcmp(name, "KeyFile") == 0)
		r->err = safefile_check(path, r->owner, r->detail);
	/* The signer gets the SigningTable, too: it checks that every key name in it exists. */
	if (r->err == ERR_OK)
		r->err = live ? files_read_live(r->g->signer, path, r->detail)
			      : files_read(r->g->signer, path, r->detail);
	if (r->err == ERR_OK && milter) {
		r->err = share(r->g->signer, r->g->milter, path, live);
		if (r->err != ERR_OK)
			err_detail_set(r->detail, "%s: %s", path, strerror(errno));
	}
	if (r->err == ERR_OK)
		return;
	err_detail_prefix(r->detail, "%s: ", name);
	r->err = files_fault(r->g->signer, name, r->err, r->detail);
}

void generation_free(struct generation **generation)
{
	if (*generation == NULL)
		return;
	settings_free(&(*generation)->settings);
	files_free(&(*generation)->milter);
	files_free(&(*generation)->signer);
	settings_warnings_done(&(*generation)->warnings);
	free(*generation);
	*generation = NULL;
}

void generation_warn(struct generation *g, const char *text)
{
	if (g->warnings.count < GENERATION_WARNINGS_MAX)
		settings_warn(&g->warnings, text);
	else
		g->warnings_more++;
}

/* Every file that cannot be read, then every PIN: nobody is asked for a PIN that is of no use. */
static enum err read_files(struct generation *g, struct pinsource_rules *rules,
			   struct faults *faults, struct err_detail *detail)
{
	struct reading reading = { .g = g, .detail = detail };
	enum err err = generation_key_owner(g->settings, &reading.owner, detail);

	if (err != ERR_OK)
		return err;
	files_gather(g->signer, faults);
	settings_each_file(g->settings, read_one, &reading);
	err = reading.err != ERR_OK ? reading.err : files_gathered(g->signer, detail);
	if (err != ERR_OK)
		return err;
	rules->safe_only = g->settings->require_safe_keys;
	rules->owner = reading.owner;
	files_gather(g->signer, faults);
	err = pins_read(g->settings, rules, g->signer, detail);
	return err != ERR_OK ? err : files_gathered(g->signer, detail);
}

static enum err read_into(struct generation *g, const struct generation_source *source,
			  const struct generation *old, struct settings_warnings *warnings,
			  struct err_detail *detail)
{
	struct pinsource_rules rules = { .may_ask = !source->never_ask,
					 .old = old != NULL ? old->signer : NULL };
	struct faults faults;
	enum err err;

	g->milter = files_new_closed();
	g->signer = files_new_closed();
	if (g->milter == NULL || g->signer == NULL)
		return ERR_NOMEM;
	err = generation_settings(source, &g->settings, warnings, detail);
	if (err == ERR_OK && old != NULL)
		err = settings_keep_start(g->settings, old->settings, warnings);
	if (err != ERR_OK)
		return err;
	faults_init(&faults);
	err = read_files(g, &rules, &faults, detail);
	if (err != ERR_OK && err == faults.first) {
		detail->text[0] = '\0';
		faults_spread(faults.text.data, g->settings, detail, warnings);
	}
	faults_done(&faults);
	return err;
}

enum err generation_read(const struct generation_source *source, const struct generation *old,
			 uint32_t number, struct generation **ret_generation,
			 struct settings_warnings *warnings, struct err_detail *detail)
{
	struct generation *g = calloc(1, sizeof(*g));
	enum err err = g != NULL ? read_into(g, source, old, warnings, detail) : ERR_NOMEM;

	if (err != ERR_OK) {
		if (g != NULL)
			settings_place_error(g->settings, detail);
		generation_free(&g);
		return err;
	}
	g->number = number;
	*ret_generation = g;
	return ERR_OK;
}

/* ---- one token's PIN ---- */

static enum err copy_settings(const struct settings *from, struct settings **ret_settings)
{
	AUTO(settings_free) struct settings *s = settings_new();
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	enum err err = s != NULL && out != NULL ? settings_print(from, false, out) : ERR_NOMEM;

	if (out != NULL && fclose(out) != 0)
		err = ERR_NOMEM;
	if (err == ERR_OK)
		err = settings_load_text(s, slice_of(text, len), "settings", &settings_reader_files,
					 NULL, NULL);
	if (err == ERR_OK)
		err = settings_copy_origins(s, from);
	free(text);
	if (err != ERR_OK)
		return err;
	*ret_settings = s;
	s = NULL; /* handed over */
	return ERR_OK;
}

/* What is not there yet. */
static enum err share_all(struct files *from, struct files *to)
{
	enum err err = ERR_OK;

	for (size_t i = 0; i < files_count(from) && err == ERR_OK; i++)
		err = share(from, to, files_path(from, i), files_is_live(from, i));
	return err;
}

static enum err find_pin_source(const struct generation *g, const char *token,
				char **ret_pin_source, struct err_detail *detail)
{
	AUTO(tokentable_free) struct tokentable *table = NULL;
	enum err err = tokentable_load(g->settings, g->signer, &table, detail);

	for (size_t i = 0; err == ERR_OK && i < table->count; i++) {
		if (strcmp(table->rows[i].name, token) != 0)
			continue;
		*ret_pin_source = slice_dup(slice_str(table->rows[i].pin_source));
		return *ret_pin_source != NULL ? ERR_OK : ERR_NOMEM;
	}
	if (err != ERR_OK)
		return err;
	err_detail_set(detail, "no token has this name; hsmdkim-ctl tokens lists them");
	return ERR_NOT_FOUND;
}

static enum err read_pin_anew(struct generation *g, const struct generation_source *source,
			      const struct generation *now, const char *token,
			      struct err_detail *detail)
{
	struct pinsource_rules rules = { .safe_only = now->settings->require_safe_keys,
					 .may_ask = !source->never_ask,
					 .old = now->signer };
	char *pin_source = NULL;
	enum err err = generation_key_owner(now->settings, &rules.owner, detail);

	if (err == ERR_OK)
		err = find_pin_source(now, token, &pin_source, detail);
	if (err == ERR_OK && pin_source[0] != '\0')
		err = pinsource_read(slice_str(pin_source), slice_str(token), &rules, g->signer,
				     detail);
	free(pin_source);
	if (err != ERR_OK)
		err_detail_prefix(detail, "token %s: ", token);
	return err;
}

enum err generation_relogin(const struct generation_source *source, const struct generation *now,
			    const char *token, uint32_t number, struct generation **ret_generation,
			    struct err_detail *detail)
{
	AUTO(generation_free) struct generation *g = calloc(1, sizeof(*g));
	enum err err;

	if (g == NULL)
		return ERR_NOMEM;
	g->number = number;
	g->milter = files_new_closed();
	g->signer = files_new_closed();
	if (g->milter == NULL || g->signer == NULL)
		return ERR_NOMEM;
	err = copy_settings(now->settings, &g->settings);
	if (err == ERR_OK)
		err = read_pin_anew(g, source, now, token, detail);
	if (err == ERR_OK)
		err = share_all(now->signer, g->signer);
	if (err == ERR_OK)
		err = share_all(now->milter, g->milter);
	if (err != ERR_OK)
		return err;
	*ret_generation = g;
	g = NULL; /* handed over */
	return ERR_OK;
}

enum err generation_send_signer(const struct generation *g, int sock)
{
	return handover_send_load(sock, g->number, g->settings, g->signer);
}

enum err generation_send_milter(const struct generation *g, int sock)
{
	/* A shallow copy: a KeyTable may hold keys, so it stays out of the process that reads mail.
	 */
	struct settings part = *g->settings;

	part.key_table = part.key_file = part.token_table = part.pkcs11_pin_source = NULL;
	return handover_send_load(sock, g->number, &part, g->milter);
}
