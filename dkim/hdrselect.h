/*
 * Which header fields are signed: OpenDKIM's SignHeaders, OmitHeaders and OversignHeaders, compiled
 * once at load. Immutable, shared by all messages.
 */
#ifndef DKIM_HDRSELECT_H
#define DKIM_HDRSELECT_H

#include "base/err.h"
#include "base/slice.h"

struct dkim_hdrselect;

/**
 * The settings' values as written: a comma list of names; "*" stands for the default list, "+Name"
 * adds,
 * "-Name" takes away (opendkim.conf(5)). A "*" inside a name of the first two matches any text
 * ("List-*"). From is always signed; a name that is oversigned is signed too, so that its h=
 * entries find its fields.
 * @param sign_headers      NULL: the default list
 * @param omit_headers      NULL: the default list
 * @param oversign_headers  NULL: From
 * @return ERR_SYNTAX (a name that RFC 5322 or h= does not allow, "+" or "-" without "*", an
 * oversigned pattern or DKIM-Signature), ERR_LIMIT (LIMIT_H_NAMES names in a list), ERR_NOMEM
 */
NODISCARD enum err dkim_hdrselect_new(const char *sign_headers, const char *omit_headers,
				      const char *oversign_headers,
				      struct dkim_hdrselect **ret_select,
				      struct err_detail *detail);
void dkim_hdrselect_free(struct dkim_hdrselect **select);

/** Whether fields of this name are signed. */
bool dkim_hdrselect_signs(const struct dkim_hdrselect *select, struct slice name);

/** The names that h= lists once more than the message has them, in the order of the setting. */
size_t dkim_hdrselect_oversigned(const struct dkim_hdrselect *select,
				 const struct slice **ret_names);

/** The effective lists, for -n and the log ("From:Subject:... oversigned From"). Caller frees. */
NODISCARD char *dkim_hdrselect_text(const struct dkim_hdrselect *select);

#endif
