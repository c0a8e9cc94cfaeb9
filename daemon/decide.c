/* Who is signed: see decide.h. Step "end of headers" of a message's path. */
#include "daemon/decide.h"

#include "base/text.h"
#include "config/settings.h"
#include "daemon/authfields.h"
#include "dkim/address.h"
#include "dkim/idn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Foreign text in a note is cut at this many bytes. */
#define SHOWN_BYTES 256u
#define NOTE_BYTES 700u

struct work {
	const struct decide_rules *rules;
	const struct decide_input *in;
	struct arena *arena;
	struct decision *d;
	const struct sockaddr *addr;
	struct sockaddr_in loopback; /**< addr of mail that came without one */
	char addr_text[INET6_ADDRSTRLEN];
};

static void note(struct work *w, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void note(struct work *w, enum log_level level, const char *fmt, ...)
{
	char text[NOTE_BYTES];
	struct slice copy;
	va_list args;

	if (w->d->notes_count == DECIDE_NOTES_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (arena_dup(w->arena, slice_str(text), &copy) != ERR_OK)
		return; /* a reason is lost, the decision is not */
	w->d->notes[w->d->notes_count++] = (struct decide_note){ level, copy.ptr };
}

static void take_addr(struct work *w)
{
	const struct sockaddr *addr = w->in->addr;
	const void *bytes;

	if (addr != NULL && addr->sa_family == AF_INET6) {
		bytes = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
	} else if (addr != NULL && addr->sa_family == AF_INET) {
		bytes = &((const struct sockaddr_in *)(const void *)addr)->sin_addr;
	} else {
		w->loopback.sin_family = AF_INET;
		w->loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		addr = (const struct sockaddr *)&w->loopback;
		bytes = &w->loopback.sin_addr;
	}
	w->addr = addr;
	if (inet_ntop(addr->sa_family, bytes, w->addr_text, sizeof(w->addr_text)) == NULL)
		w->addr_text[0] = '\0';
}

/* @return NULL when the MTA did not send it */
static const char *raw_macro(const struct work *w, const char *name)
{
	return w->in->macro != NULL ? w->in->macro(w->in->macro_ctx, name) : NULL;
}

static struct slice macro(const struct work *w, const char *name)
{
	return slice_str(raw_macro(w, name));
}

/* --- where it comes from ------------------------------------------------------------------------
 */

static bool value_is_one_of(struct slice value, struct slice list)
{
	struct slice one;

	while (slice_next(&list, '|', &one)) {
		if (slice_eq(value, one))
			return true;
	}
	return false;
}

struct macro_search {
	const struct work *w;
	bool found;
};

/* A row of MacroList: the macro must be there and, if values are given, have one of them. */
static bool macro_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct macro_search *search = ctx;
	char name[128];
	const char *got;

	(void)origin;
	/* The MTA's name of a macro of several letters has braces; the list may leave them out. */
	if (key.len + 3 > sizeof(name))
		return true;
	if (key.len > 1 && key.ptr[0] != '{')
		(void)snprintf(name, sizeof(name), "{%.*s}", SLICE_FMT(key));
	else
		(void)snprintf(name, sizeof(name), "%.*s", SLICE_FMT(key));
	got = raw_macro(search->w, name);
	search->found =
		got != NULL && (slice_empty(value) || value_is_one_of(slice_str(got), value));
	return !search->found;
}

static enum err from_mta(struct work *w, bool *ret_ours)
{
	struct slice name = macro(w, "{daemon_name}");
	char host[SHOWN_BYTES];
	char shown[SHOWN_BYTES];
	enum err err = dataset_holds(w->rules->mta, name, ret_ours);

	if (err == ERR_OK && !*ret_ours && w->rules->log_why)
		note(w, LOG_LEVEL_INFO, "no MTA name match (host=%s, MTA=%s)",
		     text_sanitize(macro(w, "j"), host, sizeof(host)),
		     text_sanitize(name, shown, sizeof(shown)));
	return err;
}

static enum err from_macro(struct work *w, bool *ret_ours)
{
	struct macro_search search = { .w = w };
	enum err err = dataset_each(w->rules->macro_list, macro_row, &search);

	*ret_ours = search.found;
	if (err == ERR_OK && !search.found && w->rules->log_why)
		note(w, LOG_LEVEL_INFO, "no macros match");
	return err;
}

static bool from_internal_or_authenticated(struct work *w)
{
	char host[SHOWN_BYTES];
	struct slice rule = { NULL, 0 };

	if (w->rules->internal_hosts != NULL &&
	    hostlist_match(w->rules->internal_hosts, w->in->host, w->addr, &rule))
		return true;
	if (!slice_empty(macro(w, "{auth_type}")))
		return true;
	if (w->rules->log_why) {
		note(w, LOG_LEVEL_INFO, "%s [%s] not internal%s%.*s",
		     text_sanitize(w->in->host, host, sizeof(host)), w->addr_text,
		     slice_empty(rule) ? "" : ": excluded by ", SLICE_FMT(rule));
		note(w, LOG_LEVEL_INFO, "not authenticated");
	}
	return false;
}

/* Does it come from ours? OpenDKIM's order; the first yes ends the search. */
static enum err from_ours(struct work *w, bool *ret_ours)
{
	enum err err = ERR_OK;

	*ret_ours = false;
	if (w->rules->mta != NULL)
		err = from_mta(w, ret_ours);
	if (err == ERR_OK && !*ret_ours && w->rules->macro_list != NULL)
		err = from_macro(w, ret_ours);
	if (err != ERR_OK || *ret_ours)
		return err;
	*ret_ours = from_internal_or_authenticated(w);
	return ERR_OK;
}

/* --- whose domain it is -------------------------------------------------------------------------
 */

static enum err single_key(struct work *w, struct slice key_domain, bool parent)
{
	size_t len = key_domain.len + 1;
	char *at = arena_alloc(w->arena, len);

	if (at == NULL)
		return ERR_NOMEM;
	at[0] = '@';
	memcpy(at + 1, key_domain.ptr, key_domain.len);
	w->d->keys[0] = (struct signtable_match){ .key_name = { "", 0 },
						  .identity = slice_of(at, parent ? len : 0) };
	w->d->keys_count = 1;
	w->d->key_domain = slice_of(at + 1, key_domain.len);
	return ERR_OK;
}

/* @param ret_name which spelling the set has; untouched when none */
static enum err holds_domain(const struct dataset *set, const struct idn_spellings *domain,
			     struct slice *ret_name, bool *ret_holds)
{
	enum err err = ERR_OK;

	*ret_holds = false;
	for (size_t i = 0; i < domain->count && err == ERR_OK && !*ret_holds; i++) {
		if (domain->names[i].len != 0)
			err = dataset_holds(set, domain->names[i], ret_holds);
		if (*ret_holds)
			*ret_name = domain->names[i];
	}
	return err;
}

static void note_not_listed(struct work *w, const char *what, struct slice domain)
{
	char shown[SHOWN_BYTES];

	if (w->rules->log_why)
		note(w, LOG_LEVEL_INFO, "no signing %s match for '%s'", what,
		     text_sanitize(domain, shown, sizeof(shown)));
}

/* Domain and SubDomains: the one key for the domain (or "*"), else for a parent of it. OpenDKIM
 * says that no parent matched even when it was not asked to look. */
static enum err find_single(struct work *w, struct slice domain)
{
	struct idn_spellings names;
	struct slice listed = domain;
	bool found = false;
	bool parent = false;
	enum err err;

	idn_spell(domain, &names);
	err = holds_domain(w->rules->domain, &names, &listed, &found);
	if (err == ERR_OK && !found)
		err = dataset_holds(w->rules->domain, SLICE_LIT("*"), &found);
	if (err == ERR_OK && !found)
		note_not_listed(w, "domain", domain);
	while (err == ERR_OK && !found && w->rules->sub_domains &&
	       idn_spellings_parent(&names, false)) {
		parent = true;
		err = holds_domain(w->rules->domain, &names, &listed, &found);
	}
	if (err == ERR_OK && found)
		return single_key(w, listed, parent);
	if (err == ERR_OK)
		note_not_listed(w, "subdomain", domain);
	return err;
}

static enum err find_keys(struct work *w, const struct dkim_address *author)
{
	w->d->keys_count = 0;
	if (slice_starts(author->domain, SLICE_LIT("[")))
		return ERR_OK; /* an address literal has no DNS to publish a key in */
	if (w->rules->signing_table == NULL)
		return w->rules->domain != NULL ? find_single(w, author->domain) : ERR_OK;
	w->d->key_domain = author->domain;
	return signtable_find(w->rules->signing_table, author->local, author->domain,
			      w->rules->multiple_signatures, w->arena, w->d->keys,
			      LIMIT_SIGN_REQUESTS, &w->d->keys_count);
}

static void note_no_row(struct work *w, const struct dkim_address *author)
{
	char local[SHOWN_BYTES];
	char domain[SHOWN_BYTES];

	if (!w->rules->log_why || w->rules->signing_table == NULL)
		return;
	note(w, LOG_LEVEL_INFO, "no signing table match for '%s@%s'",
	     text_sanitize(author->local, local, sizeof(local)),
	     text_sanitize(author->domain, domain, sizeof(domain)));
}

/* --- the author ---------------------------------------------------------------------------------
 */

/* The field that names the author: the first of SenderHeaders that is there, else From. */
static struct slice sender_header(const struct work *w)
{
	for (size_t i = 0; i < w->rules->sender_headers_count; i++) {
		if (hdrstore_count_name(w->in->headers, w->rules->sender_headers[i]) > 0)
			return w->rules->sender_headers[i];
	}
	return SLICE_LIT("From");
}

struct author {
	struct slice header;
	struct dkim_address first;
	bool several; /**< more than one mailbox or field claims to be the author */
};

/* SenderMacro, with or without its braces. Empty: it is not set, or was not sent. */
static struct slice sender_of_macro(const struct work *w)
{
	char braced[128];
	struct slice value;

	if (w->rules->sender_macro == NULL)
		return SLICE_LIT("");
	value = macro(w, w->rules->sender_macro);
	if (value.len != 0)
		return value;
	(void)snprintf(braced, sizeof(braced), "{%s}", w->rules->sender_macro);
	return macro(w, braced);
}

/* @return ERR_NO_SENDER with a note when there is none that can be read */
static enum err find_author(struct work *w, struct author *author)
{
	struct slice name;
	struct slice value = sender_of_macro(w);
	bool from_macro = value.len != 0;
	char shown[SHOWN_BYTES];
	size_t count = 0;
	enum err err;

	/* Without a From field nothing can be signed, whatever SenderHeaders finds. */
	author->header = sender_header(w);
	if (hdrstore_count_name(w->in->headers, SLICE_LIT("From")) == 0) {
		note(w, LOG_LEVEL_INFO, "can't determine message sender; accepting");
		return ERR_NO_SENDER;
	}
	name = slice_str(w->rules->sender_macro);
	if (!from_macro) {
		const struct hdr *field = hdrstore_from_top(w->in->headers, author->header, 0);

		name = field->name;
		value = field->value;
	}
	err = dkim_address_parse(w->arena, value, &author->first, &count);
	if (err == ERR_NOMEM)
		return err;
	if (err != ERR_OK || count == 0) {
		note(w, LOG_LEVEL_INFO,
		     from_macro ? "can't parse macro %.*s header value '%s'"
				: "can't parse %.*s: header value '%s'",
		     SLICE_FMT(name), text_sanitize(value, shown, sizeof(shown)));
		return ERR_NO_SENDER;
	}
	author->several =
		count > 1 ||
		(!from_macro && hdrstore_count_name(w->in->headers, author->header) > 1) ||
		hdrstore_count_name(w->in->headers, SLICE_LIT("From")) > 1;
	w->d->author_local = author->first.local;
	w->d->author_domain = author->first.domain;
	return ERR_OK;
}

/* Whether any field with this name names an author of a domain of ours. */
static enum err any_field_listed(struct work *w, struct slice name, bool *ret_listed)
{
	size_t fields = hdrstore_count_name(w->in->headers, name);

	for (size_t i = 0; i < fields && !*ret_listed; i++) {
		struct dkim_address address;
		size_t count = 0;
		enum err err = dkim_address_parse(w->arena,
						  hdrstore_from_top(w->in->headers, name, i)->value,
						  &address, &count);

		if (err == ERR_OK && count > 0)
			err = find_keys(w, &address);
		else if (err == ERR_SYNTAX)
			continue;
		if (err != ERR_OK)
			return err;
		*ret_listed = w->d->keys_count > 0;
	}
	return ERR_OK;
}

/* --- the decision -------------------------------------------------------------------------------
 */

static void not_signed(struct work *w)
{
	w->d->keys_count = 0;
	w->d->kind = (w->rules->mode & MODE_VERIFY) != 0 ? DECIDE_VERIFY : DECIDE_PASS;
}

static enum err several_authors(struct work *w, const struct author *author)
{
	bool listed = false;
	enum err err = any_field_listed(w, author->header, &listed);

	if (err == ERR_OK && !listed && !slice_ieq(author->header, SLICE_LIT("From")))
		err = any_field_listed(w, SLICE_LIT("From"), &listed);
	not_signed(w);
	if (err == ERR_OK && !listed)
		note_no_row(w, &author->first);
	if (err != ERR_OK || !listed)
		return err;
	w->d->kind = DECIDE_FAIL;
	w->d->error = ERR_NO_SENDER;
	return ERR_OK;
}

static void note_external(struct work *w)
{
	char host[SHOWN_BYTES];
	char domain[SHOWN_BYTES];

	if (w->rules->external_ignore_list != NULL &&
	    hostlist_match(w->rules->external_ignore_list, w->in->host, w->addr, NULL))
		return;
	note(w, LOG_LEVEL_NOTICE, "external host %s attempted to send as %s",
	     text_sanitize(w->in->host, host, sizeof(host)),
	     text_sanitize(w->d->author_domain, domain, sizeof(domain)));
}

/* A recipient whose mail must not be signed makes the message pass. */
static enum err check_recipients(struct work *w, bool *ret_skip)
{
	char shown[SHOWN_BYTES];

	*ret_skip = false;
	for (size_t i = 0; i < w->in->recipients_count && !*ret_skip; i++) {
		enum err err =
			dataset_holds(w->rules->dont_sign_mail_to, w->in->recipients[i], ret_skip);

		if (err != ERR_OK)
			return err;
		if (*ret_skip)
			note(w, LOG_LEVEL_INFO, "skipping signing of mail to '%s'",
			     text_sanitize(w->in->recipients[i], shown, sizeof(shown)));
	}
	return ERR_OK;
}

static enum err decide_known(struct work *w, const struct author *author)
{
	bool ours = false;
	bool skip = false;
	enum err err = from_ours(w, &ours);

	if (err != ERR_OK)
		return err;
	if (author->several && ours && (w->rules->mode & MODE_SIGN) != 0)
		return several_authors(w, author);
	err = find_keys(w, &author->first);
	if (err != ERR_OK)
		return err;
	if (w->d->keys_count == 0) {
		note_no_row(w, &author->first);
		not_signed(w);
		return ERR_OK;
	}
	if (!ours)
		note_external(w);
	if (!ours || (w->rules->mode & MODE_SIGN) == 0) {
		not_signed(w);
		return ERR_OK;
	}
	err = check_recipients(w, &skip);
	if (skip)
		w->d->keys_count = 0;
	w->d->kind = skip ? DECIDE_PASS : DECIDE_SIGN;
	return err;
}

static enum err is_exempt(const struct work *w, bool *ret_exempt)
{
	struct idn_spellings names;
	struct slice listed;

	if (w->rules->exempt_domains == NULL)
		return ERR_OK;
	idn_spell(w->d->author_domain, &names);
	return holds_domain(w->rules->exempt_domains, &names, &listed, ret_exempt);
}

static void note_exempt(struct work *w)
{
	char domain[SHOWN_BYTES];

	if (w->rules->log_why)
		note(w, LOG_LEVEL_INFO, "domain '%s' exempted, accepting",
		     text_sanitize(w->d->author_domain, domain, sizeof(domain)));
}

enum err decide(const struct decide_rules *rules, const struct decide_input *input,
		struct arena *arena, struct decision *ret_decision)
{
	struct work w = { .rules = rules, .in = input, .arena = arena, .d = ret_decision };
	struct author author = { .several = false };
	bool exempt = false;
	enum err err;

	ret_decision->kind = DECIDE_PASS;
	ret_decision->error = ERR_OK;
	ret_decision->clean = false;
	ret_decision->keys_count = ret_decision->notes_count = 0;
	ret_decision->author_local = ret_decision->author_domain = (struct slice){ "", 0 };
	ret_decision->key_domain = ret_decision->author_domain;
	take_addr(&w);
	err = find_author(&w, &author);
	if (err == ERR_OK)
		err = is_exempt(&w, &exempt);
	if (err != ERR_OK && err != ERR_NO_SENDER)
		return err;
	if (exempt) {
		note_exempt(&w);
		/* Nothing is looked up, and still nobody speaks in our name (RFC 8601 section 5).
		 */
		ret_decision->clean =
			(rules->mode & MODE_VERIFY) != 0 &&
			hdrstore_count_name(input->headers, SLICE_LIT(AUTHFIELDS_NAME)) > 0;
		return ERR_OK;
	}
	if (err == ERR_OK)
		return decide_known(&w, &author);
	not_signed(&w);
	return ERR_OK;
}
