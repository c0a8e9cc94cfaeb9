/* Tokens and their workers. */
#include "signer/tokenlane.h"

#include "base/limits.h"
#include "base/log.h"
#include "config/pinsource.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_MAX 4096u
/* No key was read for so long: the reading hangs. (A search in a full token takes seconds until the
 * first one comes.) */
#define READ_QUIET_MS 10000

struct tokenlane {
	atomic_uint refs;
	struct lane *lane;
	struct token *token;
	struct p11_uri *uri;
	struct pin *pin;
	struct pinnote *pinnote; /* NULL: no PIN */
	char *name;
	char *module_path;
	char *uri_text;
	unsigned sessions;
	struct health *health;
	struct tally tally;
	atomic_bool shrunk;
};

/* ---- workers ---- */

static void *worker_new(void *ctx)
{
	struct token_worker *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->lane = ctx;
	return w;
}

/* The last one lets go of the login, too, and of the module. */
static void worker_rest(void *worker)
{
	struct token_worker *w = worker;

	if (w == NULL)
		return;
	token_session_close(&w->session);
	token_rest(w->lane->token);
}

static void worker_free(void *worker)
{
	struct token_worker *w = worker;

	if (w == NULL)
		return;
	token_session_close(&w->session);
	free(w);
}

static void destroy(void *ctx)
{
	struct tokenlane *t = ctx;

	health_free(&t->health);
	token_free(&t->token);
	p11_uri_free(&t->uri);
	pinnote_free(&t->pinnote);
	pin_free(&t->pin);
	free(t->name);
	free(t->module_path);
	free(t->uri_text);
	free(t);
}

static const struct lane_ops ops = { worker_new, worker_rest, worker_free, destroy };

/* ---- life ---- */

static enum err read_pin(const struct tokentable_row *row, struct files *files,
			 struct pin **ret_pin, struct err_detail *detail)
{
	char *path = pinsource_name(slice_str(row->pin_source), slice_str(row->name));
	struct slice text;
	enum err e;

	if (path == NULL)
		return ERR_NOMEM;
	e = files_map_secret(files, path, &text, detail);
	if (e == ERR_OK)
		e = pin_new(text, ret_pin, detail);
	if (e != ERR_OK) {
		err_detail_prefix(detail, "PIN from %s: ", path);
		tokentable_place(row, "PKCS11PinSource", detail);
	}
	free(path);
	return e;
}

/* A blank may belong to a PIN, and more often does not. */
static bool find_doubt(const struct tokentable_row *row, const struct pin *pin,
		       struct err_detail *ret_doubt)
{
	bool doubted = pin_has_outer_blank(pin);

	if (doubted)
		err_detail_set(ret_doubt,
			       "PIN from %s: it begins or ends with a blank, which is sent to the "
			       "token, too; take it out unless it belongs there",
			       row->pin_source);
	return doubted;
}

/* With what earlier processes knew of the PIN. */
static enum err fill_pin(struct tokenlane *t, const struct tokentable_row *row, struct files *files,
			 const struct pin_memory *memory, struct token_config *config,
			 struct err_detail *detail)
{
	struct err_detail doubt;
	enum err e;

	if (row->pin_source == NULL)
		return ERR_OK;
	e = read_pin(row, files, &t->pin, detail);
	if (e == ERR_OK)
		e = pinnote_new(memory, row->name, t->pin, &t->pinnote, &config->pin_refused,
				&config->pin_unclear);
	if (e != ERR_OK)
		return e;
	if (find_doubt(row, t->pin, &doubt))
		log_line(LOG_LEVEL_WARNING, "token %s: %s", row->name, doubt.text);
	config->pin = t->pin;
	config->pin_state = pinnote_state;
	config->pin_ctx = t->pinnote;
	if (config->pin_refused)
		log_line(LOG_LEVEL_ERROR,
			 "token %s: its PIN was refused before and is not tried again; correct it "
			 "(%s), then reload",
			 row->name, row->pin_source);
	else if (config->pin_unclear > 0)
		log_line(LOG_LEVEL_WARNING,
			 "token %s: the signer process ended in a login (%u of %u); the token may "
			 "have counted it as a wrong PIN",
			 row->name, config->pin_unclear, PIN_UNCLEAR_MAX);
	return ERR_OK;
}

