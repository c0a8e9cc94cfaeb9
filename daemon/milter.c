/*
 * libmilter's callbacks: get the session, call one function, map the answer. Debian's libmilter
 * runs a pool of workers: the callbacks of one connection come one at a time, on any thread.
 */
#include "daemon/milter.h"

#include "base/log.h"
#include "daemon/session.h"

#include <libmilter/mfapi.h>
#include <stdio.h>

/* All that a configuration may need; what each connection asks for is choose_actions()'s. */
#define ACTIONS_ALL                                                                                \
	((unsigned long)(SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_ADDRCPT |        \
			 SMFIF_DELRCPT))

/* libmilter hands nothing of the caller's to the first callback of a connection. */
static struct milter_env *the_env;

static const struct {
	unsigned long bit;
	enum step step;
} no_reply_bits[] = {
	{ SMFIP_NR_CONN, STEP_CONNECT }, { SMFIP_NR_HELO, STEP_HELO },
	{ SMFIP_NR_MAIL, STEP_MAIL },	 { SMFIP_NR_RCPT, STEP_RCPT },
	{ SMFIP_NR_DATA, STEP_DATA },	 { SMFIP_NR_HDR, STEP_HEADER },
	{ SMFIP_NR_EOH, STEP_EOH },	 { SMFIP_NR_BODY, STEP_BODY },
};

/* libmilter's parameters lack const; it does not write to them. */
static char *unconst(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { .in = text };

	return u.out;
}

static const char *mta_macro(void *ctx, const char *name)
{
	return smfi_getsymval(ctx, unconst(name));
}

static bool mta_insert_header(void *ctx, int index, const char *name, const char *value)
{
	return smfi_insheader(ctx, index, unconst(name), unconst(value)) == MI_SUCCESS;
}

static bool mta_delete_header(void *ctx, const char *name, size_t nth)
{
	return smfi_chgheader(ctx, unconst(name), (int)nth, NULL) == MI_SUCCESS;
}

static bool mta_add_recipient(void *ctx, const char *address)
{
	return smfi_addrcpt(ctx, unconst(address)) == MI_SUCCESS;
}

static bool mta_delete_recipient(void *ctx, const char *address)
{
	return smfi_delrcpt(ctx, unconst(address)) == MI_SUCCESS;
}

static bool mta_set_reply(void *ctx, const char *code, const char *xcode, const char *text)
{
	return smfi_setreply(ctx, unconst(code), unconst(xcode), unconst(text)) == MI_SUCCESS;
}

static bool mta_quarantine(void *ctx, const char *reason)
{
	return smfi_quarantine(ctx, unconst(reason)) == MI_SUCCESS;
}

static const struct mta_ops libmilter_ops = {
	.macro = mta_macro,
	.insert_header = mta_insert_header,
	.delete_header = mta_delete_header,
	.add_recipient = mta_add_recipient,
	.delete_recipient = mta_delete_recipient,
	.set_reply = mta_set_reply,
	.quarantine = mta_quarantine,
};

static struct mta mta_of(SMFICTX *ctx)
{
	return (struct mta){ .ops = &libmilter_ops, .ctx = ctx };
}

/* The session, made when it is not there: after QUIT_NC a connection goes on without a negotiation.
 */
static struct session *session_of(SMFICTX *ctx)
{
	static const struct session_protocol unknown = { .known = false };
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		return s;
	s = session_new(the_env, &unknown);
	if (s != NULL && smfi_setpriv(ctx, s) != MI_SUCCESS)
		session_free(&s);
	return s;
}

static sfsistat to_status(const struct session *s, enum step step, enum answer answer)
{
	if (!session_may_answer(s, step))
		return SMFIS_NOREPLY;
	switch (answer) {
	case ANSWER_CONTINUE:
		return SMFIS_CONTINUE;
	case ANSWER_ACCEPT:
		return SMFIS_ACCEPT;
	case ANSWER_REJECT:
		return SMFIS_REJECT;
	case ANSWER_TEMPFAIL:
		return SMFIS_TEMPFAIL;
	case ANSWER_DISCARD:
		return SMFIS_DISCARD;
	case ANSWER_SKIP:
		return SMFIS_SKIP;
	}
	return SMFIS_TEMPFAIL;
}

/*
 * What we must be allowed to do with a message: without adding header fields no mail can be signed,
 * without removing them no result can be trusted. Quarantine is used if the MTA has it.
 */
static unsigned long choose_actions(unsigned long offered, unsigned long *ret_needed)
{
	struct snapshot *snapshot = snapshot_pin(the_env->slot);
	unsigned long needed = SMFIF_ADDHDRS;

	if (snapshot != NULL && (snapshot->settings->mode & MODE_VERIFY) != 0)
		needed |= SMFIF_CHGHDRS;
	if (snapshot != NULL && snapshot->settings->remove_old_signatures)
		needed |= SMFIF_CHGHDRS;
	if (snapshot != NULL && snapshot->settings->redirect_failures_to != NULL)
		needed |= SMFIF_ADDRCPT | SMFIF_DELRCPT;
	snapshot_unref(&snapshot);
	*ret_needed = needed;
	return (needed | SMFIF_QUARANTINE) & offered;
}

/*
 * Which steps we do without, and where we do not answer, of what the MTA offers. MAIL stays: its
 * macros say who is authenticated. An answer at connect is worth its price only when it can be
 * "accept" (PeerList).
 */
