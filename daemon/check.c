/* The -n check: see check.h. */
#include "daemon/check.h"

#include "base/limits.h"
#include "config/faults.h"
#include "config/handover.h"
#include "daemon/doubts.h"
#include "daemon/keysource.h"
#include "daemon/listen.h"
#include "daemon/migration.h"
#include "daemon/ownsigner.h"
#include "daemon/snapshot.h"
#include "keytable/keytable.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define SIGNER_CHECK_MS 600000

/* KeyTable, TokenTable and URIs are checked by the program that uses them, as the user that it will
 * be, without a key, a token or a module. */
static enum err check_in_signer(const struct generation *g, struct settings_warnings *warnings,
				struct err_detail *detail)
{
	const struct ownsigner_how how = { .argument = HANDOVER_CHECK_ARGUMENT,
					   .timeout_ms = SIGNER_CHECK_MS,
					   .warnings = warnings };
	struct ownsigner signer;
	enum err err = ownsigner_load(g, &how, &signer, detail);

	ownsigner_stop(&signer);
	return err;
}

static void print_snapshot(const struct snapshot *snapshot)
{
	char *headers = dkim_hdrselect_text(snapshot->hdrselect);

	if (snapshot->rules.signing_table != NULL)
		(void)printf("SigningTable: %zu rows\n",
			     signtable_count(snapshot->rules.signing_table));
	if (headers != NULL)
		(void)printf("header fields that are signed: %s\n", headers);
	free(headers);
}

static bool take_first(void *ctx, struct slice key, struct slice value, const char *origin)
{
	(void)value;
	(void)origin;
	*(struct slice *)ctx = key;
	return false;
}

/* d= of KeyFile's key: the one that Domain lists, "%" where there are more. */
static enum err open_single(const struct snapshot *snapshot, struct keytable **ret_keys,
			    struct err_detail *detail)
{
	const struct settings *s = snapshot->settings;
	const struct dataset *domains = snapshot->rules.domain;
	struct slice only = SLICE_LIT("%");
	char domain[LIMIT_DOMAIN_BYTES + 1];

	if (domains != NULL && dataset_count(domains) == 1 && !dataset_is_pattern(domains) &&
	    dataset_each(domains, take_first, &only) != ERR_OK)
		only = SLICE_LIT("%");
	(void)snprintf(domain, sizeof(domain), "%.*s", SLICE_FMT(only));
	if (keytable_open_single(domain, s->selector, s->key_file, ret_keys, NULL) == ERR_OK)
		return ERR_OK;
	return keytable_open_single("%", s->selector, s->key_file, ret_keys, detail);
}

static enum err print_report(const struct generation_source *source,
			     const struct snapshot *snapshot, struct files *files, size_t warnings,
			     struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *keys = NULL;
	const struct settings *s = snapshot->settings;
	enum err err = ERR_OK;

	if (s->key_table != NULL) {
		err = keytable_open(s->key_table, files, &keys, detail);
		if (err == ERR_OK)
			(void)printf("KeyTable: %zu keys\n", keytable_count(keys));
	} else if (s->key_file != NULL && s->selector != NULL) {
		err = open_single(snapshot, &keys, detail);
	}
	if (err != ERR_OK)
		return err;
	print_snapshot(snapshot);
	migration_print(&(struct migration_input){ .settings = s,
						   .config = source->path,
						   .keys = keys,
						   .files = files,
						   .warnings = warnings });
	return ERR_OK;
}

/* A warning only: a service manager may make the folder when it starts us. */
static void doubt_folder(const struct settings *s, const char *setting, const char *path,
			 struct settings_warnings *warnings)
{
	size_t slash = slice_rfind(slice_str(path), '/');
	char folder[PATH_MAX];
	struct err_detail line;

	if (slash == 0 || path[slash] != '/' || slash >= sizeof(folder))
		return;
	memcpy(folder, path, slash);
	folder[slash] = '\0';
	if (access(folder, F_OK) == 0)
		return;
	err_detail_set(&line,
		       "%s: folder %s: %s; a start fails unless the service manager makes it",
		       setting, folder, strerror(errno));
	settings_place_error(s, &line);
	settings_warn(warnings, line.text);
}

/* What a start finds when it listens, without listening. */
static enum err check_places(const struct settings *s, struct settings_warnings *warnings,
			     struct err_detail *detail)
{
	struct listen_addr addr;
	enum err err;

