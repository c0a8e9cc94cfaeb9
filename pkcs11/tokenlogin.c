/* The one login of a token, and the one place that sends a PIN. */
#include "pkcs11/ckr.h"
#include "pkcs11/module_priv.h"
#include "pkcs11/pinlog.h"
#include "pkcs11/token_priv.h"

#include "base/clock.h"
#include "base/log.h"

void token_pins_forget(void)
{
	pinlog_forget();
}

static void tell_state(const struct token *t)
{
	if (t->pin_state != NULL)
		t->pin_state(t->pin_ctx, atomic_load(&t->pin_refused), t->doubt.count);
}

void token_refuse_pin(struct token *token, const struct err_detail *detail)
{
	token->pin_detail = *detail;
	atomic_store(&token->pin_refused, true);
	tell_state(token);
}

/* What the token says about its PIN before we spend an attempt. */
static enum err check_pin_flags(struct token *t, struct err_detail *detail)
{
	static const struct {
		CK_FLAGS flag;
		const char *text;
	} stops[] = {
		{ CKF_USER_PIN_LOCKED, "the PIN is locked: unlock it (SO PIN), then reload" },
		{ CKF_USER_PIN_FINAL_TRY,
		  "the next wrong PIN locks the token: log in once by hand, then reload" },
		{ CKF_USER_PIN_TO_BE_CHANGED,
		  "the PIN must be changed first: do that, then reload" },
	};
	struct err_detail reason;
	CK_TOKEN_INFO info;
	CK_RV rv = t->f->C_GetTokenInfo(t->slot, &info);

	if (rv != CKR_OK)
		return ckr_error("C_GetTokenInfo", rv, detail);
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		if ((info.flags & stops[i].flag) == 0)
			continue;
		err_detail_set(&reason, "token %s: %s", t->name, stops[i].text);
		token_refuse_pin(t, &reason);
		if (detail != NULL)
			*detail = reason;
		return ERR_TOKEN_PIN;
	}
	if ((info.flags & CKF_USER_PIN_COUNT_LOW) != 0 && !t->logged_in)
		log_line(LOG_LEVEL_WARNING,
			 "token %s: a wrong PIN was entered before; one attempt is made", t->name);
	return ERR_OK;
}

/* What the token says of wrong PINs. */
static CK_FLAGS pin_flags(const struct token *t, CK_FLAGS when_silent)
{
	CK_TOKEN_INFO info;

	if (t->f->C_GetTokenInfo(t->slot, &info) != CKR_OK)
		return when_silent;
	return info.flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
}

/* Codes of a call that did not come as far as the PIN. All others, a refusal aside, may hide a
 * wrong one that the token has counted. */
static bool pin_was_not_looked_at(CK_RV rv)
{
	static const CK_RV codes[] = {
		CKR_CRYPTOKI_NOT_INITIALIZED,
		CKR_SESSION_HANDLE_INVALID,
		CKR_SESSION_CLOSED,
		CKR_OPERATION_NOT_INITIALIZED,
		CKR_SLOT_ID_INVALID,
		CKR_TOKEN_NOT_PRESENT,
		CKR_TOKEN_NOT_RECOGNIZED,
		CKR_DEVICE_REMOVED,
		CKR_HOST_MEMORY,
		CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
		CKR_USER_NOT_LOGGED_IN,
		CKR_USER_TYPE_INVALID,
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i] == rv)
			return true;
	return false;
}

/* A network HSM that goes away has any code for it, but then it does not say who it is either. */
static bool is_away(const struct token *t)
{
	CK_TOKEN_INFO info;

	return t->f->C_GetTokenInfo(t->slot, &info) != CKR_OK;
}

static void set_doubt(struct token *t, struct pinlog_place *place, struct pin_doubt doubt)
{
	t->doubt = doubt;
	pinlog_set_doubt(place, doubt);
	tell_state(t);
}

/* What this token object knows, or what another row that means the same token was told. */
static struct pin_doubt doubt_of(const struct token *t, const struct pinlog_place *place)
{
	struct pin_doubt doubt = pinlog_doubt(place);

	return t->doubt.count > doubt.count ? t->doubt : doubt;
}

static void describe_too_many(const struct token *t, struct err_detail *reason)
{
	err_detail_prefix(reason,
			  "token %s: %u logins had no clear answer, and it may have counted them "
			  "as wrong PINs: check the PIN, then reload; the last one: ",
			  t->name, PIN_UNCLEAR_MAX);
}

/* @return CKR_OK: there may be one more */
static CK_RV hold_back(const struct token *t, struct pin_doubt doubt, struct err_detail *reason)
{
	int64_t rest_ms = pinlog_rest_ms(doubt);

	if (doubt.count < PIN_UNCLEAR_MAX && rest_ms == 0)
		return CKR_OK;
	*reason = t->pin_detail;
	if (reason->text[0] == '\0')
		err_detail_set(reason, "of another row of the TokenTable");
	if (doubt.count >= PIN_UNCLEAR_MAX) {
		describe_too_many(t, reason);
		return CKR_PIN_INCORRECT;
	}
	err_detail_prefix(
		reason,
		"token %s: the last login had no clear answer, the next one is in %lld s, "
		"and then no other: ",
		t->name, (long long)(rest_ms + 999) / 1000);
	return CKR_DEVICE_ERROR;
}

