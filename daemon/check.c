/* The -n check: see check.h. */
#include "daemon/check.h"

#include "daemon/listen.h"
#include "daemon/snapshot.h"
#include "keytable/keytable.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static bool key_is_known(void *ctx, struct slice name)
{
	struct keytable_row row;
	char *domain = NULL;
	char *ref = NULL;
	enum err err = keytable_find(ctx, name, SLICE_LIT("example.com"), &row, &domain, &ref);

	free(domain);
	free(ref);
	return err != ERR_KEY_UNKNOWN;
}

static enum err check_keys(const struct settings *s, const struct signtable *signing_table,
			   struct files *files, struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *table = NULL;
	enum err err;

	if (s->key_table == NULL)
		return ERR_OK;
	err = keytable_open(s->key_table, files, &table, detail);
	if (err == ERR_OK && keytable_is_live(table))
		err = keytable_check(table, detail);
	if (err == ERR_OK && signing_table != NULL && s->check_signing_table)
		err = signtable_check(signing_table, key_is_known, table, detail);
	if (err == ERR_OK)
		(void)printf("KeyTable: %zu keys\n", keytable_count(table));
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
	if (!snapshot_signs_loopback(snapshot))
		(void)fprintf(stderr, "warning: InternalHosts does not hold 127.0.0.1: Postfix's "
				      "bounces and mail from sendmail(1) will not be signed\n");
}

static enum err check_tables(struct generation *g, struct err_detail *detail)
{
	AUTO(snapshot_unref) struct snapshot *snapshot = NULL;
	struct settings *settings = g->settings;
	struct files *files = g->milter;
	struct listen_addr addr;
	enum err err;

	g->settings = NULL; /* the snapshot's now */
	g->milter = NULL;
	err = snapshot_new(g->number, settings, files, &snapshot, detail);
	if (err == ERR_OK)
		err = check_keys(snapshot->settings, snapshot->rules.signing_table, g->signer,
				 detail);
	if (err == ERR_OK && snapshot->settings->socket != NULL)
		err = listen_parse(snapshot->settings->socket, &addr, detail);
	if (err == ERR_OK)
		print_snapshot(snapshot);
	return err;
}

int check_configuration(const struct generation_source *source)
{
	AUTO(generation_free) struct generation *g = NULL;
	struct generation_source quiet = *source;
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };
	enum err err = generation_enter_base(source, &detail);

	quiet.never_ask = true;
	if (err == ERR_OK)
		err = generation_read(&quiet, NULL, 1, &g, &warnings, &detail);
	for (size_t i = 0; i < warnings.count; i++)
		(void)fprintf(stderr, "warning: %s\n", warnings.texts[i]);
	settings_warnings_done(&warnings);
	if (err == ERR_OK)
		err = check_tables(g, &detail);
	if (err == ERR_OK)
		return EX_OK;
	(void)fprintf(stderr, "hsmdkim: %s\n",
		      detail.text[0] != '\0' ? detail.text : err_text(err));
	return EX_CONFIG;
}
