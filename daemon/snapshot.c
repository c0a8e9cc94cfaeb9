/* Snapshots of the configuration: see snapshot.h. */
#include "daemon/snapshot.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* SenderHeaders names; more are a mistake. */
#define SENDER_HEADERS_MAX 16u

/* The whole of it; struct snapshot, its readable part, comes first. */
struct whole {
	struct snapshot pub;
	atomic_uint refs;
	struct settings *settings;
	struct files *files;
	struct signtable *signing_table;
	struct dataset *domain;
	struct dataset *mta;
	struct dataset *macro_list;
	struct dataset *exempt_domains;
	struct dataset *dont_sign_mail_to;
	struct dataset *body_length_db;
	struct dataset *sender_headers;
	struct hostlist *internal_hosts;
	struct hostlist *external_ignore_list;
	struct hostlist *peer_list;
	struct dkim_hdrselect *hdrselect;
	struct verifyrules *verify;
	struct slice senders[SENDER_HEADERS_MAX];
	size_t senders_count;
};

static void whole_free(struct whole **whole)
{
	struct whole *w = *whole;

	if (w == NULL)
		return;
	verifyrules_free(&w->verify);
	dkim_hdrselect_free(&w->hdrselect);
	hostlist_free(&w->peer_list);
	hostlist_free(&w->external_ignore_list);
	hostlist_free(&w->internal_hosts);
	dataset_free(&w->sender_headers);
	dataset_free(&w->dont_sign_mail_to);
	dataset_free(&w->body_length_db);
	dataset_free(&w->exempt_domains);
	dataset_free(&w->macro_list);
	dataset_free(&w->mta);
	dataset_free(&w->domain);
	signtable_free(&w->signing_table);
	files_free(&w->files);
	settings_free(&w->settings);
	free(w);
	*whole = NULL;
}

static bool add_sender(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct whole *w = ctx;

	(void)value;
	(void)origin;
	w->senders[w->senders_count++] = key;
	return w->senders_count < SENDER_HEADERS_MAX;
}

static enum err open_sets(struct whole *w, struct err_detail *detail)
{
	const struct settings *s = w->settings;
	const struct {
		const char *name;
		const char *spec;
		unsigned flags;
		struct dataset **set;
	} sets[] = {
		{ "Domain", s->signing_table == NULL ? s->domain : NULL, DATASET_ICASE,
		  &w->domain },
		{ "MTA", s->mta, 0, &w->mta },
		{ "MacroList", s->macro_list, 0, &w->macro_list },
		{ "ExemptDomains", s->exempt_domains, DATASET_ICASE, &w->exempt_domains },
		{ "DontSignMailTo", s->dont_sign_mail_to, DATASET_ICASE, &w->dont_sign_mail_to },
		{ "BodyLengthDB", s->body_length_db, DATASET_ICASE, &w->body_length_db },
		{ "SenderHeaders", s->sender_headers, DATASET_ICASE, &w->sender_headers },
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		enum err err = ERR_OK;

		if (sets[i].spec != NULL)
			err = dataset_open(sets[i].name, sets[i].spec, sets[i].flags, w->files,
					   sets[i].set, detail);
		err = files_fault(w->files, sets[i].name, err, detail);
		if (err != ERR_OK)
			return err;
	}
	return w->sender_headers != NULL ? dataset_each(w->sender_headers, add_sender, w) : ERR_OK;
}