/* One login is good for all sessions of a process: a token does not look at the PIN of a second. */
static void note_acceptance(struct token *t, CK_USER_TYPE user, CK_RV rv)
{
	if (rv == CKR_OK)
		t->pin_accepted = true;
	else if (user == CKU_USER && !t->pin_accepted)
		log_line(LOG_LEVEL_NOTICE,
			 "token %s: is logged in already (by another row, by the tables before or "
			 "by an earlier step), so it did not look at this PIN; should it be wrong, "
			 "a later login says so",
			 t->name);
}

/* The call, between two notes for whoever comes after us if it ends the process. */
static CK_RV call_login(struct token *t, CK_SESSION_HANDLE session, CK_USER_TYPE user,
			struct pinlog_place *place, struct err_detail *reason)
{
	static const struct pin_doubt none = { .count = 0 };
	struct slice pin = pin_bytes(t->pin);
	struct pin_doubt before = doubt_of(t, place);
	struct pin_doubt doubt = { before.count + 1, clock_mono_ms() };
	CK_FLAGS flags = pin_flags(t, ~(CK_FLAGS)0);
	CK_RV rv;

	set_doubt(t, place, doubt);
	rv = t->f->C_Login(session, user, (CK_UTF8CHAR_PTR)pin.ptr, pin.len);
	if (ckr_info(rv)->class == CKR_CLASS_OK) {
		set_doubt(t, place, rv == CKR_OK ? none : before);
		note_acceptance(t, user, rv);
		return rv;
	}
	(void)ckr_error("C_Login", rv, reason);
	/* Some modules have another name for a wrong PIN; what the token counts is what it is. */
	if (ckr_info(rv)->class == CKR_CLASS_PIN || (pin_flags(t, 0) & ~flags) != 0) {
		err_detail_prefix(reason, "token %s: ", t->name);
		token_refuse_pin(t, reason); /* noted before the note of the attempt is withdrawn */
		set_doubt(t, place, before);
		rv = CKR_PIN_INCORRECT;
	} else if (pin_was_not_looked_at(rv) || is_away(t)) {
		err_detail_prefix(reason, "token %s: ", t->name);
		set_doubt(t, place, before);
	} else if (doubt.count >= PIN_UNCLEAR_MAX) {
		describe_too_many(t, reason);
		rv = CKR_PIN_INCORRECT;
	} else {
		t->pin_detail = *reason;
		doubt.last_ms = clock_mono_ms();
		set_doubt(t, place, doubt);
		err_detail_prefix(reason, "token %s: ", t->name);
	}
	return rv;
}

/* One attempt, unless another row of the TokenTable has made it, or the token says that it is the
 * last one. */
static CK_RV attempt(struct token *t, CK_SESSION_HANDLE session, CK_USER_TYPE user,
		     struct pinlog_place *place, struct err_detail *reason)
{
	CK_RV rv;

	if (pinlog_refused(place, t->pin, reason)) {
		err_detail_prefix(reason, "token %s is the same token: ", t->name);
		return CKR_PIN_INCORRECT;
	}
	rv = hold_back(t, doubt_of(t, place), reason);
	if (rv != CKR_OK)
		return rv;
	if (check_pin_flags(t, reason) != ERR_OK) /* or it could not be asked for its flags */
		return token_pin_refused(t) ? CKR_PIN_INCORRECT : CKR_DEVICE_ERROR;
	rv = call_login(t, session, user, place, reason);
	/* Not before: a reload in the middle of a login keeps this token. */
	atomic_store(&t->unclear, t->doubt.count);
	return rv;
}

CK_RV token_send_pin(struct token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user,
		     struct err_detail *detail)
{
	struct err_detail reason = token->pin_detail;
	struct pinlog_place *place;
	CK_RV rv = CKR_PIN_INCORRECT;

	if (!token_pin_refused(token)) {
		place = pinlog_enter(p11_module_path(token->module), token->slot, &token->info);
		rv = attempt(token, session, user, place, &reason);
		if (ckr_info(rv)->class == CKR_CLASS_PIN) {
			pinlog_note(place, token->pin, &reason);
			token_refuse_pin(token, &reason);
		}
		pinlog_leave(place);
	}
	if (ckr_info(rv)->class == CKR_CLASS_OK)
		return CKR_OK;
	if (detail != NULL)
		*detail = reason;
	return rv;
}

enum err token_login(struct token *token, CK_SESSION_HANDLE session, struct err_detail *detail)
{
	CK_RV rv;

	if (token->pin == NULL || token->logged_in)
		return ERR_OK;
	rv = token_send_pin(token, session, CKU_USER, detail);
	token->logged_in = rv == CKR_OK;
	return rv == CKR_OK ? ERR_OK : ckr_info(rv)->error;
}