	if (s->pid_file != NULL)
		doubt_folder(s, "PidFile", s->pid_file, warnings);
	if (s->socket == NULL) {
		settings_warn(warnings, "Socket is not set: a start fails without it, -p, or a "
					"socket of the service manager");
		return ERR_OK;
	}
	err = listen_parse(s->socket, &addr, detail);
	if (err != ERR_OK)
		return err;
	err = listen_check(&addr, detail);
	if (err != ERR_OK)
		err_detail_prefix(detail, "Socket: ");
	else if (addr.kind == LISTEN_UNIX)
		doubt_folder(s, "Socket", addr.path, warnings);
	return err;
}

/* Where key records come from; a resolver is started, and asks nobody. */
static enum err check_keysource(const struct generation *g, struct err_detail *detail)
{
	const struct settings *s = g->settings;
	struct dns_source *dns = NULL;
	bool dnssec;
	enum err err = keysource_check(s, g->milter, detail);

	if (err != ERR_OK || s->test_public_keys != NULL || s->test_dns_data != NULL)
		return err;
	err = keysource_open(s, g->milter, &dns, &dnssec, detail);
	dns_source_free(&dns);
	return err;
}

/* The settings are read once more: they may be the snapshot's by now, and gone with it. */
static void spread_faults(const struct generation_source *source, const char *text,
			  struct settings_warnings *warnings, struct err_detail *detail)
{
	AUTO(settings_free) struct settings *s = NULL;

	if (generation_settings(source, &s, NULL, NULL) != ERR_OK)
		s = NULL; /* changed meanwhile: no places */
	faults_spread(text, s, detail, warnings);
}

static enum err check_tables(const struct generation_source *source, struct generation *g,
			     struct snapshot **ret_snapshot, struct settings_warnings *warnings,
			     struct err_detail *detail)
{
	enum err signer_err = check_in_signer(g, warnings, detail);
	struct err_detail milter_detail = { "" };
	struct faults faults;
	enum err err;

	faults_init(&faults);
	files_gather(g->milter, &faults);
	err = files_fault(g->milter, "TestDNSData", check_keysource(g, &milter_detail),
			  &milter_detail);
	if (err == ERR_OK) {
		err = snapshot_new(g->number, g->settings, g->milter, ret_snapshot, &milter_detail);
		g->settings = NULL; /* the snapshot's now */
		g->milter = NULL;
	}
	if (err != ERR_OK)
		spread_faults(source, faults_text(&faults, err, &milter_detail), warnings, detail);
	faults_done(&faults);
	if (signer_err != ERR_OK || err != ERR_OK)
		return signer_err != ERR_OK ? signer_err : err;
	doubts_find(*ret_snapshot, true, warnings);
	err = check_places((*ret_snapshot)->settings, warnings, detail);
	settings_place_error((*ret_snapshot)->settings, detail);
	return err;
}

static void print_source(const struct generation_source *source)
{
	if (source->path != NULL)
		(void)printf("configuration: %s\n", source->path);
	else
		(void)printf("no configuration file: this is about the built-in defaults and the "
			     "command line; -x FILE names one\n");
}

int check_configuration(const struct generation_source *source)
{
	AUTO(generation_free) struct generation *g = NULL;
	AUTO(snapshot_unref) struct snapshot *snapshot = NULL;
	struct generation_source quiet = *source;
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };
	enum err err;

	print_source(source);
	err = generation_enter_base(source, &warnings, &detail);
	quiet.never_ask = true;
	if (err == ERR_OK)
		err = generation_read(&quiet, NULL, 1, &g, &warnings, &detail);
	if (err == ERR_OK)
		err = check_tables(source, g, &snapshot, &warnings, &detail);
	for (size_t i = 0; i < warnings.count; i++)
		(void)fprintf(stderr, "warning: %s\n", warnings.texts[i]);
	if (err == ERR_OK)
		err = print_report(source, snapshot, g->signer, warnings.count, &detail);
	settings_warnings_done(&warnings);
	if (err == ERR_OK)
		return EX_OK;
	(void)fprintf(stderr, "hsmdkim: %s\n",
		      detail.text[0] != '\0' ? detail.text : err_text(err));
	return EX_CONFIG;
}
