/* Tokens: finding the slot, the one login, sessions. */
#include "pkcs11/token_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "pkcs11/ckr.h"
#include "pkcs11/module_priv.h"
#include "pkcs11/quirk.h"
#include "pkcs11/uri_priv.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum err token_new(const struct token_config *config, struct token **ret_token)
{
	struct token *t = calloc(1, sizeof(*t));
	pthread_mutexattr_t attr;

	if (t == NULL)
		return ERR_NOMEM;
	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* for token_enter() */
	(void)pthread_mutex_init(&t->lock, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	t->name = slice_dup(slice_str(config->name));
	t->module_path = slice_dup(slice_str(config->module_path));
	t->uri = config->uri;
	t->pin = config->pin;
	t->pin_state = config->pin_state;
	t->pin_ctx = config->pin_ctx;
	t->doubt = (struct pin_doubt){ config->pin_unclear, clock_mono_ms() };
	atomic_init(&t->unclear, config->pin_unclear);
	if (config->pin_unclear > 0)
		err_detail_set(&t->pin_detail, "the signer process ended in it");
	atomic_init(&t->pin_refused, config->pin_refused);
	if (config->pin_refused)
		err_detail_set(&t->pin_detail,
			       "this PIN was refused before; correct it, then reload");
	if (t->name == NULL || t->module_path == NULL) {
		token_free(&t);
		return ERR_NOMEM;
	}
	*ret_token = t;
	return ERR_OK;
}

void token_free(struct token **token)
{
	struct token *t;

	if (token == NULL || *token == NULL)
		return;
	t = *token;
	*token = NULL;
	token_detach(t);
	p11_module_unload(&t->module);
	(void)pthread_mutex_destroy(&t->lock);
	free(t->name);
	free(t->module_path);
	free(t);
}

const char *token_name(const struct token *token)
{
	return token->name;
}

bool token_pin_refused(struct token *token)
{
	return atomic_load(&token->pin_refused);
}

bool token_pin_unclear(struct token *token)
{
	return atomic_load(&token->unclear) > 0;
}

/* A field of CK_TOKEN_INFO, padded with blanks or, by some, with NULs. */
static const char *shown(const CK_UTF8CHAR *field, size_t size, char *out, size_t out_size)
{
	while (size > 0 && field[size - 1] == '\0')
		size--;
	return text_sanitize(slice_rtrim(slice_of(field, size)), out, out_size);
}

const char *token_describe(struct token *token, char *out, size_t out_size)
{
	char label[64];
	char model[64];
	char serial[64];

	(void)pthread_mutex_lock(&token->lock);
	(void)snprintf(out, out_size, "label %s, model %s, serial %s",
		       shown(token->info.label, sizeof(token->info.label), label, sizeof(label)),
		       shown(token->info.model, sizeof(token->info.model), model, sizeof(model)),
		       shown(token->info.serialNumber, sizeof(token->info.serialNumber), serial,
			     sizeof(serial)));
	(void)pthread_mutex_unlock(&token->lock);
	return out;
}

bool token_enter(struct token *token)
{
	/* Not the lock just to ask: whoever holds it may hang in the module. */
	if (!atomic_load(&token->serial))
		return false;
	(void)pthread_mutex_lock(&token->lock);
	return true;
}

void token_leave(struct token *token, bool entered)
{
	if (entered)
		(void)pthread_mutex_unlock(&token->lock);
}

/* ---- the slot ---- */

/* Take the slot if it holds the token that is meant. @return CKR_OK also when it does not */
static CK_RV try_slot(struct token *t, CK_SLOT_ID slot, unsigned *matches)
{
	CK_SLOT_INFO slot_info;
	CK_TOKEN_INFO info;
	CK_RV rv = t->f->C_GetSlotInfo(slot, &slot_info);

	if (rv == CKR_OK)
		rv = t->f->C_GetTokenInfo(slot, &info);
	if (rv != CKR_OK)
		return rv;
	if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 ||
	    (t->uri != NULL && !p11_uri_matches(t->uri, slot, &slot_info, &info)))
		return CKR_OK;
	if ((*matches)++ == 0) {
		t->slot = slot;
		t->slot_info = slot_info;
		t->info = info;
	}
	return CKR_OK;
}

