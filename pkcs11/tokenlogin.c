/* The one login of a token, and the one place that sends a PIN. */
#include "pkcs11/ckr.h"
#include "pkcs11/module_priv.h"
#include "pkcs11/pinlog.h"
#include "pkcs11/token_priv.h"

#include "base/log.h"

void token_pins_forget(void)
{
	pinlog_forget();
}

void token_refuse_pin(struct token *token, const struct err_detail *detail)
{
	token->pin_detail = *detail;
	atomic_store(&token->pin_refused, true);
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

/* One attempt, unless another row of the TokenTable has made it, or the token says that it is the
 * last one. */
static CK_RV attempt(struct token *t, CK_SESSION_HANDLE session, CK_USER_TYPE user,
		     const struct pinlog_place *place, struct err_detail *reason)
{
	struct slice pin = pin_bytes(t->pin);
	CK_FLAGS before;
	CK_RV rv;

	if (pinlog_refused(place, t->pin, reason)) {
		err_detail_prefix(reason, "token %s is the same token: ", t->name);
		return CKR_PIN_INCORRECT;
	}
	if (check_pin_flags(t, reason) != ERR_OK) /* or it could not be asked for its flags */
		return token_pin_refused(t) ? CKR_PIN_INCORRECT : CKR_DEVICE_ERROR;
	before = pin_flags(t, ~(CK_FLAGS)0);
	rv = t->f->C_Login(session, user, (CK_UTF8CHAR_PTR)pin.ptr, pin.len);
	if (ckr_info(rv)->class == CKR_CLASS_OK)
		return rv;
	(void)ckr_error("C_Login", rv, reason);
	err_detail_prefix(reason, "token %s: ", t->name);
	/* Some modules have another name for a wrong PIN; what the token counts is what it is. */
	return (pin_flags(t, 0) & ~before) != 0 ? CKR_PIN_INCORRECT : rv;
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