static enum err open_hosts(struct whole *w, struct err_detail *detail)
{
	const struct settings *s = w->settings;
	const struct {
		const char *name;
		const char *spec;
		struct hostlist **list;
	} lists[] = {
		{ "InternalHosts", s->internal_hosts, &w->internal_hosts },
		{ "ExternalIgnoreList", s->external_ignore_list, &w->external_ignore_list },
		{ "PeerList", s->peer_list, &w->peer_list },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		enum err err = ERR_OK;

		if (lists[i].spec != NULL)
			err = hostlist_open(lists[i].name, lists[i].spec, w->files, lists[i].list,
					    detail);
		err = files_fault(w->files, lists[i].name, err, detail);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* The three lists may stand in files like any data set. */
static enum err open_hdrselect(struct whole *w, struct err_detail *detail)
{
	const struct settings *s = w->settings;
	char *sign = NULL;
	char *omit = NULL;
	char *oversign = NULL;
	enum err err = dataset_list("SignHeaders", s->sign_headers, w->files, &sign, detail);

	if (err == ERR_OK)
		err = dataset_list("OmitHeaders", s->omit_headers, w->files, &omit, detail);
	if (err == ERR_OK)
		err = dataset_list("OversignHeaders", s->oversign_headers, w->files, &oversign,
				   detail);
	if (err == ERR_OK)
		err = dkim_hdrselect_new(sign, omit, oversign, &w->hdrselect, detail);
	free(sign);
	free(omit);
	free(oversign);
	return err;
}

static void publish(struct whole *w, uint32_t generation)
{
	const struct settings *s = w->settings;

	w->pub.generation = generation;
	w->pub.settings = s;
	w->pub.peer_list = w->peer_list;
	w->pub.body_length_db = w->body_length_db;
	w->pub.hdrselect = w->hdrselect;
	w->pub.verify = w->verify;
	w->pub.rules = (struct decide_rules){
		.mode = s->mode,
		.signing_table = w->signing_table,
		.multiple_signatures = s->multiple_signatures,
		.domain = w->domain,
		.sub_domains = s->sub_domains,
		.mta = w->mta,
		.macro_list = w->macro_list,
		.internal_hosts = w->internal_hosts,
		.external_ignore_list = w->external_ignore_list,
		.exempt_domains = w->exempt_domains,
		.dont_sign_mail_to = w->dont_sign_mail_to,
		.sender_macro = s->sender_macro,
		.sender_headers = w->senders,
		.sender_headers_count = w->senders_count,
		.log_why = s->log_why,
	};
}

static enum err open_signing_table(struct whole *w, struct err_detail *detail)
{
	enum err err = ERR_OK;

	if (w->settings->signing_table != NULL)
		err = signtable_open(w->settings->signing_table, w->files, &w->signing_table,
				     detail);
	return files_fault(w->files, "SigningTable", err, detail);
}

/* In a set of files that gathers errors, all of them are found. */
static enum err open_all(struct whole *w, struct err_detail *detail)
{
	enum err err = open_sets(w, detail);

	if (err == ERR_OK)
		err = open_hosts(w, detail);
	if (err == ERR_OK)
		err = open_signing_table(w, detail);
	if (err == ERR_OK)
		err = files_fault(w->files, "SignHeaders", open_hdrselect(w, detail), detail);
	if (err == ERR_OK)
		err = verifyrules_new(w->settings, w->files, &w->verify, detail);
	err = files_fault(w->files, "Minimum", err, detail);
	return err == ERR_OK ? files_gathered(w->files, detail) : err;
}

enum err snapshot_new(uint32_t generation, struct settings *settings, struct files *files,
		      struct snapshot **ret_snapshot, struct err_detail *detail)
{
	AUTO(whole_free) struct whole *w = calloc(1, sizeof(*w));
	enum err err;

	if (w == NULL) {
		settings_free(&settings);
		files_free(&files);
		return ERR_NOMEM;
	}
	atomic_init(&w->refs, 1);
	w->settings = settings;
	w->files = files;
	err = open_all(w, detail);
	if (err != ERR_OK)
		return err;
	publish(w, generation);
	*ret_snapshot = &w->pub;
	w = NULL;
	return ERR_OK;
}

void snapshot_unref(struct snapshot **snapshot)
{
	struct whole *w = (struct whole *)*snapshot; /* pub is its first member */

	*snapshot = NULL;
	if (w != NULL && atomic_fetch_sub(&w->refs, 1) == 1)
		whole_free(&w);
}

bool snapshot_signs_loopback(const struct snapshot *snapshot)
{
	struct sockaddr_in loopback = { .sin_family = AF_INET };

	if ((snapshot->settings->mode & MODE_SIGN) == 0)
		return true;
	loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return snapshot->rules.internal_hosts != NULL &&
	       hostlist_match(snapshot->rules.internal_hosts, SLICE_LIT("localhost"),
			      (const struct sockaddr *)&loopback, NULL);
}

struct snapshot_slot {
	pthread_mutex_t lock; /* guards current, between reading it and counting the reference */
	struct snapshot *current;
};

struct snapshot_slot *snapshot_slot_new(void)
{
	struct snapshot_slot *slot = calloc(1, sizeof(*slot));

	if (slot != NULL && pthread_mutex_init(&slot->lock, NULL) != 0) {
		free(slot);
		slot = NULL;
	}
	return slot;
}

void snapshot_slot_free(struct snapshot_slot **slot)
{
	if (*slot == NULL)
		return;
	snapshot_unref(&(*slot)->current);
	(void)pthread_mutex_destroy(&(*slot)->lock);
	free(*slot);
	*slot = NULL;
}

struct snapshot *snapshot_pin(struct snapshot_slot *slot)
{
	struct snapshot *pinned;

	(void)pthread_mutex_lock(&slot->lock);
	pinned = slot->current;
	if (pinned != NULL)
		atomic_fetch_add(&((struct whole *)pinned)->refs, 1);
	(void)pthread_mutex_unlock(&slot->lock);
	return pinned;
}

void snapshot_switch(struct snapshot_slot *slot, struct snapshot *snapshot)
{
	struct snapshot *old;

	(void)pthread_mutex_lock(&slot->lock);
	old = slot->current;
	slot->current = snapshot;
	(void)pthread_mutex_unlock(&slot->lock);
	snapshot_unref(&old);
}