static enum err find_slot(struct token *t, struct err_detail *detail)
{
	CK_SLOT_ID *slots = NULL;
	size_t count = 0;
	unsigned matches = 0;
	enum err e = p11_module_slots(t->module, &slots, &count, detail);

	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < count; i++)
		(void)try_slot(t, slots[i],
			       &matches); /* one broken slot is not the others' fault */
	free(slots);
	if (matches == 1)
		return ERR_OK;
	if (matches == 0) {
		err_detail_set(detail, "%s: none of %zu tokens is %s", t->module_path, count,
			       t->uri != NULL ? p11_uri_text(t->uri) : "initialised");
		return ERR_TOKEN_ABSENT;
	}
	err_detail_set(
		detail,
		"%s has %u tokens that match%s%s: name one by token= and serial= in the TokenTable",
		t->module_path, matches, t->uri != NULL ? " " : "",
		t->uri != NULL ? p11_uri_text(t->uri) : "");
	return ERR_AMBIGUOUS;
}

/* ---- attach and sessions ---- */

void token_detach(struct token *token)
{
	keyindex_free(&token->index);
	if (token->holder != 0)
		(void)token->f->C_CloseSession(token->holder);
	token->holder = 0;
	token->logged_in = false;
	token->attached = false;
}

CK_RV token_open_handle(struct token *token, CK_SESSION_HANDLE *ret_handle)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (token->read_write ? CKF_RW_SESSION : 0);
	CK_RV rv = token->f->C_OpenSession(token->slot, flags, NULL, NULL, ret_handle);

	if (rv != CKR_SESSION_READ_ONLY && rv != CKR_TOKEN_WRITE_PROTECTED)
		return rv;
	token->read_write = !token->read_write; /* some tokens know only the other kind */
	flags ^= CKF_RW_SESSION;
	return token->f->C_OpenSession(token->slot, flags, NULL, NULL, ret_handle);
}

static enum err load_module(struct token *t, struct err_detail *detail)
{
	enum err e = p11_module_load(t->module_path, &t->module, detail);

	if (e != ERR_OK)
		return e;
	atomic_store(&t->serial, p11_module_serial(t->module));
	if (p11_module_serial(t->module) && p11_module_shared(t->module)) {
		p11_module_unload(&t->module);
		err_detail_set(detail, "%s has no locks: it can serve one token only",
			       t->module_path);
		return ERR_MODULE;
	}
	t->f = p11_module_functions(t->module);
	return ERR_OK;
}

/* Some modules see a token that comes later only after a new C_Initialize. */
static void unload_module(struct token *t)
{
	if (t->open_handles != 0 || t->holder != 0)
		return;
	p11_module_unload(&t->module);
	t->f = NULL;
}

static enum err open_holder(struct token *t, struct err_detail *detail)
{
	CK_RV rv = token_open_handle(t, &t->holder);
	enum err e;

	if (rv != CKR_OK) {
		t->holder = 0;
		return ckr_error("C_OpenSession", rv, detail);
	}
	e = token_login(t, t->holder, detail);
	if (e != ERR_OK)
		token_detach(t);
	return e;
}

/* @param ret_again the module may not have seen a token that is there */
static enum err look_for_slot(struct token *t, bool *ret_again, struct err_detail *detail)
{
	enum err e = t->module == NULL ? load_module(t, detail) : ERR_OK;

	*ret_again = false;
	if (e != ERR_OK)
		return e;
	e = find_slot(t, detail);
	if (e != ERR_TOKEN_ABSENT)
		return e;
	*ret_again = quirk_of(t->f)->torn_reads;
	unload_module(t);
	return e;
}

#define LOOKS_MAX 4
#define LOOKS_APART_MS 20

enum err token_attach(struct token *token, struct err_detail *detail)
{
	bool again = false;
	enum err e;