static unsigned long choose_protocol(unsigned long offered)
{
	struct snapshot *snapshot = snapshot_pin(the_env->slot);
	unsigned long wanted = SMFIP_HDR_LEADSPC | SMFIP_SKIP | SMFIP_NR_HELO | SMFIP_NR_MAIL |
			       SMFIP_NR_RCPT | SMFIP_NR_DATA | SMFIP_NR_UNKN | SMFIP_NR_HDR |
			       SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_NOUNKNOWN;

	if (snapshot != NULL && snapshot->peer_list == NULL)
		wanted |= SMFIP_NR_CONN;
	/* Any step may bring a macro of MacroList or SenderMacro. */
	if (snapshot != NULL && snapshot->rules.macro_list == NULL &&
	    snapshot->rules.sender_macro == NULL) {
		wanted |= SMFIP_NOHELO | SMFIP_NODATA;
		if (snapshot->rules.dont_sign_mail_to == NULL && snapshot->body_length_db == NULL &&
		    snapshot->settings->redirect_failures_to == NULL)
			wanted |= SMFIP_NORCPT;
	}
	snapshot_unref(&snapshot);
	return offered & wanted;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
			     unsigned long unused2, unsigned long unused3,
			     unsigned long *ret_actions, unsigned long *ret_steps,
			     unsigned long *ret_unused2, unsigned long *ret_unused3)
{
	struct session_protocol protocol = { .known = true };
	unsigned long chosen = choose_protocol(steps);
	unsigned long needed;
	unsigned long granted = choose_actions(actions, &needed);
	struct session *s;

	(void)unused2;
	(void)unused3;
	if ((granted & needed) != needed) {
		log_line(LOG_LEVEL_ERROR,
			 "mlfi_negotiate(): required milter action(s) not available (got 0x%lx, "
			 "need 0x%lx)",
			 actions, needed);
		return SMFIS_REJECT;
	}
	protocol.leading_space = (chosen & SMFIP_HDR_LEADSPC) != 0;
	protocol.can_skip = (chosen & SMFIP_SKIP) != 0;
	for (size_t i = 0; i < ARRAY_LEN(no_reply_bits); i++) {
		if ((chosen & no_reply_bits[i].bit) != 0)
			protocol.no_reply |= 1U << no_reply_bits[i].step;
	}
	s = smfi_getpriv(ctx); /* a peer that negotiates twice starts anew */
	session_free(&s);
	s = session_new(the_env, &protocol);
	if (s == NULL || smfi_setpriv(ctx, s) != MI_SUCCESS) {
		(void)smfi_setpriv(ctx, NULL);
		session_free(&s);
		return SMFIS_REJECT;
	}
	*ret_actions = granted;
	*ret_steps = chosen;
	*ret_unused2 = *ret_unused3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_CONNECT, session_connect(s, host, addr));
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	struct session *s = session_of(ctx);

	(void)name;
	return s == NULL ? SMFIS_TEMPFAIL : to_status(s, STEP_HELO, ANSWER_CONTINUE);
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_MAIL, session_mail(s, argv[0]));
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_RCPT, session_rcpt(s, argv[0]));
}

static sfsistat on_data(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);

	return s == NULL ? SMFIS_TEMPFAIL : to_status(s, STEP_DATA, ANSWER_CONTINUE);
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_HEADER, session_header(s, name, value));
}

static sfsistat on_eoh(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);
	struct mta mta = mta_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_EOH, session_eoh(s, &mta));
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_BODY, session_body(s, (const char *)data, len));
}

static sfsistat on_eom(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);
	struct mta mta = mta_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return to_status(s, STEP_EOM, session_eom(s, &mta));
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		session_abort(s);
	return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	(void)smfi_setpriv(ctx, NULL);
	session_free(&s);
	return SMFIS_CONTINUE;
}

static char filter_name[] = "hsmdkim";

static const struct smfiDesc filter = {
	.xxfi_name = filter_name,
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = ACTIONS_ALL,
	.xxfi_connect = on_connect,
	.xxfi_helo = on_helo,
	.xxfi_envfrom = on_mail,
	.xxfi_envrcpt = on_rcpt,
	.xxfi_header = on_header,
	.xxfi_eoh = on_eoh,
	.xxfi_body = on_body,
	.xxfi_eom = on_eom,
	.xxfi_abort = on_abort,
	.xxfi_close = on_close,
	.xxfi_data = on_data,
	.xxfi_negotiate = on_negotiate,
};

enum err milter_prepare(struct milter_env *env, int listen_fd, int debug, struct err_detail *detail)
{
	char conn[32];

	the_env = env;
	if (smfi_register(filter) != MI_SUCCESS) {
		err_detail_set(detail, "libmilter refused the filter (another version than it "
				       "was built with?)");
		return ERR_INTERNAL;
	}
	if (debug > 0)
		(void)smfi_setdbg(debug);
	(void)snprintf(conn, sizeof(conn), "fd:%d", listen_fd);
	if (smfi_setconn(conn) != MI_SUCCESS || smfi_opensocket(false) != MI_SUCCESS) {
		err_detail_set(detail, "this libmilter cannot take a listening descriptor");
		return ERR_NOT_SUPPORTED;
	}
	return ERR_OK;
}

enum err milter_run(void)
{
	return smfi_main() == MI_SUCCESS ? ERR_OK : ERR_INTERNAL;
}

void milter_version(char *out, size_t out_size)
{
	unsigned major = 0;
	unsigned minor = 0;
	unsigned patch = 0;

	(void)smfi_version(&major, &minor, &patch);
	(void)snprintf(out, out_size, "%u.%u.%u", major, minor, patch);
}