static enum err fill(struct tokenlane *t, const struct tokentable_row *row, struct files *files,
		     const struct pin_memory *memory, struct err_detail *detail)
{
	struct token_config config = { .name = row->name, .module_path = row->module_path };
	enum err e = ERR_OK;

	t->name = slice_dup(slice_str(row->name));
	t->module_path = slice_dup(slice_str(row->module_path));
	t->uri_text = slice_dup(slice_str(row->uri));
	t->sessions = row->sessions;
	t->health = health_new(row->name, row->pin_source);
	if (t->health == NULL || t->name == NULL || t->module_path == NULL || t->uri_text == NULL)
		return ERR_NOMEM;
	if (row->uri != NULL)
		e = p11_uri_parse(slice_str(row->uri), P11_URI_TOKEN, &t->uri, detail);
	if (e == ERR_OK)
		e = fill_pin(t, row, files, memory, &config, detail);
	config.uri = t->uri;
	return e == ERR_OK ? token_new(&config, &t->token) : e;
}

enum err tokenlane_new(const struct tokentable_row *row, struct files *files,
		       const struct pin_memory *memory, struct tokenlane **ret_lane,
		       struct err_detail *detail)
{
	struct tokenlane *t = calloc(1, sizeof(*t));
	enum err e;

	if (t == NULL)
		return ERR_NOMEM;
	atomic_init(&t->refs, 1);
	e = fill(t, row, files, memory, detail);
	if (e == ERR_OK)
		e = lane_new(row->name, row->sessions, QUEUE_MAX, &ops, t, &t->lane);
	if (e != ERR_OK) {
		destroy(t);
		return e;
	}
	*ret_lane = t;
	return ERR_OK;
}

enum err tokenlane_check_pin(const struct tokentable_row *row, struct files *files,
			     void (*warn)(const char *text), struct err_detail *detail)
{
	AUTO(pin_free) struct pin *pin = NULL;
	struct err_detail why = { "" };
	enum err e = row->pin_source != NULL ? read_pin(row, files, &pin, &why) : ERR_OK;

	if (e == ERR_NOT_FOUND)
		return ERR_OK; /* nobody was asked */
	if (e != ERR_OK && detail != NULL)
		*detail = why;
	if (e == ERR_OK && pin != NULL && find_doubt(row, pin, &why)) {
		tokentable_place(row, "PKCS11PinSource", &why);
		warn(why.text);
	}
	return e;
}

bool tokenlane_same(const struct tokenlane *lane, const struct tokentable_row *row,
		    struct files *files)
{
	AUTO(pin_free) struct pin *pin = NULL;

	if (strcmp(lane->name, row->name) != 0 ||
	    strcmp(lane->module_path, row->module_path) != 0 ||
	    !slice_eq(slice_str(lane->uri_text), slice_str(row->uri)) ||
	    lane->sessions != row->sessions || token_pin_refused(lane->token) ||
	    token_pin_unclear(lane->token))
		return false;
	if (row->pin_source == NULL || lane->pin == NULL)
		return row->pin_source == NULL && lane->pin == NULL;
	return read_pin(row, files, &pin, NULL) == ERR_OK &&
	       slice_eq(pin_bytes(pin), pin_bytes(lane->pin));
}

struct tokenlane *tokenlane_ref(struct tokenlane *lane)
{
	atomic_fetch_add(&lane->refs, 1);
	return lane;
}

void tokenlane_rest(struct tokenlane *lane)
{
	lane_rest(lane->lane);
}

void tokenlane_unref(struct tokenlane **lane)
{
	struct tokenlane *t;

	if (lane == NULL || *lane == NULL)
		return;
	t = *lane;
	*lane = NULL;
	if (atomic_fetch_sub(&t->refs, 1) == 1) {
		struct lane *l = t->lane; /* t may be gone before lane_close() returns */

		lane_close(&l);
	}
}

struct lane *tokenlane_lane(struct tokenlane *lane)
{
	return lane->lane;
}

struct token *tokenlane_token(struct tokenlane *lane)
{
	return lane->token;
}

struct health *tokenlane_health(struct tokenlane *lane)
{
	return lane->health;
}

struct tally *tokenlane_tally(struct tokenlane *lane)
{
	return &lane->tally;
}

unsigned tokenlane_sessions(const struct tokenlane *lane)
{
	return lane->sessions;
}

bool tokenlane_reads(const struct tokenlane *lane)
{
	int64_t quiet_ms = token_read_quiet_ms(lane->token);

	return quiet_ms >= 0 && quiet_ms < READ_QUIET_MS;
}

void tokenlane_shrunk(struct tokenlane *lane, unsigned sessions)
{
	if (!atomic_exchange(&lane->shrunk, true))
		log_line(LOG_LEVEL_WARNING,
			 "token %s: it grants %u sessions, %u are configured; more are asked for "
			 "now and then",
			 lane->name, sessions, lane->sessions);
}