	if (token->attached)
		return ERR_OK;
	e = look_for_slot(token, &again, detail);
	for (unsigned looks = 1; again && looks < LOOKS_MAX; looks++) {
		(void)poll(NULL, 0, LOOKS_APART_MS);
		e = look_for_slot(token, &again, detail);
	}
	if (e == ERR_OK)
		e = open_holder(token, detail);
	token->attached = e == ERR_OK;
	return e;
}

/* A handle for the session, on a token that is attached now. */
static enum err fill_session(struct token_session *s, struct err_detail *detail)
{
	struct token *t = s->token;
	CK_RV rv = CKR_OK;
	enum err e;

	(void)pthread_mutex_lock(&t->lock);
	e = token_attach(t, detail);
	if (e == ERR_OK) {
		s->f = t->f;
		rv = token_open_handle(t, &s->handle);
		if (rv == CKR_OK)
			t->open_handles++;
		if (ckr_info(rv)->class == CKR_CLASS_FAIL_OVER && rv != CKR_SESSION_COUNT)
			token_detach(t); /* it went away since */
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (e == ERR_OK && rv == CKR_OK)
		return ERR_OK;
	s->handle = 0;
	return e != ERR_OK ? e : ckr_error("C_OpenSession", rv, detail);
}

void token_session_drop(struct token_session *s)
{
	struct token *t = s->token;

	if (s->handle == 0)
		return;
	(void)s->f->C_CloseSession(s->handle);
	s->handle = 0;
	(void)pthread_mutex_lock(&t->lock);
	t->open_handles--;
	(void)pthread_mutex_unlock(&t->lock);
}

enum err token_session_open(struct token *token, struct token_session **ret_session,
			    struct err_detail *detail)
{
	struct token_session *s = calloc(1, sizeof(*s));
	enum err e;

	if (s == NULL)
		return ERR_NOMEM;
	s->token = token;
	e = fill_session(s, detail);
	if (e == ERR_OK)
		*ret_session = s;
	else
		free(s);
	return e;
}

static CK_SLOT_ID slot_of(struct token *token)
{
	CK_SLOT_ID slot;

	(void)pthread_mutex_lock(&token->lock);
	slot = token->slot;
	(void)pthread_mutex_unlock(&token->lock);
	return slot;
}

unsigned token_open_sessions(struct token *token)
{
	/* Without the lock: whoever holds it may hang in the module. */
	return atomic_load(&token->open_handles);
}

enum err token_session_reopen(struct token_session *session, struct err_detail *detail)
{
	token_session_drop(session);
	return fill_session(session, detail);
}

enum err token_session_check_login(struct token_session *session, struct err_detail *detail)
{
	struct token *t = session->token;
	CK_SESSION_INFO info;
	enum err e = ERR_OK;

	(void)pthread_mutex_lock(&t->lock);
	if (session->f->C_GetSessionInfo(session->handle, &info) == CKR_OK &&
	    (info.state == CKS_RO_PUBLIC_SESSION || info.state == CKS_RW_PUBLIC_SESSION)) {
		t->logged_in = false;
		keyindex_free(&t->index); /* what it was made of may be hidden since */
		e = token_login(t, session->handle, detail);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return e;
}

/* A session that is gone is no news of the token: C_OpenSession will tell. */
static enum err ask_token(struct token_session *s, struct err_detail *detail)
{
	CK_SESSION_INFO session;
	CK_TOKEN_INFO info;
	CK_RV rv = s->handle != 0 ? s->f->C_GetSessionInfo(s->handle, &session)
				  : CKR_SESSION_HANDLE_INVALID;
	enum err e = ERR_OK;

	if (ckr_info(rv)->class == CKR_CLASS_REOPEN)
		e = token_session_reopen(s, detail);
	else if (rv != CKR_OK)
		e = ckr_error("C_GetSessionInfo", rv, detail);
	if (e != ERR_OK)
		return e;
	rv = s->f->C_GetTokenInfo(slot_of(s->token), &info);
	return rv == CKR_OK ? token_session_check_login(s, detail)
			    : ckr_error("C_GetTokenInfo", rv, detail);
}

enum err token_session_check(struct token_session *session, struct err_detail *detail)
{
	bool entered = token_enter(session->token);
	enum err e = ask_token(session, detail);

	if (e != ERR_OK)
		token_session_drop(session);
	token_leave(session->token, entered);
	return e;
}

void token_rest(struct token *token)
{
	(void)pthread_mutex_lock(&token->lock);
	if (token->open_handles == 0) {
		token_detach(token);
		p11_module_unload(&token->module);
		token->f = NULL;
	}
	(void)pthread_mutex_unlock(&token->lock);
}

bool token_at_rest(struct token *token)
{
	return !atomic_load(&token->attached) && atomic_load(&token->open_handles) == 0;
}

bool token_session_lost(const struct token_session *session)
{
	return session->handle == 0;
}

void token_session_close(struct token_session **session)
{
	bool entered;

	if (session == NULL || *session == NULL)
		return;
	entered = token_enter((*session)->token);
	token_session_drop(*session);
	token_leave((*session)->token, entered);
	free(*session);
	*session = NULL;
}

/* ---- the index ---- */

#define INDEX_FRESH_MS 1000
/* Reading takes at most one part in so many of the time. */
#define INDEX_COST_PARTS 20

void token_index_outdate(struct token *token)
{
	atomic_store(&token->index_outdated, true);
}

int64_t token_index_fresh_ms(struct token *token)
{
	int64_t fresh_ms;

	(void)pthread_mutex_lock(&token->lock);
	fresh_ms = clock_mono_ms() - INDEX_FRESH_MS - token->index_cost_ms * INDEX_COST_PARTS;
	(void)pthread_mutex_unlock(&token->lock);
	return fresh_ms;
}

int64_t token_read_quiet_ms(struct token *token)
{
	int64_t beat_ms = atomic_load(&token->read_beat_ms);
	int64_t quiet_ms = clock_mono_ms() - beat_ms;

	if (beat_ms == 0)
		return -1;
	return quiet_ms > 0 ? quiet_ms : 0;
}

/* The lock is held. */
static enum err read_index(struct token_session *session, struct err_detail *detail)
{
	struct token *t = session->token;
	enum err e;

	t->index_ms = clock_mono_ms();
	atomic_store(&t->read_beat_ms, t->index_ms);
	e = keyindex_read(t->f, session->handle, t->index_ms + TOKEN_READ_MAX_MS, &t->read_beat_ms,
			  &t->index, detail);
	atomic_store(&t->read_beat_ms, 0);
	t->index_cost_ms = clock_mono_ms() - t->index_ms;
	return e;
}

size_t token_index_count(struct token *token)
{
	size_t n;

	(void)pthread_mutex_lock(&token->lock);
	n = token->index != NULL ? keyindex_count(token->index) : 0;
	(void)pthread_mutex_unlock(&token->lock);
	return n;
}

enum err token_find(struct token_session *session, const struct p11_uri *uri, int64_t newer_than_ms,
		    CK_OBJECT_HANDLE *handles, size_t max, size_t *ret_count,
		    struct err_detail *detail)
{
	struct token *t = session->token;
	enum err e = ERR_OK;

	(void)pthread_mutex_lock(&t->lock);
	if (t->index != NULL &&
	    (atomic_exchange(&t->index_outdated, false) || t->index_ms <= newer_than_ms))
		keyindex_free(&t->index);
	if (t->index == NULL)
		e = read_index(session, detail);
	if (e == ERR_OK)
		*ret_count =
			keyindex_find(t->index, p11_uri_label(uri), p11_uri_id(uri), handles, max);
	if (e == ERR_OK && *ret_count == 0 && keyindex_failure(t->index) != CKR_OK) {
		e = ckr_error("C_GetAttributeValue", keyindex_failure(t->index), detail);
		keyindex_free(&t->index); /* the next search may see more */
	}
	(void)pthread_mutex_unlock(&t->lock);
	return e;
}
